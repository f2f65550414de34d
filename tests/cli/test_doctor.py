from __future__ import annotations

import json
from collections import namedtuple
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from limbeck.cli import doctor
from limbeck.cli.app import main
from limbeck.workspace import Workspace


def looked(capsys: pytest.CaptureFixture[str], code: int) -> dict[str, dict[str, str | None]]:
    """What the doctor found, by what it looked at."""
    assert main(["doctor", "--json"]) == code
    shown = json.loads(capsys.readouterr().out)
    assert shown["ok"] == (code == 0)
    return {finding["what"]: finding for finding in shown["findings"]}


def test_a_sound_workspace_has_nothing_broken(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    found = looked(capsys, 0)
    assert {finding["state"] for finding in found.values()} == {"ok"}
    assert "torch" in (found["[train]"]["found"] or "")
    assert "cores" in (found["processor"]["found"] or "")
    assert "240 traces, verified" in (found["store"]["found"] or "")
    assert found["task refunds"]["found"] == "mode record"


def test_a_person_reads_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "absent  workspace" in said
    assert "-> limbeck init" in said


def test_nothing_is_made_by_looking(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(workspace.root.rglob("*"))
    found = looked(capsys, 0)
    assert found["store"]["state"] == found["tasks"]["state"] == "absent"
    assert sorted(workspace.root.rglob("*")) == before


def test_a_missing_extra_names_the_command_that_brings_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def version(module: str) -> str:
        if module == "torch":
            raise PackageNotFoundError(module)
        return "1.0"

    monkeypatch.setattr(doctor, "version", version)
    found = looked(capsys, 0)["[train]"]
    assert (found["state"], found["repair"]) == ("absent", "pip install 'limbeck[train]'")
    assert "missing: torch" in (found["found"] or "")


def test_a_damaged_store_is_broken(trained: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    trained.store_path.write_bytes(b"not a database" * 1000)
    for leftover in trained.home.glob("store.db-*"):
        leftover.unlink()
    assert looked(capsys, 1)["store"]["state"] == "broken"


def test_a_trace_that_was_changed_is_broken(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    import sqlite3

    connection = sqlite3.connect(trained.store_path)
    with connection:
        connection.execute(
            "UPDATE traces SET content = replace(content, 'Answer', 'answer') "
            "WHERE id = (SELECT min(id) FROM traces)"
        )
    connection.close()
    found = looked(capsys, 1)["store"]
    assert (found["state"], found["repair"]) == ("broken", "limbeck store verify")


def test_wrong_settings_and_tasks_are_broken_and_named(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    (trained.tasks_folder / "second.toml").write_text("[answer]\nkind = 'colour'\n")
    found = looked(capsys, 1)
    assert found["task second"]["state"] == "broken"
    assert "second.toml" in (found["task second"]["found"] or "")
    assert found["store"]["state"] == "ok"
    (trained.root / "limbeck.toml").write_text("stor = 'x'\n")
    assert "did you mean 'store'" in (looked(capsys, 1)["workspace"]["found"] or "")


def test_a_cascade_without_its_student_is_seen(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    task = trained.task("refunds").model_copy(update={"mode": "cascade"})
    trained.write_task(task)
    found = looked(capsys, 0)["cascade refunds"]
    assert (found["state"], found["repair"]) == (
        "absent",
        "limbeck calibrate STUDENT, then limbeck promote STUDENT",
    )
    (trained.home / "policies").mkdir()
    (trained.home / "policies" / "refunds.json").write_text("{")
    assert looked(capsys, 1)["cascade refunds"]["state"] == "broken"


def test_a_full_disk_is_broken(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(10**9, 10**9, 5_000_000))
    assert looked(capsys, 1)["disk"]["state"] == "broken"
