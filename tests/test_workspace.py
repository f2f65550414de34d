from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from limbeck.errors import ConfigError
from limbeck.types import Task
from limbeck.workspace import Settings, Workspace, read_task, read_values

ROOT = Path(__file__).parents[1]
CHOICE = '[answer]\nkind = "choice"\nchoices = ["a", "b"]\n'


def said(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_task(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_a_workspace_is_found_from_any_folder_below_it(workspace: Workspace) -> None:
    deep = workspace.root / "a" / "b"
    deep.mkdir(parents=True)
    assert Workspace.find(deep) == workspace
    assert Workspace.find() == workspace


def test_without_a_workspace_the_command_that_makes_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="make a workspace with: limbeck init"):
        Workspace.find(tmp_path)


def test_making_a_workspace_again_keeps_what_is_there(workspace: Workspace) -> None:
    (workspace.root / "limbeck.toml").write_text('store = "elsewhere.db"\n')
    Workspace.create(workspace.root)
    assert Workspace(workspace.root).settings.store == "elsewhere.db"


def test_a_new_workspace_has_settings_that_can_be_read(workspace: Workspace) -> None:
    assert workspace.settings == Settings()
    assert workspace.store_url == str(workspace.store_path)
    for folder in (workspace.datasets, workspace.students, workspace.reports):
        assert folder.is_dir()


def test_the_store_is_kept_out_of_version_control(workspace: Workspace) -> None:
    assert (workspace.home / ".gitignore").read_text() == "*\n"


@pytest.mark.parametrize(
    ("setting", "url"),
    [
        ("postgresql://me@db/limbeck", "postgresql://me@db/limbeck"),
        ("/data/store.db", "/data/store.db"),
    ],
)
def test_the_store_may_be_elsewhere(workspace: Workspace, setting: str, url: str) -> None:
    (workspace.root / "limbeck.toml").write_text(f'store = "{setting}"\n')
    assert workspace.store_url == url


def test_a_relative_store_lies_in_the_workspace(workspace: Workspace) -> None:
    (workspace.root / "limbeck.toml").write_text('store = "data/store.db"\n')
    assert workspace.store_url == str(workspace.root / "data" / "store.db")


def test_an_unknown_section_of_the_settings_names_the_closest(workspace: Workspace) -> None:
    (workspace.root / "limbeck.toml").write_text("[gatway]\nport = 1\n")
    with pytest.raises(ConfigError, match=r"unknown key 'gatway' \(did you mean 'gateway'\?\)"):
        _ = workspace.settings


def test_sections_are_left_to_those_who_read_them(workspace: Workspace) -> None:
    (workspace.root / "limbeck.toml").write_text("[gateway]\nport = 1\nanything = [2]\n")
    assert workspace.settings.gateway == {"port": 1, "anything": [2]}


def test_a_missing_folder_of_a_workspace_cannot_be_made_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="name another folder"):
        Workspace.create(tmp_path / "file" / "workspace")


def test_a_task_takes_its_name_from_its_file(workspace: Workspace) -> None:
    (workspace.tasks_folder / "triage.toml").write_text(CHOICE)
    assert workspace.task("triage").name == "triage"
    assert [task.name for task in workspace.tasks()] == ["triage"]


def test_a_task_that_is_not_there_names_the_closest(workspace: Workspace) -> None:
    (workspace.tasks_folder / "triage.toml").write_text(CHOICE)
    with pytest.raises(ConfigError, match=r"there are: triage \(did you mean 'triage'\?\)"):
        workspace.task("triag")


def test_every_part_of_a_task_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "triage.toml"
    path.write_text(
        CHOICE + '[reply]\nanswer_markers = ["So:"]\n[teacher]\nmodel = "m"\n'
        "price = { input = 3, output = 15 }\n[rows]\ntruth = 'gold'\n[splits]\ntrain = 0.5\n"
        "[checks.loop]\nenabled = false\n"
    )
    task = read_task(path)
    assert task.reply.answer_markers == ("So:",)
    assert task.teacher.price.output == 15
    assert task.rows.truth == "gold"
    assert task.splits.train == 0.5
    assert task.checks == {"loop": {"enabled": False}}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "the key 'answer' is missing"),
        (
            '[answer]\nkind = "choce"\n',
            "the key 'answer.kind' is 'choce'; input should be 'choice'",
        ),
        (
            CHOICE + "tolerence = 1\n",
            "unknown key 'answer.tolerence' (did you mean 'tolerance'?); wanted one of kind",
        ),
        (
            CHOICE + "[teacher.price]\nimput = 1\n",
            "unknown key 'teacher.price.imput' (did you mean 'input'?); wanted one of input",
        ),
        ("anwser = 1\n", "unknown key 'anwser' (did you mean 'answer'?)"),
        ('name = "other"\n' + CHOICE, "the key 'name' is 'other'; wanted the file's own name"),
        (CHOICE + "[splits]\ntrain = 0\n", "the section 'splits': split share of train is 0.0"),
        ('[answer]\nkind = "text"\nchoices = ["a"]\n', "the section 'answer': choices are given"),
        ("answer = [\n", "this is not TOML"),
    ],
)
def test_a_mistake_in_a_task_file_is_one_sentence(tmp_path: Path, text: str, wanted: str) -> None:
    assert wanted in said(tmp_path / "triage.toml", text)


def test_a_task_file_that_is_not_text_names_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "triage.toml"
    path.write_bytes(b"# \xe9\n")
    with pytest.raises(ConfigError, match="byte 3 is not UTF-8"):
        read_task(path)


def test_a_section_is_named_in_full() -> None:
    with pytest.raises(ConfigError, match=r"limbeck\.toml: unknown key 'gateway\.nme'"):
        read_values(Task, {"nme": "x"}, Path("limbeck.toml"), "gateway")


@pytest.mark.parametrize("path", sorted((ROOT / "examples/tasks").glob("*.toml")), ids=str)
def test_the_example_tasks_can_be_read(path: Path) -> None:
    task = read_task(path)
    assert task.name == path.stem
    assert tomllib.loads(path.read_text())["rows"]["truth"] == task.rows.truth
