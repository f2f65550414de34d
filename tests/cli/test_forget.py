from __future__ import annotations

import io
import json
import sqlite3

import pytest

from limbeck.cli.app import main
from limbeck.store.spool import Spool
from limbeck.store.store import Store
from limbeck.store.writer import Entry
from limbeck.types import Outcome, Provenance, Trace
from limbeck.workspace import Workspace


def trace(text: str, task: str | None = "t", subject: str | None = None) -> Trace:
    return Trace(task=task, input=text, provenance=Provenance(source="gateway", subject=subject))


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    (workspace.tasks_folder / "t.toml").write_text('keep_days = 30\n[answer]\nkind = "text"\n')
    (workspace.tasks_folder / "u.toml").write_text('[answer]\nkind = "text"\n')
    traces = [trace("old", subject="s"), trace("new"), trace("theirs", "u", "s"), trace("no", None)]
    with Store(workspace.store_url) as store:
        store.add(traces)
        store.attach([Outcome(trace_id=traces[0].id, value="a", source="gold")])
    with sqlite3.connect(workspace.store_path) as connection:
        connection.execute("UPDATE traces SET recorded_at = '2020' WHERE content LIKE '%\"old\"%'")
    connection.close()
    return workspace


def left(workspace: Workspace) -> list[str]:
    with Store(workspace.store_url) as store:
        assert store.verify() == []
        return [one.input for task in ("t", "u", None) for one in store.traces(task)]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["--task", "t"], ["theirs", "no"]),
        (["--untasked"], ["old", "new", "theirs"]),
        (["--older-than", "90d"], ["new", "theirs", "no"]),
        (["--subject", "s"], ["new", "no"]),
        (["--subject", "s", "--task", "u"], ["old", "new", "no"]),
        (["--trace", trace("new").id], ["old", "theirs", "no"]),
        (["--expired"], ["new", "theirs", "no"]),
        (["--expired", "--task", "t", "--no-vacuum"], ["new", "theirs", "no"]),
        (["--subject", "nobody"], ["old", "new", "theirs", "no"]),
    ],
)
def test_what_meets_all_conditions_goes(
    filled: Workspace, given: list[str], wanted: list[str]
) -> None:
    assert main(["forget", *given, "--yes"]) == 0
    assert left(filled) == wanted


def test_a_dry_run_counts_and_deletes_nothing(
    filled: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["forget", "--subject", "s", "--dry-run"]) == 0
    assert "would delete: 2 traces, 1 outcomes" in capsys.readouterr().out
    assert main(["forget", "--subject", "s", "--dry-run", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["traces"], shown["outcomes"]) == (2, 1)
    assert len(left(filled)) == 4


@pytest.mark.parametrize(("answer", "n"), [("y\n", 2), ("n\n", 4), ("", 4)])
def test_it_asks_before_it_deletes(
    filled: Workspace,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    n: int,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert main(["forget", "--subject", "s"]) == (0 if n == 2 else 1)
    assert "would delete: 2 traces" in capsys.readouterr().err
    assert len(left(filled)) == n


def test_it_says_what_went_and_where_copies_are(
    filled: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    (filled.datasets / "t-1").mkdir()
    assert main(["forget", "--task", "t", "--yes"]) == 0
    out = capsys.readouterr().out
    assert "deleted: 2 traces, 1 outcomes, 0 rationales, 0 blobs" in out
    assert "datasets made before still hold what they were made of: t-1" in out
    assert main(["forget", "--task", "t", "--yes"]) == 0
    assert "nothing meets these conditions" in capsys.readouterr().out
    assert main(["forget", "--task", "u", "--yes", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["traces"], shown["log_is_empty"]) == (1, True)


def test_what_was_spooled_is_forgotten_too(filled: Workspace) -> None:
    folder = filled.home / "spool"
    Spool(folder).add([Entry(trace("spooled", subject="s"), {}, None)])
    assert main(["forget", "--subject", "s", "--yes"]) == 0
    assert left(filled) == ["new", "no"]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([], "got no condition"),
        (["--task", "t", "--untasked"], "both --task and --untasked"),
        (["--expired", "--subject", "s"], "wanted none but --task"),
        (["--expired", "--task", "u"], "no task file says `keep_days`"),
        (["--older-than", "soon"], "wanted a time such as 12h"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(
    filled: Workspace, capsys: pytest.CaptureFixture[str], given: list[str], wanted: str
) -> None:
    assert main(["forget", *given, "--yes"]) == 2
    assert wanted in capsys.readouterr().err
    assert len(left(filled)) == 4


@pytest.mark.parametrize("further", [["--yes"], ["--dry-run"]])
def test_a_misspelt_task_does_not_look_like_a_deletion(
    filled: Workspace, capsys: pytest.CaptureFixture[str], further: list[str]
) -> None:
    assert main(["forget", "--task", "tt", *further]) == 2
    assert "there is no task 'tt'" in capsys.readouterr().err


def test_a_task_without_its_file_can_be_forgotten(filled: Workspace) -> None:
    (filled.tasks_folder / "u.toml").unlink()
    assert main(["forget", "--task", "u", "--yes"]) == 0
    assert left(filled) == ["old", "new", "no"]
