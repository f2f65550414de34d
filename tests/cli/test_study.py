from __future__ import annotations

import json
from pathlib import Path

import pytest

from limbeck.cli import study as verb
from limbeck.cli.app import main
from limbeck.evaluate.study.estimate import Estimate
from limbeck.evaluate.study.run import Plan
from limbeck.workspace import Workspace


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """What would be run; the trial of a few steps is left out."""
    found: list[Plan] = []

    def estimate(plan: Plan, *, jobs: int) -> Estimate:
        found.append(plan)
        return Estimate(
            students=len(plan.jobs),
            missing=len(plan.missing),
            steps=plan.settings.steps,
            seconds=90.0,
            side_by_side=2,
            tried=True,
        )

    monkeypatch.setattr(verb, "estimate", estimate)
    return found


def test_a_dry_run_says_what_it_takes_and_trains_nothing(
    trained: Workspace, plans: list[Plan], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["study", "recipes", "-t", "refunds", "--dry-run"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "4 arms, 3 seeds, 12 students of 5 steps" in said
    assert "12 to train: about 1 min 30 s, 2 side by side; no money is spent" in said
    [plan] = plans
    assert not (plan.home / "students").exists()
    assert plan.home == trained.home / "studies"


def test_options_reach_the_plan(
    trained: Workspace, plans: list[Plan], capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--with", "kinds=digits", "--with", "doses=1", "--seeds", "4", "--seed", "7"]
    training = ["--set", "steps=9", "--dry-run", "--json"]
    assert main(["study", "structure", "refunds", *options, *training]) == 0
    [plan] = plans
    assert (plan.seeds, plan.settings.steps, plan.settings.vocabulary) == ((7, 8, 9, 10), 9, 400)
    shown = json.loads(capsys.readouterr().out)
    assert [arm["name"] for arm in shown["arms"]] == ["label", "think-first", "digits 100%"]
    assert shown["estimate"]["missing"] == 12


@pytest.mark.parametrize(
    ("arguments", "code", "wanted"),
    [
        (["recipe", "-t", "refunds"], 2, "there is no study 'recipe'; wanted one of recipes, "),
        (["recipes"], 2, "wanted one of the two: limbeck study recipes --task TASK"),
        (["recipes", "x", "-t", "refunds"], 2, "got the dataset 'x' and --task 'refunds'"),
        (["recipes", "-t", "refunds", "--seeds", "2"], 2, "wants 3 seeds or more and got 2"),
        (["recipes", "-t", "refunds", "--with", "recipe=label"], 2, "known: recipes"),
        (["lora", "-t", "refunds"], 2, "'nano' starts from scratch"),
        (["recipes", "-t", "refunds", "--split", "tests"], 1, "has no split 'tests'"),
        (["recipes", "-t", "nothing"], 1, "there is no dataset 'nothing'"),
    ],
)
def test_what_cannot_be_studied_is_one_sentence(
    trained: Workspace,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    wanted: str,
) -> None:
    assert main(["study", *arguments]) == code
    assert wanted in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_a_study_is_run_to_its_page(
    trained: Workspace, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = trained.root / "limbeck.toml"
    file.write_text(file.read_text().replace("steps = 5", "steps = 2"))
    command = ["study", "recipes", "-t", "refunds", "--with", "recipes=multitask", "--jobs", "1"]
    assert main([*command, "--out", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [arm["name"] for arm in found["arms"]] == ["label", "multitask"]
    assert found["shown"][0].startswith("No arm is seen to beat always giving the commonest answer")
    assert "Which recipe" in (tmp_path / "out" / "study.html").read_text("utf-8")
    assert main([*command, "--out", str(tmp_path / "again")]) == 0
    said = capsys.readouterr().out
    assert "all of them are there already" in said
    assert str(tmp_path / "again" / "study.html") in said
