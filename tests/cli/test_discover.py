from __future__ import annotations

import json
from pathlib import Path

import pytest

from limbeck.capture.sandbox.month import record_month
from limbeck.cli.app import main
from limbeck.store.store import Store
from limbeck.types import Provenance, Trace
from limbeck.workspace import Workspace

Output = pytest.CaptureFixture[str]


@pytest.fixture
def month(workspace: Workspace) -> Workspace:
    with Store(workspace.store_url) as store:
        record_month(store, scale=0.5)
    return workspace


def listed(capsys: Output) -> list[list[str]]:
    """The rows of the list: the words of each line between its head and the empty line."""
    lines = capsys.readouterr().out.splitlines()
    return [line.split() for line in lines[1 : lines.index("")]]


def test_candidates_are_listed_costliest_first(month: Workspace, capsys: Output) -> None:
    assert main(["discover"]) == 0
    rows = listed(capsys)
    assert [row[1] for row in rows] == ["240", "120", "75", "90", "60"]
    assert main(["discover", "--by", "calls", "--top", "2"]) == 0
    out = capsys.readouterr().out
    assert "and 3 more; list them with --top 5" in out
    assert "760 calls of no task: 585 in 5 candidates, 120 in 1 group without a narrow job" in out


def test_the_list_is_json_too(month: Workspace, capsys: Output) -> None:
    assert main(["discover", "--json", "--min-calls", "100"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["calls"] for one in found["candidates"]] == [240, 120]
    assert found["candidates"][0]["form"]["kind"] == "choice"
    assert found["calls"] == 760


def test_a_list_without_candidates_is_one_line(workspace: Workspace, capsys: Output) -> None:
    origin = Provenance(source="gateway")
    with Store(workspace.store_url) as store:
        store.add([Trace(task=None, input="x", provenance=origin)])
    assert main(["discover"]) == 0
    assert capsys.readouterr().out.startswith("1 call of no task: 0 in 0 candidates")


def test_one_group_is_shown_whole(month: Workspace, capsys: Output) -> None:
    main(["discover"])
    name = listed(capsys)[1][0]
    assert main(["discover", "--show", name[:4]]) == 0
    out = capsys.readouterr().out
    assert f"group      {name}" in out
    assert "answer     choice of 6 (" in out
    assert " bits), 100% of 120 replies" in out
    assert "    Today is {date}." in out
    assert out.count("\nexample ") == 3
    assert main(["discover", "--show", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == name


def test_a_task_file_is_written_and_given_its_calls(month: Workspace, capsys: Output) -> None:
    main(["discover"])
    name = listed(capsys)[0][0]
    assert main(["discover", "--write", name, "--name", "refunds"]) == 0
    out = capsys.readouterr().out
    assert f"limbeck discover --write {name} --name refunds --claim" in out
    assert month.task("refunds").reply.answer_markers == ("Answer:",)
    file = month.tasks_folder / "refunds.toml"
    file.write_text(file.read_text() + "# mine\n")
    assert main(["discover", "--write", name, "--name", "refunds", "--claim", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "group": name,
        "task_file": str(file),
        "new": False,
        "claimed": 240,
        "unmatched": 0,
    }
    assert file.read_text().endswith("# mine\n")
    with Store(month.store_url) as store:
        assert store.counts().tasks["refunds"].with_outcome == 240
    assert main(["curate", "--task", "refunds"]) == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--write", "abc"], "wanted --write and --name together"),
        (["--name", "x"], "wanted --write and --name together"),
        (["--claim"], "wanted --write and --name together"),
        (["--show", "nothing"], "there is no group 'nothing'; the groups are: none"),
    ],
)
def test_wrong_usage_is_one_sentence(
    workspace: Workspace, capsys: Output, args: list[str], said: str
) -> None:
    assert main(["discover", *args]) == 2
    assert said in capsys.readouterr().err


def test_a_bad_name_or_a_file_that_is_there_writes_nothing(
    month: Workspace, capsys: Output
) -> None:
    main(["discover"])
    name = listed(capsys)[0][0]
    assert main(["discover", "--write", name, "--name", "No Name"]) == 2
    assert "--name is 'No Name'" in capsys.readouterr().err
    Path("tasks/mine.toml").write_text('[answer]\nkind = "text"\n')
    assert main(["discover", "--write", name, "--name", "mine"]) == 1
    assert "there is a task file" in capsys.readouterr().err
    assert [path.name for path in month.tasks_folder.iterdir()] == ["mine.toml"]


def test_an_empty_store_says_how_to_fill_it(workspace: Workspace, capsys: Output) -> None:
    assert main(["discover"]) == 0
    assert "record some with: limbeck gateway" in capsys.readouterr().out
