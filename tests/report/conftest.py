"""A run as the loop would sum it up: one task with a policy and fresh calls, one without either."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from limbeck.curate.summary import Accuracy, Generator, Lengths, Stage
from limbeck.curate.summary import Summary as DataSummary
from limbeck.evaluate.evaluate import Arm, Comparison, Evaluation, SeedScore
from limbeck.evaluate.intervals import Interval, clopper_pearson, wilson
from limbeck.evaluate.risk import Point
from limbeck.report.page import write_report
from limbeck.report.summary import (
    Alarm,
    Calibration,
    Capture,
    Cascade,
    Drop,
    Flagging,
    Look,
    Phase,
    Retrained,
    Shift,
    StageTime,
    Stretch,
    Summary,
    TaskSummary,
)
from limbeck.types import Policy

HOSTILE = "<script>alert('x')</script> & \"quoted\" | `code` *bold* [link](javascript:x) ü 漢字 🙂"
"""What a recorded call may hold; nothing of it may become markup."""


def seed_score(right: int, n: int, seed: int = 0, student: str = "s") -> SeedScore:
    return SeedScore(
        student=student, seed=seed, right=right, n=n, accuracy=right / n, interval=wilson(right, n)
    )


def arm(
    recipe: str,
    rights: list[int],
    n: int,
    *,
    causal: bool = False,
    tokens: float = 3.0,
    versus: Comparison | None = None,
) -> Arm:
    mean = sum(rights) / len(rights) / n
    return Arm(
        recipe=recipe,
        base="nano",
        causal=causal,
        parameters=940_416,
        seeds=tuple(seed_score(right, n, seed) for seed, right in enumerate(rights)),
        accuracy=mean,
        interval=wilson(round(mean * n), n),
        unanswered=0.0125,
        tokens=tokens,
        seconds=0.0021 * tokens,
        train_seconds=48.25,
        steps=600,
        versus_control=versus,
    )


def comparison(difference: float, low: float, high: float, p: float | None) -> Comparison:
    verdict = "better" if low > 0 else "worse" if high < 0 else "no difference seen"
    return Comparison(
        against="label",
        difference=difference,
        interval=Interval(low=low, high=high),
        p_value=p,
        verdict=verdict,
    )


def policy(task: str, threshold: float | None) -> Policy:
    return Policy(
        task=task,
        student="sha256:" + "5" * 64,
        skeleton="sha256:" + "6" * 64,
        max_risk=0.05,
        confidence=0.95,
        signals=("answer_log_probability",),
        center=(0.0,),
        scale=(1.0,),
        weights=(1.0,),
        bias=0.0,
        threshold=threshold,
        truth_source="gold",
        n_fit=197,
        n_bound=203,
        n_accepted=151 if threshold is not None else 61,
        n_errors=2 if threshold is not None else 3,
        p_value=0.0213 if threshold is not None else 0.6411,
        calibration_hash="sha256:" + "7" * 64,
    )


def curve(final: float) -> tuple[Point, ...]:
    """From a first mistake at the very top, which is noise, to `final` for all calls."""
    steady = [(i / 40, final * math.pow(i / 40, 2.2)) for i in range(2, 41)]
    return (
        Point(threshold=0.9999, coverage=0.0025, risk=1.0),
        *(Point(threshold=1 - c * 0.7, coverage=c, risk=r) for c, r in steady),
    )


def stretch(phase: Phase, calls: int, local: int, errors: int, look: Look | None = None) -> Stretch:
    return Stretch(
        phase=phase,
        calls=calls,
        right=calls - errors - 3,
        local=local,
        local_errors=errors,
        look=look,
    )


def look(audits: int, errors: int, low: float, high: float, capital: float) -> Look:
    interval = Interval(low=low, high=high)
    return Look(audits=audits, errors=errors, interval=interval, capital=capital, alarm_at=20.0)


def planted_shift() -> Shift:
    """Alarm after two stretches, and a next student that its audits confirmed."""
    return Shift(
        what="customers begin to write in another way",
        stretches=(
            stretch("before", 150, 105, 2, look(0, 0, 0.0, 1.0, 1.0)),
            stretch("before", 150, 111, 3, look(9, 0, 0.0, 0.5, 0.6)),
            stretch("shifted", 25, 21, 6, look(11, 1, 0.01, 0.6, 1.7)),
            stretch("shifted", 25, 20, 8, look(15, 4, 0.06, 0.7, 31.4)),
            stretch("fallback", 1_200, 0, 0),
            stretch("fallback", 1_200, 0, 0),
            stretch("canary", 200, 71, 2, look(18, 1, 0.0, 0.4, 0.9)),
            stretch("canary", 225, 77, 3, look(41, 1, 0.0, 0.2, 0.3)),
            stretch("after", 300, 212, 6, look(60, 2, 0.0, 0.15, 0.2)),
        ),
        alarm=Alarm(audits=6, errors=4, reason="4 of 15 audited answers were wrong"),
        retrained=Retrained(
            student="refunds-think-first-s1",
            recipe="think-first",
            how="from scratch, in 160 steps",
            train_examples=1_012,
            right=170,
            n=190,
            interval=wilson(170, 190),
            policy=policy("refunds", 0.91),
        ),
        share=0.5,
        canary="confirmed",
        audit_rate=0.05,
    )


@pytest.fixture(scope="session")
def shift() -> Shift:
    return planted_shift()


@pytest.fixture(scope="session")
def refunds() -> TaskSummary:
    """Three seeds an arm, a policy that holds, fresh calls behind the cascade, hostile drops."""
    data = DataSummary(
        traces=2_214,
        ran_on=31,
        with_outcome=2_160,
        funnel=(
            Stage(name="traces", left=2_214),
            Stage(name="teacher's replies", left=2_201),
            Stage(name="in one split only", left=2_187),
            Stage(name="passed the checks", left=1_804),
            Stage(name="truth known", left=1_790),
            Stage(name="one an input", left=1_776),
        ),
        splits={"train": 1_042, "validation": 122, "calibration": 406, "test": 206},
        drops={
            "wrong_answer": {"train": 121},
            "cut_off": {"train": 77},
            "contradiction": {"train": 68},
            "loop": {"train": 49},
            "missing_answer": {"train": 44},
            "nonsense": {"train": 24},
            "unknown_truth": {"test": 9, "validation": 5},
            "duplicate": {"train": 14},
            "leakage": {"calibration": 14},
            "failed_call": {"train": 11, "test": 2},
        },
        labels={"train": {"approve": 400, "deny": 642}},
        truth_sources={"train": {"gold": 1_042}, "test": {"gold": 200, "teacher_agreement": 6}},
        teacher={"test": Accuracy(right=183, known=206, share=183 / 206, low=0.838, high=0.9243)},
        lengths={
            "train": Lengths(chains=1_040, without=2, low=30, median=57, high=93, longest=131)
        },
        generators=(Generator(name="simulated", traces=2_214, simulated=2_214, licences=()),),
    )
    evaluation = Evaluation(
        task="refunds",
        dataset="sha256:" + "1" * 64,
        split="test",
        n=206,
        train_examples=1_042,
        truth_sources={"gold": 200, "teacher_agreement": 6},
        majority=0.3155,
        teacher=seed_score(183, 206, student="teacher"),
        arms=(
            arm("label", [172, 178, 175], 206),
            arm("multitask", [177, 174, 179], 206, versus=comparison(0.0081, -0.021, 0.0372, None)),
            arm(
                "think-first",
                [198, 194, 199],
                206,
                causal=True,
                tokens=71.4,
                versus=comparison(0.1068, 0.0615, 0.1521, None),
            ),
            arm(
                "answer-first",
                [161, 166, 158],
                206,
                versus=comparison(-0.0647, -0.11, -0.0194, None),
            ),
        ),
        simulated=True,
        findings=("Rationales helped here under think-first.",),
    )
    cascade = Cascade(
        calls=400,
        local=285,
        local_errors=5,
        local_share=clopper_pearson(285, 400),
        local_risk=clopper_pearson(5, 285),
        right=381,
        teacher_right=359,
        escalation_reasons={"below the threshold": 112, "the answer is not in form": 3},
        cost_usd=0.3712,
        teacher_only_usd=1.2861,
        local_p50=0.0213,
        local_p95=0.0482,
        escalated_p50=0.143,
        escalated_p95=0.3911,
        teacher_p50=0.1202,
    )
    return TaskSummary(
        task="refunds",
        instruction="Decide the return request.\nAnswer with one label.",
        dataset="refunds-11111111",
        capture=Capture(
            teacher="limbeck-simulated-teacher",
            simulated=True,
            calls=2_214,
            refused_by_teacher=13,
            outcomes=2_160,
            cost_usd=7.1189,
            latency_p50=0.1189,
            latency_p95=0.3127,
            seconds=21.4,
        ),
        data=data,
        data_caveats=("2,214 of 2,214 traces are simulated.",),
        drops=(
            Drop(
                reason="wrong_answer",
                evidence="said 'approve', the truth is 'deny'",
                input="Order 4411: blender, 41 days ago, opened.\n\nMessage: it hums, I want my money",
                rationale="41 days is within 60 days, so approve.",
                answer="approve",
            ),
            Drop(reason="loop", evidence=HOSTILE, input=HOSTILE, rationale=HOSTILE, answer=HOSTILE),
        ),
        flagging=Flagging(
            spoiled=412,
            caught=371,
            clean=1_139,
            lost=12,
            by_fault={"wrong_step_wrong_answer": (119, 123), "loop": (49, 49), "slow": (0, 0)},
        ),
        evaluation=evaluation,
        calibration=Calibration(
            student="refunds-think-first-s0",
            recipe="think-first",
            chosen_by="validation accuracy",
            policy=policy("refunds", 0.8734),
            more_calls_needed=0,
            curve=curve(0.058),
            aurc=0.0177,
            chosen_coverage=0.7233,
            chosen_risk=0.0284,
        ),
        cascade=cascade,
        shift=planted_shift(),
        findings=(
            *evaluation.findings,
            "think-first needs 71.4 tokens an answer where label needs 3.0.",
        ),
    )


@pytest.fixture(scope="session")
def ledger() -> TaskSummary:
    """One seed an arm, nothing dropped, no threshold, no fresh calls, no log of the truth."""
    data = DataSummary(
        traces=900,
        ran_on=0,
        with_outcome=900,
        funnel=(Stage(name="traces", left=900), Stage(name="one an input", left=900)),
        splits={"train": 630, "validation": 90, "calibration": 90, "test": 90},
        drops={},
        labels={},
        truth_sources={},
        teacher={},
        lengths={},
        generators=(),
    )
    return TaskSummary(
        task="ledger",
        instruction=HOSTILE,
        dataset="sha256:" + "2" * 64,
        capture=Capture(
            teacher="limbeck-simulated-teacher",
            simulated=True,
            calls=900,
            refused_by_teacher=0,
            outcomes=900,
            cost_usd=0.0,
            latency_p50=0.0009,
            latency_p95=0.0017,
            seconds=3.3,
        ),
        data=data,
        data_caveats=(),
        drops=(),
        flagging=None,
        evaluation=Evaluation(
            task="ledger",
            dataset="sha256:" + "2" * 64,
            split="test",
            n=90,
            train_examples=630,
            truth_sources={"gold": 90},
            majority=0.0222,
            teacher=None,
            arms=(
                arm("label", [21], 90),
                arm(
                    "think-first",
                    [24],
                    90,
                    causal=True,
                    versus=comparison(0.0333, -0.04, 0.11, 0.6072),
                ),
            ),
            simulated=True,
            findings=("No difference seen between think-first and the label-only control.",),
        ),
        calibration=Calibration(
            student="ledger-think-first-s0",
            recipe="think-first",
            chosen_by="validation accuracy",
            policy=policy("ledger", None),
            more_calls_needed=1_240,
            curve=curve(0.7333),
            aurc=0.4123,
            chosen_coverage=None,
            chosen_risk=None,
        ),
        cascade=None,
        findings=(HOSTILE,),
    )


@pytest.fixture(scope="session")
def summary(refunds: TaskSummary, ledger: TaskSummary) -> Summary:
    return Summary(
        version="0.1.0",
        title="Limbeck demo: refunds, ledger",
        simulated=True,
        seed=7,
        command="limbeck demo --seed 7",
        machine={"processor": "x86_64, 2 cores", "python": "3.12.3", "torch": "2.13.0"},
        seconds=268.4,
        peak_memory_mb=1_184.2,
        stages=(
            StageTime(stage="capture", task="refunds", seconds=21.4),
            StageTime(stage="capture", task="ledger", seconds=3.3),
            StageTime(stage="curate", task="refunds", seconds=2.12),
            StageTime(stage="distill", task="refunds", seconds=144.8),
            StageTime(stage="distill", task="ledger", seconds=61.3),
            StageTime(stage="evaluate", task="refunds", seconds=19.2),
            StageTime(stage="cascade", task="refunds", seconds=14.5),
            StageTime(stage="report", task="", seconds=1.78),
        ),
        tasks=(refunds, ledger),
    )


@pytest.fixture(scope="session")
def written(summary: Summary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report of the whole run; it is not to be changed."""
    return write_report(summary, tmp_path_factory.mktemp("run")).parent


@pytest.fixture(scope="session")
def page(written: Path) -> str:
    return (written / "report.html").read_text("utf-8")


@pytest.fixture(scope="session")
def hostile() -> str:
    return HOSTILE
