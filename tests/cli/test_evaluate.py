from __future__ import annotations

import json
import shutil

import pytest

from limbeck.cli.app import main
from limbeck.workspace import Workspace


def test_students_are_compared_with_the_control(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--task", "refunds"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "refunds: " in said
    assert "95 % intervals" in said
    for wanted in ("label", "think-first", "teacher 100.0%", "simulated", "- One seed an arm"):
        assert wanted in said
    assert len(list(trained.students.glob("*/answers-test-*.parquet"))) == 2

    # What was said is kept, so the weights are not needed for a second look.
    for weights in trained.students.glob("*/model.safetensors"):
        weights.unlink()
    assert main(["evaluate", "refunds-label", "refunds-think", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [arm["recipe"] for arm in shown["arms"]] == ["label", "think-first"]
    versus = shown["arms"][1]["versus_control"]
    assert versus["interval"]["low"] <= versus["difference"] <= versus["interval"]["high"]
    assert shown["n"] == shown["teacher"]["n"]


def test_a_name_may_be_a_folder_or_the_beginning_of_a_name(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    [folder] = trained.students.glob("refunds-label-*")
    for name in (str(folder), folder.name, "refunds-l"):
        assert main(["evaluate", name, "--split", "validation", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["arms"][0]["seeds"][0]["student"] == folder.name


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["nobody"], 1, "there is no student 'nobody'"),
        (["refunds"], 2, "'refunds' may be more than one student: refunds-label-"),
        ([], 2, "wanted one of the two"),
        (["refunds-l", "--task", "refunds"], 2, "wanted one of the two"),
        (["--task", "refund"], 1, "there is no dataset 'refund'"),
        (["refunds-l", "--split", "tests"], 1, "has no split 'tests'; wanted one of train"),
        (["/nowhere"], 1, "there is no student '/nowhere'"),
    ],
)
def test_a_wrong_line_is_one_sentence(
    trained: Workspace, args: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if args == ["--task", "refund"]:
        shutil.rmtree(trained.datasets)
    assert main(["evaluate", *args]) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_folder_without_a_card_is_told_how_it_could_be_used(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    (trained.root / "plain-model").mkdir()
    assert main(["evaluate", "./plain-model"]) == 1
    said = capsys.readouterr().err
    assert "has no limbeck.json, so it is not a student that limbeck made" in said
    assert "limbeck distill DATASET --student FOLDER" in said


def test_an_unfinished_student_is_called_unfinished(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    (trained.students / "refunds-multitask-s0-0" / "unfinished").mkdir(parents=True)
    assert main(["evaluate", "refunds-multitask-s0-0"]) == 1
    assert "is unfinished; run the same limbeck distill command" in capsys.readouterr().err


def test_students_of_different_datasets_are_not_compared(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    [label] = trained.students.glob("refunds-label-*")
    card = json.loads((label / "limbeck.json").read_text())
    other = trained.students / "other"
    other.mkdir()
    (other / "limbeck.json").write_text(json.dumps({**card, "dataset": "sha256:abcdef0123"}))
    assert main(["evaluate", "refunds-label", "other"]) == 2
    said = capsys.readouterr().err
    assert "learned from different datasets" in said
    assert "other on refunds-abcdef01" in said


def test_a_dataset_that_has_gone_is_named_and_may_be_given(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    [dataset] = trained.datasets.iterdir()
    moved = trained.root / "elsewhere"
    dataset.rename(moved)
    assert main(["evaluate", "refunds-label"]) == 1
    said = capsys.readouterr().err
    assert f"the dataset {dataset.name!r} that the student learned from is not in" in said
    assert "--dataset" in said
    assert main(["evaluate", "refunds-label", "--dataset", str(moved), "--json"]) == 0


def test_a_task_without_students_says_how_to_make_one(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(trained.students)
    assert main(["evaluate", "--task", "refunds"]) == 1
    assert "make one with: limbeck distill refunds-" in capsys.readouterr().err
