"""The page of an evaluation: every suite on it, nothing of the calls as markup."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from limbeck.errors import LimbeckError
from limbeck.evaluate.bias.bias import BiasSuite
from limbeck.evaluate.bias.swap import SwapTest
from limbeck.evaluate.calibration import CalibrationSuite, reliability
from limbeck.evaluate.dependence.dependence import DependenceSuite, Measure, Point, Propagation
from limbeck.evaluate.dependence.hint import Hint
from limbeck.evaluate.evaluate import Arm, Evaluation, SeedScore
from limbeck.evaluate.intervals import Interval, wilson
from limbeck.evaluate.outcome.cost import Cost
from limbeck.evaluate.outcome.outcome import Detail, OutcomeSuite
from limbeck.evaluate.outcome.scores import KindScores, choice_scores
from limbeck.evaluate.outcome.slices import Slice
from limbeck.evaluate.result import Result, Subjected
from limbeck.evaluate.shifted.shifted import Drop, Guess, Overfit, ShiftedSuite
from limbeck.evaluate.unseen import Seen
from limbeck.report.evaluation import write_evaluation
from limbeck.types import Example

HOSTILE = "<script>alert('x')</script> & \"quoted\" 漢字"
SPAN = Interval(low=0.1, high=0.3)


def outcome() -> OutcomeSuite:
    score = SeedScore(student="s", seed=0, right=40, n=60, accuracy=2 / 3, interval=wilson(40, 60))
    arm = Arm(
        recipe="label",
        base="nano",
        causal=False,
        parameters=900_000,
        seeds=(score,),
        accuracy=2 / 3,
        interval=score.interval,
        unanswered=0.0,
        tokens=3.0,
        seconds=0.01,
        train_seconds=10.0,
        steps=100,
        versus_control=None,
    )
    evaluation = Evaluation(
        task="t",
        dataset="sha256:0",
        split="test",
        n=60,
        train_examples=100,
        truth_sources={"gold": 60},
        majority=0.4,
        teacher=score,
        arms=(arm,),
        simulated=True,
        findings=(f"Something was found: {HOSTILE}.",),
    )
    examples = [
        Example(trace_id=str(at), input="q", choices=(HOSTILE, "deny"), answer=truth, truth=truth)
        for at, truth in enumerate([HOSTILE, "deny"] * 10)
    ]
    detail = Detail(
        recipe="label",
        base="nano",
        scores=KindScores(choice=choice_scores(examples, ["deny"] * 20)),
        slices=tuple(
            Slice(
                by="template", name=name, n=20, accuracy=0.2, interval=SPAN, apart=name == HOSTILE
            )
            for name in (HOSTILE, "b")
        ),
        recovered=None,
        cost=Cost(
            name="label", n=60, usd_per_thousand=0.0, seconds=0.01, p95_seconds=None, tokens=3
        ),
    )
    return OutcomeSuite(evaluation=evaluation, details=(detail,), teacher_cost=None)


def shifted() -> ShiftedSuite:
    drop = Drop(
        name="renamed",
        meaning="People get other names.",
        n=60,
        before=0.6,
        after=0.4,
        after_interval=SPAN,
        drop=-0.2,
        interval=Interval(low=-0.3, high=-0.1),
        paired=True,
        p_value=0.01,
        truth={"renamed": 60},
    )
    return ShiftedSuite(
        student="s",
        n=60,
        before=0.6,
        drops=(drop,),
        guess=Guess(n=60, accuracy=0.5, interval=SPAN, commonest=0.4, above=SPAN, guessing=True),
        overfit=Overfit(seen=0.6, new=0.4, n_seen=60, n_new=60, index=0.2, interval=SPAN),
        left_out={"new-numbers": 3},
        findings=("It loses most under 'renamed'.",),
    )


def dependence() -> tuple[DependenceSuite, ...]:
    points = tuple(Point(at=at, changed=0.2, interval=SPAN, drop=1.0) for at in (0.0, 0.5))
    measure = Measure(
        name="another's",
        meaning="m",
        unit="share changed",
        value=0.2,
        interval=SPAN,
        n=60,
        auroc=0.97,
        auroc_interval=Interval(low=0.95, high=0.99),
    )
    return (
        DependenceSuite(
            student="after",
            recipe="answer-first",
            causal=False,
            label="post-hoc by construction",
            findings=("It answers before it explains.",),
        ),
        DependenceSuite(
            student="before",
            recipe="think-first",
            causal=True,
            label=None,
            n=60,
            repeated=1.0,
            truncation=points,
            mistakes=points,
            measures=(measure,),
            followed_another=0.9,
            hint=Hint(
                n=60,
                followed=0.1,
                interval=SPAN,
                placebo=0.05,
                placebo_interval=SPAN,
                mentioned=0.0,
                mentioned_interval=SPAN,
            ),
            propagation=Propagation(flips=0.2, interval=SPAN, n=60, note="mean"),
            findings=("It hangs on its rationale.",),
        ),
    )


def bias() -> BiasSuite:
    swap = SwapTest(
        attribute="gender",
        n=40,
        flips=0.2,
        interval=SPAN,
        placebo=0.1,
        n_placebo=40,
        beyond=SPAN,
        control=0.1,
        added=0.1,
        added_interval=SPAN,
        teacher=None,
        teacher_interval=None,
        verdict="the answer follows the person, beyond instability",
    )
    return BiasSuite(
        student="s",
        control="c",
        teacher=None,
        swaps=(swap,),
        without=("place",),
        bbq=None,
        crows=None,
        findings=("Gender exchanged.",),
    )


@pytest.fixture
def result() -> Result:
    random = np.random.default_rng(0)
    said = random.random(100)
    calibration = CalibrationSuite(
        student="s",
        n=100,
        accuracy=0.5,
        reliabilities=(reliability("its own likelihood", said, random.random(100) < said),),
        findings=("It knows.",),
    )
    subject = Subjected(
        name="s",
        recipe="label",
        base="nano",
        seed=0,
        parameters=900_000,
        weights="sha256:1",
        dataset="sha256:0",
        seen=Seen(n=62, exact=2, near=0, rows=(3, 4)),
    )
    return Result(
        version="0",
        command=f"limbeck evaluate {HOSTILE}",
        task="t",
        dataset="sha256:0",
        split="test",
        n=60,
        simulated=True,
        subjects=(subject,),
        outcome=outcome(),
        shifted=(shifted(),),
        dependence=dependence(),
        bias=(bias(),),
        calibration=(calibration,),
    )


def test_every_suite_is_on_the_page_and_in_the_json(result: Result, tmp_path: Path) -> None:
    page = write_evaluation(result, tmp_path / "out")
    assert (
        Result.model_validate(json.loads((tmp_path / "out" / "evaluation.json").read_text()))
        == result
    )
    text = page.read_text()
    for title in ("Outcome", "Shifted", "Dependence", "Bias", "Calibration", "What was evaluated"):
        assert f">{title}</h2>" in text
    for wanted in (
        "post-hoc by construction",
        "0.97 [0.95, 0.99]",
        "fits only 3 items",
        "overfit index",
        "2 items of the split were seen in its training and left out",
        "Simulated.",
        "<strong>label differs from its own rest on 1 of 2 slices</strong>",
    ):
        assert wanted in text, wanted


def test_nothing_of_a_call_becomes_markup(result: Result, tmp_path: Path) -> None:
    text = write_evaluation(result, tmp_path).read_text()
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "default-src 'none'" in text


def test_a_suite_that_was_not_asked_for_has_no_section(result: Result, tmp_path: Path) -> None:
    only = result.model_copy(update={"outcome": None, "shifted": (), "bias": (), "calibration": ()})
    text = write_evaluation(only, tmp_path).read_text()
    assert ">Dependence</h2>" in text
    assert ">Outcome</h2>" not in text


def test_a_folder_that_cannot_be_written_is_one_sentence(result: Result, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LimbeckError, match="name another with --out"):
        write_evaluation(result, tmp_path / "file")


def test_what_was_evaluated_names_the_evaluation_and_its_numbers_do_not(result: Result) -> None:
    other = result.model_copy(update={"bias": (), "calibration": ()})
    assert other.id != result.id
    again = result.model_copy(update={"command": "another line"})
    assert again.id == result.id
