from __future__ import annotations

import json
from pathlib import Path

import pytest

from limbeck.cli.app import main
from limbeck.workspace import Workspace


@pytest.mark.parametrize("kind", ["choice", "number", "text"])
def test_a_new_workspace_has_a_task_that_can_be_read(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(tmp_path / "w"), "--task", "triage", "--kind", kind, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    task = Workspace(Path(shown["workspace"])).task("triage")
    assert (task.name, task.answer.kind) == ("triage", kind)


def test_init_again_keeps_the_task_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", str(tmp_path)])
    file = tmp_path / "tasks" / "first.toml"
    file.write_text("# mine\n")
    assert main(["init", str(tmp_path)]) == 0
    assert file.read_text() == "# mine\n"
    assert "kept as it is" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["A B", "", "../up", "x" * 65])
def test_a_name_that_cannot_be_a_task_makes_nothing(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(tmp_path / "w"), "--task", name]) == 2
    assert "wanted lower-case letters" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()


def test_init_says_both_ways_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", str(tmp_path)])
    said = capsys.readouterr().out
    assert "limbeck import FILE --task first" in said
    assert "limbeck gateway" in said
