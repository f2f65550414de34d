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
    shown = json.loads(capsys.readouterr().out)["outcome"]["evaluation"]
    assert [arm["recipe"] for arm in shown["arms"]] == ["label", "think-first"]
    versus = shown["arms"][1]["versus_control"]
    assert versus["interval"]["low"] <= versus["difference"] <= versus["interval"]["high"]
    assert shown["n"] == shown["teacher"]["n"]


def test_a_page_and_its_json_are_written_and_hold_the_same(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    out = trained.root / "evaluation"
    args = ["evaluate", "refunds-think", "--suite", "outcome", "--suite", "calibration"]
    assert main([*args, "--out", str(out), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert json.loads((out / "evaluation.json").read_text()) == shown
    # The control of the student came along by itself.
    assert [one["recipe"] for one in shown["subjects"]] == ["think-first", "label"]
    assert [one["seen"]["rows"] for one in shown["subjects"]] == [[], []]
    assert len(shown["calibration"]) == 2
    page = (out / "evaluation.html").read_text()
    assert '<h2 id="s2">Calibration</h2>' in page
    assert "<script" not in page


def test_two_students_are_compared_item_by_item(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--compare", "refunds-think", "refunds-label", "--json"]) == 0
    [[first, versus]] = json.loads(capsys.readouterr().out)["outcome"]["pairs"]
    assert first.startswith("refunds-think-first")
    assert versus["against"].startswith("refunds-label")
    assert 0 < versus["p_value"] <= 1
    assert main(["evaluate", "--compare", "refunds-think", "refunds-label"]) == 0
    assert " against refunds-label-" in capsys.readouterr().out


def test_a_student_that_only_answers_is_labelled_and_given_no_measure(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["evaluate", "refunds-label", "--suite", "dependence", "--items", "20", "--json"]) == 0
    )
    [suite] = json.loads(capsys.readouterr().out)["dependence"]
    assert suite["label"] == "post-hoc by construction"
    assert suite["measures"] == []


def test_a_student_of_an_older_dataset_is_asked_only_what_it_never_saw(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["curate", "--task", "refunds", "--set", "duplicates.near=true"]) == 0
    [older] = {
        json.loads((one / "limbeck.json").read_text())["dataset"]
        for one in trained.students.iterdir()
    }
    newer = max(trained.datasets.iterdir(), key=lambda one: one.stat().st_mtime_ns)
    capsys.readouterr()
    assert older.removeprefix("sha256:")[:8] not in newer.name
    args = ["evaluate", "refunds-label", "--dataset", str(newer), "--json"]
    assert main(args) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["dataset"] != older
    assert shown["outcome"]["evaluation"]["n"] == shown["n"]


def test_a_name_may_be_a_folder_or_the_beginning_of_a_name(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    [folder] = trained.students.glob("refunds-label-*")
    for name in (str(folder), folder.name, "refunds-l"):
        assert main(["evaluate", name, "--split", "calibration", "--json"]) == 0
        assert (
            json.loads(capsys.readouterr().out)["outcome"]["evaluation"]["arms"][0]["seeds"][0][
                "student"
            ]
            == folder.name
        )


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["nobody"], 1, "there is no student 'nobody'"),
        (["refunds"], 2, "'refunds' may be more than one student: refunds-label-"),
        ([], 2, "wanted one of the two"),
        (["refunds-l", "--task", "refunds"], 2, "wanted one of the two"),
        (["--task", "refund"], 1, "there is no dataset 'refund'"),
        (["refunds-l", "--split", "tests"], 1, "has no split 'tests'; wanted one of train"),
        (["refunds-l", "--split", "train"], 1, "the split 'train' trained the students or chose"),
        (["refunds-l", "--split", "validation"], 1, "name a fresh one: --split test"),
        (["refunds-l", "--paraphrase"], 2, "add --teacher PROVIDER:MODEL"),
        (["--compare", "refunds-l", "refunds-l"], 2, "wanted two different students"),
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
