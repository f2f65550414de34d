from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from limbeck.cli import calibrate
from limbeck.cli.app import main
from limbeck.cli.evaluate import ask_all
from limbeck.curate.dataset import read_dataset
from limbeck.errors import ConfigError
from limbeck.evaluate.answers import Answers
from limbeck.evaluate.policy_file import read_policy
from limbeck.evaluate.promotion import read_promotion
from limbeck.models.local import read_card
from limbeck.workspace import Workspace

EASY = ["--max-risk", "0.2", "--confidence", "0.9"]


@pytest.fixture
def label(trained: Workspace) -> Path:
    [folder] = trained.students.glob("refunds-label-*")
    return folder


@pytest.fixture
def told(trained: Workspace, label: Path) -> Callable[[float], None]:
    """`told(share)` lets the student have been right on that share of the calibration split."""

    def tell(share: float) -> None:
        [folder] = trained.datasets.iterdir()
        examples = read_dataset(folder).split("calibration")
        n = len(examples)
        right = np.arange(n) < share * n
        choices = read_card(label).task.answer.choices
        frame = pl.DataFrame(
            {
                "trace_id": [e.trace_id for e in examples],
                "answer": [
                    e.truth if ok else next(c for c in choices if c != e.truth)
                    for e, ok in zip(examples, right.tolist(), strict=True)
                ],
                "rationale": [None] * n,
                "logprobs": [[-0.1 if ok else -3.0] for ok in right.tolist()],
                "margin": [3.0 if ok else 0.1 for ok in right.tolist()],
                "rationale_logprob": [0.0] * n,
                "new_tokens": [2] * n,
                "stopped": [True] * n,
                "seconds": [0.01] * n,
            },
            schema_overrides={"rationale": pl.String},
        )
        weights = read_card(label).weights.removeprefix("sha256:")[:8]
        frame.write_parquet(label / f"answers-calibration-{weights}.parquet")

    return tell


