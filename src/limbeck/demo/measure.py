"""The numbers of a run, from what its stages left behind."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from limbeck.curate.dataset import Dataset
from limbeck.demo.asking import Answered
from limbeck.demo.traffic import Seen
from limbeck.evaluate.evaluate import Evaluation
from limbeck.evaluate.intervals import clopper_pearson
from limbeck.evaluate.risk import Point
from limbeck.models.prices import cost_usd
from limbeck.report.summary import Calibration, Capture, Cascade, Drop, Flagging
from limbeck.types import Price, Usage

POINTS = 120
"""Points of a curve that a figure can show."""


def capture_numbers(
    answered: Sequence[Answered | None],
    *,
    teacher: str,
    simulated: bool,
    price: Price,
    outcomes: int,
    seconds: float,
) -> Capture:
    """What recording cost, as the clients saw it."""
    got = [one for one in answered if one is not None]
    took = np.array([one.seconds for one in got]) if got else np.zeros(1)
    return Capture(
        teacher=teacher,
        simulated=simulated,
        calls=len(answered),
        refused_by_teacher=len(answered) - len(got),
        outcomes=outcomes,
        cost_usd=_cost(got, price),
        latency_p50=float(np.quantile(took, 0.5)),
        latency_p95=float(np.quantile(took, 0.95)),
        seconds=seconds,
    )


def cascade_numbers(
    answered: Sequence[Answered | None],
    without: Sequence[Answered | None],
    price: Price,
    seen: Seen | None = None,
) -> Cascade:
    """The same fresh questions through the cascade (`answered`) and to the teacher alone (`without`).

    Only questions that both answered count, so that the two are compared on the same items. `seen` are
    the traces of the first: they say why the teacher was asked, and what the audits cost.
    """
    pairs = [
        (a, b) for a, b in zip(answered, without, strict=True) if a is not None and b is not None
    ]
    mine, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    local = [one for one in mine if one.local]
    escalated = [one for one in mine if not one.local]
    wrong = sum(not one.right for one in local)
    return Cascade(
        calls=len(pairs),
        local=len(local),
        local_errors=wrong,
        local_share=clopper_pearson(len(local), len(pairs)),
        local_risk=clopper_pearson(wrong, len(local)),
        right=sum(one.right for one in mine),
        teacher_right=sum(one.right for one in theirs),
        escalation_reasons=_reasons(seen) if seen is not None else {},
        cost_usd=_cost(escalated, price) + (_audits_usd(seen) if seen is not None else 0.0),
        teacher_only_usd=_cost(theirs, price),
        local_p50=_quantile(local, 0.5),
        local_p95=_quantile(local, 0.95),
        escalated_p50=_quantile(escalated, 0.5),
        escalated_p95=_quantile(escalated, 0.95),
        teacher_p50=_quantile(theirs, 0.5),
    )


def _reasons(seen: Seen) -> dict[str, int]:
    asked = (trace for trace in seen.replies.values() if trace.provenance.source != "student")
    found = Counter(trace.routing.reason for trace in asked if trace.routing is not None)
    return dict(found.most_common())


def _audits_usd(seen: Seen) -> float:
    return sum(trace.cost_usd or 0.0 for trace in seen.checks.values())


def readable_drops(dataset: Dataset, each: int = 3) -> tuple[Drop, ...]:
    """Up to `each` short examples of every reason for which training traces were dropped."""
    frame = dataset.dropped().filter(pl.col("split") == "train")
    chosen = (
        frame.with_columns(pl.col("rationale").fill_null("").str.len_chars().alias("size"))
        .sort("reason", "size", "trace_id")
        .group_by("reason", maintain_order=True)
        .head(each)
    )
    return tuple(
        Drop(
            reason=row["reason"],
            evidence=row["evidence"] or "",
            input=_short(row["input"]),
            rationale=_short(row["rationale"]),
            answer=_short(row["answer"]),
        )
        for row in chosen.iter_rows(named=True)
    )


def flagging(dataset: Dataset, truth_log: Path) -> Flagging | None:
    """Curation's drops in the training split against the simulated teacher's own log.

    The log was never an input of curation; this only measures it. Rows dropped as duplicates or for
    a busy teacher are nobody's fault and do not count.
    """
    if not truth_log.exists():
        return None
    with truth_log.open(encoding="utf-8") as lines:
        faults = {row["input"]: row["fault"] for row in map(json.loads, lines)}
    kept = set(dataset.rows("train")["input"])
    frame = dataset.dropped().filter(
        (pl.col("split") == "train")
        & ~pl.col("reason").is_in(["failed_call", "duplicate", "leakage", "student_reply"])
    )
    gone = set(frame["input"]) - kept
    caught: Counter[str] = Counter()
    total: Counter[str] = Counter()
    clean = lost = 0
    for text in kept | gone:
        if text not in faults:
            continue
        fault, dropped = faults[text], text in gone
        if fault is None:
            clean += 1
            lost += dropped
        else:
            total[fault] += 1
            caught[fault] += dropped
    return Flagging(
        spoiled=sum(total.values()),
        caught=sum(caught.values()),
        clean=clean,
        lost=lost,
        by_fault={fault: (caught[fault], total[fault]) for fault in sorted(total)},
    )


def thinned(points: Sequence[Point]) -> tuple[Point, ...]:
    """At most `POINTS` of a curve, its ends among them."""
    if len(points) <= POINTS:
        return tuple(points)
    picked = np.unique(np.linspace(0, len(points) - 1, POINTS).round().astype(int))
    return tuple(points[at] for at in picked)


def task_findings(
    evaluation: Evaluation,
    calibration: Calibration | None,
    cascade: Cascade | None,
    *,
    quick: bool = False,
    shift_planned: bool = False,
) -> tuple[str, ...]:
    """What the numbers of a task show and what they do not, in plain sentences."""
    said = list(evaluation.findings)
    if quick:
        said.append(
            "This is the quick size: it shows the stages within a minute, and its students get too few "
            "steps to learn the task. Run without --quick for numbers that mean something, and to see "
            "what happens when the calls change: this size leaves that out."
        )
    if calibration is not None and calibration.policy.threshold is None:
        more = calibration.more_calls_needed
        hope = (
            f"about {more:,} more labelled calls might change that"
            if more is not None
            else "more labelled calls would not change that: the student must get better first"
        )
        said.append(
            f"No threshold keeps the promised error rate of {calibration.policy.max_risk:.0%}, so there is "
            f"no policy and the teacher answers everything; {hope}."
        )
    if shift_planned and (cascade is None or not cascade.local):
        said.append(
            "No shift was planted: a student that answers nothing alone promises nothing that could break."
        )
    if cascade is not None and cascade.local:
        risk = cascade.local_errors / cascade.local
        kept = "inside" if risk <= (calibration.policy.max_risk if calibration else 0) else "above"
        said.append(
            f"On {cascade.calls:,} fresh calls the student answered {cascade.local / cascade.calls:.1%} "
            f"alone and was wrong in {risk:.1%} of those, {kept} the promise; overall "
            f"{cascade.right / cascade.calls:.1%} were right, against "
            f"{cascade.teacher_right / cascade.calls:.1%} with the teacher alone on the same calls."
        )
    if evaluation.simulated:
        said.append(
            "The teacher and the task are simulated: these numbers show that the loop works, not what a "
            "student will reach on your task."
        )
    return tuple(said)


def _cost(answered: Sequence[Answered], price: Price) -> float:
    tokens = [Usage(input=one.tokens_in, output=one.tokens_out) for one in answered]
    # A sandbox task gives its price in full, so the price list and the model's name do not matter.
    return sum(cost_usd("", usage, price) or 0.0 for usage in tokens)


def _quantile(answered: Sequence[Answered], share: float) -> float:
    return float(np.quantile([one.seconds for one in answered], share)) if answered else 0.0


def _short(text: str | None, most: int = 600) -> str:
    text = text or ""
    return text if len(text) <= most else f"{text[:most]}…"
