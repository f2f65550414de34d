from __future__ import annotations

import json
import sqlite3

import pytest

from limbeck.cli.app import main
from limbeck.store.early import EarlyOutcome
from limbeck.store.spool import Spool
from limbeck.store.store import Store
from limbeck.store.writer import Entry
from limbeck.types import Provenance, Trace
from limbeck.workspace import Workspace


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    with Store(workspace.store_url) as store:
        store.add([Trace(task="t", input="x", provenance=Provenance(source="sdk"))])
    return workspace


def test_counts_are_shown_by_task(filled: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store"]) == 0
    assert "1 traces, 0 outcomes, 0 blobs" in capsys.readouterr().out
    assert main(["store", "counts", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tasks"]["t"]["traces"] == 1


def test_a_store_that_is_what_it_says_passes(
    filled: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["store", "verify"]) == 0
    assert "are what their hashes say" in capsys.readouterr().out


def test_damage_is_shown_and_fails(filled: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    connection = sqlite3.connect(filled.store_path)
    connection.execute("""UPDATE traces SET content = replace(content, '"x"', '"y"')""")
    connection.commit()
    connection.close()
    assert main(["store", "verify"]) == 1
    assert "its content has the id" in capsys.readouterr().out
    assert main(["store", "verify", "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["damage"]) == 1


def test_counts_show_the_versions_of_a_task(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    def trace(text: str, skeleton: str | None, task: str | None = "t") -> Trace:
        origin = Provenance(source="sdk", skeleton=skeleton)
        return Trace(task=task, input=text, cost_usd=0.5, provenance=origin)

    with Store(workspace.store_url) as store:
        store.add([trace("1", "sha256:bb"), trace("2", "sha256:aa"), trace("3", "sha256:bb")])
        store.add([trace("4", None), trace("5", "sha256:cc", None), trace("6", "sha256:dd", None)])
        early = EarlyOutcome(key="correlation", name="c", value="a", source="gold")
        store.expect([early])
    assert main(["store", "counts"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines if line.startswith("  v")] == [
        ["v1", "bb", "2"],
        ["v2", "aa", "1"],
    ]
    assert any(line.startswith("t ") and line.endswith("2.00") for line in lines)
    assert lines[-1] == "1 outcomes wait for their trace"
    assert main(["store", "counts", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [one["traces"] for one in shown["skeletons"]["t"]] == [2, 1, 1]


def test_the_spool_is_taken_in(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    (workspace.root / "limbeck.toml").write_text('[gateway]\nspool = "elsewhere"\n')
    folder = workspace.root / "elsewhere"
    one = Trace(task="t", input="x", provenance=Provenance(source="gateway"))
    Spool(folder).add([Entry(one, {}, None)])
    assert main(["store", "absorb"]) == 0
    assert "1 traces from 1 files" in capsys.readouterr().out
    with Store(workspace.store_url) as store:
        assert list(store.traces("t")) == [one]
    (folder / "1-2-3.jsonl").write_text("{}\nhalf")
    assert main(["store", "absorb", "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert (shown["halves"], shown["damaged"]) == (1, 1)


@pytest.mark.parametrize("name", ["traces.parquet", "traces.jsonl"])
def test_the_store_is_exported(
    filled: Workspace, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (filled.tasks_folder / "t.toml").write_text('[answer]\nkind = "text"\n')
    assert main(["store", "export", name]) == 0
    assert f"1 traces are in {name}" in capsys.readouterr().out
    assert main(["store", "export", name]) == 1
    assert "is there already" in capsys.readouterr().err
    options = ["--task", "t", "--since", "2020-01-01", "--force", "--json"]
    assert main(["store", "export", name, *options]) == 0
    assert json.loads(capsys.readouterr().out)["tasks"] == {"t": 1}
    assert main(["store", "export", name, "--since", "2100-01-01", "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 0


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["export"], "the file is missing"),
        (["export", "traces.csv"], "wanted a name in .parquet or .jsonl"),
        (["export", "traces.jsonl", "--since", "soon"], "wanted a date"),
        (["counts", "--task", "t"], "belong to: limbeck store export"),
    ],
)
def test_wrong_usage_is_said(
    filled: Workspace, capsys: pytest.CaptureFixture[str], given: list[str], wanted: str
) -> None:
    assert main(["store", *given]) == 2
    assert wanted in capsys.readouterr().err