def test_a_promise_is_said_in_words_and_kept_beside_the_student(
    label: Path, told: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    told(0.95)
    assert main(["calibrate", "refunds-label", *EASY]) == 0
    said = capsys.readouterr().out
    policy = read_policy(label)
    assert policy is not None
    assert policy.threshold is not None
    assert "Promised: with confidence 90.0%, at most 20.0% of the answers" in said
    assert f"Tested on {policy.n_bound} calls" in said
    assert f"{policy.n_errors} of {policy.n_accepted} answers were wrong" in said
    assert "answers known to be right" in said
    assert "exchangeable" in said
    assert f"limbeck promote {label.name}" in said
    assert policy.student == read_card(label).id


def test_a_student_that_is_never_right_gets_no_promise_and_that_is_no_error(
    label: Path, told: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    told(0.0)
    assert main(["calibrate", "refunds-label", *EASY]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Nothing is promised: no threshold keeps")
    assert "train a better one" in said
    assert "limbeck promote" not in said
    policy = read_policy(label)
    assert policy is not None
    assert policy.threshold is None


def test_too_few_calls_are_counted(
    label: Path, told: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    told(1.0)
    assert main(["calibrate", "refunds-label", "--max-risk", "0.02", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["policy"]["threshold"] is None
    assert shown["share_local"] == 0.0
    assert shown["more_calls_needed"] > 0
    assert f"About {shown['more_calls_needed']:,} more labelled calls" in shown["sentences"][-1]


def test_a_student_that_says_nothing_in_form_is_told_so(
    label: Path, told: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    told(1.0)
    [kept] = label.glob("answers-calibration-*.parquet")
    pl.read_parquet(kept).with_columns(answer=pl.lit("perhaps")).write_parquet(kept)
    assert main(["calibrate", "refunds-label"]) == 0
    assert "It gave no answer in the task's form" in capsys.readouterr().out


def test_each_signal_is_reported_by_what_it_adds(
    label: Path, told: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    told(0.5)
    assert main(["calibrate", "refunds-label", *EASY, "--signals", "lowest,margin", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["policy"]["signals"] == ["lowest", "margin"]
    assert [one["signal"] for one in shown["signals"]] == ["lowest", "margin"]
    assert shown["signals"][0]["alone"] == 1.0
    assert main(["calibrate", "refunds-label", *EASY]) == 0
    said = capsys.readouterr().out
    assert "What tells right from wrong (logistic)" in said
    assert "novelty" in said


def test_other_promises_are_said_in_their_own_words(
    label: Path, told: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    told(0.95)
    lines = {
        ("--min-accuracy", "0.8"): "at least 80.0% of all answers are right, whoever gives them",
        ("--max-regret", "0.3"): "wrong more often than the teacher's would be by at most 30.0%",
        ("--budget", "5", "--teacher-cost", "0.01"): "a thousand calls cost at most $5.00",
        ("--max-risk", "0.2", "--by", "label"): "for each label, at most 20.0%",
    }
    for args, words in lines.items():
        assert main(["calibrate", "refunds-label", "--confidence", "0.9", *args]) == 0
        assert words in capsys.readouterr().out


def test_where_the_truth_is_the_teachers_word_agreement_is_promised_and_nothing_more(
    trained: Workspace,
    label: Path,
    told: Callable[[float], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told(0.95)

    def of_the_teacher(*given: Any, **named: Any) -> list[Answers]:
        [found] = ask_all(*given, **named)
        weaker = {"truth_source": "teacher_agreement"}
        examples = [example.model_copy(update=weaker) for example in found.examples]
        return [replace(found, examples=examples)]

    monkeypatch.setattr(calibrate, "ask_all", of_the_teacher)
    assert main(["calibrate", "refunds-label", *EASY]) == 0
    said = capsys.readouterr().out
    assert "are not what the teacher would say" in said
    assert "answers were not the teacher's" in said
    assert "agreement with the teacher, who may be wrong too" in said
    assert "are wrong" not in said


def test_dear_signals_ask_the_student_again(
    label: Path, told: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    told(0.95)
    assert (
        main(
            ["calibrate", "refunds-label", *EASY, "--signals", "lowest,agreement", "--samples", "2"]
        )
        == 0
    )
    policy = read_policy(label)
    assert policy is not None
    assert (policy.signals, policy.samples) == (("lowest", "agreement"), 2)


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["nobody"], 1, "there is no student 'nobody'"),
        (["refunds-l", "--max-risk", "5"], 2, "--max-risk is 5.0; wanted a number between 0 and 1"),
        (["refunds-l", "--confidence", "1"], 2, "--confidence is 1.0"),
        ([], 2, "see: limbeck calibrate --help"),
        (["refunds-l", "--max-risk", "0.1", "--budget", "2"], 2, "a policy has one aim"),
        (["refunds-l", "--budget", "2"], 2, "give it with --teacher-cost"),
        (["refunds-l", "--budget", "-2"], 2, "--budget is -2.0; wanted USD"),
        (["refunds-l", "--max-regret", "0.1", "--by", "label"], 2, "wanted a risk"),
        (["refunds-l", "--signals", "mood"], 2, "there is no signal 'mood'"),
    ],
)
def test_a_wrong_line_is_one_sentence(
    trained: Workspace, args: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["calibrate", *args]) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


# ---- promote ------------------------------------------------------------------------------------


def test_a_promoted_student_serves_its_task(
    trained: Workspace,
    label: Path,
    told: Callable[[float], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    told(0.95)
    main(["calibrate", "refunds-label", *EASY])
    capsys.readouterr()
    assert main(["promote", "refunds-label"]) == 0
    said = capsys.readouterr().out
    assert "at most 20.0% wrong, with confidence 90.0%" in said
    assert "! the task is in mode 'record', so the teacher answers" in said
    promotion = read_promotion(trained, "refunds")
    assert promotion is not None
    assert promotion.student_folder == label.name
    assert promotion.policy == read_policy(label)


def test_a_canary_takes_a_share_and_is_taken_back(
    trained: Workspace,
    label: Path,
    told: Callable[[float], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    told(0.95)
    main(["calibrate", "refunds-label", *EASY])
    main(["promote", "refunds-label"])
    assert main(["promote", "refunds-label", "--canary", "0.25"]) == 0
    assert "decides 25.0% of the calls" in capsys.readouterr().out
    promotion = read_promotion(trained, "refunds")
    assert promotion is not None
    assert promotion.share == 0.25
    assert promotion.before is not None
    assert main(["rollback", "--task", "refunds", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["student"] == label.name
    assert main(["rollback", "--task", "refunds"]) == 0
    assert "the teacher answers" in capsys.readouterr().out
    assert main(["rollback", "--task", "refunds"]) == ConfigError.exit_code
    assert "nothing to take back" in capsys.readouterr().err


def test_what_keeps_a_promoted_student_from_answering_is_said(
    trained: Workspace,
    label: Path,
    told: Callable[[float], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    told(0.95)
    main(["calibrate", "refunds-label", *EASY])
    capsys.readouterr()
    task = trained.task("refunds").model_copy(update={"mode": "cascade"})
    trained.write_task(task)
    assert main(["promote", "refunds-label", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == []
    changed = {"stakes": "high", "instruction": "Decide otherwise."}
    trained.write_task(task.model_copy(update=changed))
    assert main(["promote", "refunds-label", "--json"]) == 0
    high, other = json.loads(capsys.readouterr().out)["notes"]
    assert "stakes of the task are high" in high
    assert "not the one that the student learned" in other


def test_a_student_without_a_promise_is_not_promoted(
    trained: Workspace,
    label: Path,
    told: Callable[[float], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["promote", "refunds-label"]) == 1
    assert f"fit one first: limbeck calibrate {label.name}" in capsys.readouterr().err
    told(0.0)
    main(["calibrate", "refunds-label"])
    capsys.readouterr()
    assert main(["promote", "refunds-label"]) == 1
    assert "has no threshold" in capsys.readouterr().err
    (label / "policy.json").write_text("{")
    assert main(["promote", "refunds-label"]) == 1
    assert "fit it again: limbeck calibrate" in capsys.readouterr().err
    assert read_promotion(trained, "refunds") is None


def test_a_student_outside_of_the_workspace_is_not_promoted(
    trained: Workspace,
    label: Path,
    told: Callable[[float], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    told(0.95)
    main(["calibrate", "refunds-label", *EASY])
    capsys.readouterr()
    moved = label.rename(trained.root / "elsewhere")
    assert main(["promote", str(moved)]) == 1
    assert "copy the folder there and promote it by its name" in capsys.readouterr().err
