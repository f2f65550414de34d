from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from limbeck.cli import distill as verb
from limbeck.cli.app import main
from limbeck.cli.distill import read_recipe_settings
from limbeck.cli.training import say
from limbeck.distill.arms import ArmSpec
from limbeck.distill.train import Progress
from limbeck.errors import Interrupted, UsageError
from limbeck.models.local import read_card
from limbeck.workspace import Workspace

BOTH = ["--recipe", "label", "--recipe", "think-first"]


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch, trained: Workspace) -> list[ArmSpec]:
    """What would be trained; the training itself is left out."""
    specs: list[ArmSpec] = []
    students = sorted(trained.students.iterdir())

    def train_arms(given: list[ArmSpec], **_: object) -> list[Path]:
        specs.extend(given)
        return [students[0]] * len(given)

    monkeypatch.setattr(verb, "train_arms", train_arms)
    return specs


def test_students_are_trained_with_the_settings_of_the_workspace(trained: Workspace) -> None:
    cards = {
        (card := read_card(folder)).recipe: card for folder in sorted(trained.students.iterdir())
    }
    assert set(cards) == {"label", "think-first"}
    for card in cards.values():
        assert (card.steps, card.seed) == (5, 0)
        assert card.settings["vocabulary"] == 400


def test_finished_students_are_kept_and_shown(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["distill", "refunds", *BOTH, "--jobs", "1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["note"] is None
    assert [row["recipe"] for row in shown["students"]] == ["label", "think-first"]
    for row in shown["students"]:
        assert row["reused"]
        assert row["steps"] == 5
        assert row["parameters"] == read_card(Path(row["folder"])).parameters


@pytest.mark.parametrize(
    ("written", "given", "steps"),
    [("", [], 400), ("steps = 7", [], 7), ("steps = 7", ["--set", "steps=9"], 9)],
)
def test_the_command_line_goes_over_the_file_and_the_file_over_the_defaults(
    trained: Workspace, planned: list[ArmSpec], written: str, given: list[str], steps: int
) -> None:
    (trained.root / "limbeck.toml").write_text(f"[distill]\nbatch = 3\n{written}\n")
    assert main(["distill", "refunds", "--recipe", "label", *given]) == 0
    [spec] = planned
    assert (spec.settings.steps, spec.settings.batch) == (steps, 3)


def test_seeds_times_recipes_are_trained(planned: list[ArmSpec]) -> None:
    assert main(["distill", "refunds", *BOTH, "--seed", "4", "--seeds", "3"]) == 0
    assert [(spec.recipe, spec.settings.seed) for spec in planned] == [
        (recipe, seed) for recipe in ("label", "think-first") for seed in (4, 5, 6)
    ]


def test_without_a_recipe_the_control_is_among_them(planned: list[ArmSpec]) -> None:
    assert main(["distill", "refunds"]) == 0
    assert [spec.recipe for spec in planned] == ["label", "think-first"]


def test_a_dataset_may_be_a_folder_a_name_a_beginning_or_a_task(
    trained: Workspace, planned: list[ArmSpec]
) -> None:
    [folder] = trained.datasets.iterdir()
    for name in (str(folder), folder.name, folder.name[:10], "refunds"):
        assert main(["distill", name, "--recipe", "label"]) == 0
    assert {spec.dataset.resolve() for spec in planned} == {folder.resolve()}


def test_a_base_and_trust_are_handed_on(planned: list[ArmSpec], tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    for student in (str(tmp_path / "base"), "micro", "owner/model"):
        assert main(["distill", "refunds", "--student", student, "--trust-remote-code"]) == 0
    assert [spec.base for spec in planned[::2]] == [str(tmp_path / "base"), "micro", "owner/model"]
    assert all(spec.trust_remote_code for spec in planned)


# ---- the control --------------------------------------------------------------------------------


def test_a_missing_control_is_said_until_it_is_trained(
    trained: Workspace, planned: list[ArmSpec], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["distill", "refunds", "--recipe", "multitask", "--set", "steps=6"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "the control 'label' is not among the recipes and not trained yet" in said
    assert "add --recipe label" in said
    # With the settings of the file the control is there already.
    assert main(["distill", "refunds", "--recipe", "multitask"]) == 0
    assert "the control" not in capsys.readouterr().out
    assert main(["distill", "refunds", "--recipe", "multitask", "--seeds", "2", "--json"]) == 0
    assert "(seed 1)" in json.loads(capsys.readouterr().out)["note"]


# ---- what goes wrong ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["nothing"], 1, "there is no dataset 'nothing'"),
        (["refunds", "--set", "stps=3"], 2, "--set: unknown key 'stps' (did you mean 'steps'?)"),
        (["refunds", "--set", "steps"], 2, "--set got 'steps'; wanted key=value"),
        (["refunds", "--set", "steps=many"], 2, "--set: the key 'steps' is 'many'"),
        (["refunds", "--set", "steps=0"], 2, "--set: the key 'steps' is '0'"),
        (["refunds", "--recipe", "labl"], 1, "there is no recipe 'labl'"),
        (["refunds", "--recipe-set", "alpha=0.5"], 2, "'alpha' is no setting of label"),
        (
            ["refunds", "--recipe", "multitask", "--recipe-set", "multitask.alfa=1"],
            2,
            "(did you mean 'multitask.alpha'?); wanted one of multitask.alpha",
        ),
        (
            ["refunds", "--recipe", "multitask", "--recipe-set", "alpha=2"],
            1,
            "recipe setting 'alpha'",
        ),
        (["refunds", "--seeds", "0"], 2, "--seeds"),
        ([], 2, "see: limbeck distill --help"),
    ],
)
def test_a_wrong_line_is_one_sentence(
    trained: Workspace, args: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["distill", *args]) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_wrong_key_in_the_file_is_named_with_the_file(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    file = trained.root / "limbeck.toml"
    file.write_text("[distill]\nstps = 5\n")
    assert main(["distill", "refunds"]) == 1
    said = capsys.readouterr().err
    assert f"{file}: unknown key 'distill.stps' (did you mean 'steps'?)" in said


def test_a_wrong_base_is_one_sentence_from_the_worker(
    trained: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    line = ["distill", "refunds", "--recipe", "label", "--student", str(trained.tasks_folder)]
    assert main(line) == 1
    said = capfd.readouterr().err
    assert f"error: no student can be loaded from {str(trained.tasks_folder)!r}" in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_ctrl_c_saves_and_the_same_command_continues(trained: Workspace) -> None:
    line = ["distill", "refunds", "--recipe", "label", "--jobs", "1", "--set", "steps=60"]
    command = [sys.executable, "-m", "limbeck.cli.app", *line]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not list(trained.students.glob("*/unfinished")) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == Interrupted.exit_code
    assert "the same command continues from there" in said
    assert "Traceback" not in said
    [unfinished] = trained.students.glob("*/unfinished")
    assert (unfinished / "checkpoint.safetensors").exists()
    assert subprocess.run(command, check=False).returncode == 0
    assert read_card(unfinished.parent).steps == 60
    assert not unfinished.exists()


# ---- recipe settings ----------------------------------------------------------------------------


def test_a_recipe_setting_goes_to_the_recipes_that_have_it() -> None:
    recipes = ["label", "think-first", "answer-first", "multitask"]
    given = ["answer_weight=2", "think-first.rationale_weight=0.5", "alpha=0.30"]
    assert read_recipe_settings(recipes, given) == {
        "label": {},
        "think-first": {"answer_weight": 2.0, "rationale_weight": 0.5},
        "answer-first": {"answer_weight": 2.0},
        "multitask": {"alpha": 0.3},
    }


def test_a_setting_of_a_recipe_that_is_not_trained_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'multitask.alpha' is no setting of label; they have no"):
        read_recipe_settings(["label"], ["multitask.alpha=0.5"])


def test_progress_is_said_with_units() -> None:
    progress = Progress(100, 400, {"rationale": 0.5, "answer": 0.25}, 20_000, 50.0, 0.875, 5_000)
    assert say(progress) == (
        "answer 0.250  rationale 0.500  400 tokens/s  100 learned/s  2:30 left  verified 87.5%"
    )


def test_instructions_and_a_tracker_are_handed_on(planned: list[ArmSpec]) -> None:
    given = ["--with-instructions", "--track", "tensorboard"]
    assert main(["distill", "refunds", "--recipe", "label", *given]) == 0
    [spec] = planned
    assert spec.settings.with_instructions
    assert spec.track == "tensorboard"
