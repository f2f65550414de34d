"""What is worth knowing beside a verdict, and changed nothing in it."""

from __future__ import annotations

from collections.abc import Iterator

from limbeck.curate.assess.findings import Findings
from limbeck.curate.assess.settings import AssessSettings

CONTEXT_SHARE = 0.05
FAILED_SHARE = 0.05
MISSED = 0.03
"""A learning curve that misses its own last point by more is not to be carried on."""


def find_notes(found: Findings, settings: AssessSettings) -> Iterator[str]:
    """One sentence each; what is unknown comes first, with what would make it known."""
    yield from _volume(found, settings)
    yield from _cost(found)
    yield from _labels(found, settings)
    yield from _stability(found)
    yield from _chains(found, settings)


def _volume(found: Findings, settings: AssessSettings) -> Iterator[str]:
    volume = found.volume
    if volume.month is None:
        yield (
            "The traces have no times, so that neither volume nor change over time is known; state the "
            "volume with --set monthly_calls=N."
        )
    elif volume.without_time and not volume.stated:
        yield f"{volume.without_time:,} of {volume.calls:,} calls have no time; the others stand for them."
    if volume.month is not None and not volume.stated and volume.days < settings.min_days:
        yield (
            f"The calls span {volume.days:.1f} days; below {settings.min_days:g} the volume decides "
            "nothing."
        )
    trend = volume.trend
    if trend is not None and (trend.low > 0 or trend.high < 0):
        grow = "grow" if trend.value > 0 else "shrink"
        yield (
            f"The calls {grow} by {abs(trend.value):.0%} a month ({trend.low:+.0%} to "
            f"{trend.high:+.0%}); the months above take today's rate."
        )
    if volume.failed > FAILED_SHARE * volume.calls:
        yield f"{volume.failed:,} of {volume.calls:,} calls failed without an answer."
    if volume.with_context > CONTEXT_SHARE * volume.calls:
        yield (
            f"{volume.with_context / volume.calls:.0%} of the calls have earlier turns or media, which "
            "a student does not read."
        )


def _cost(found: Findings) -> Iterator[str]:
    cost = found.cost
    if cost.a_call is None:
        yield (
            "No cost is known: the traces have none, and the price library does not know their model; "
            "set [teacher] model or price in the task file."
        )
        return
    if cost.estimated:
        yield (
            f"{cost.estimated:,} calls came without token counts; their cost is estimated from the "
            "length of the text, at four characters a token."
        )
    if cost.unknown:
        yield f"{cost.unknown:,} calls have no known cost; the mean of the others stands for them."


def _labels(found: Findings, settings: AssessSettings) -> Iterator[str]:
    labels, teacher, baseline = found.labels, found.teacher, found.baseline
    if labels.source == "teacher":
        yield (
            f"{teacher.with_outcome:,} calls have an outcome, fewer than {settings.min_outcomes:,}: all "
            "accuracies are against the teacher's own word, which may be wrong."
        )
    if baseline.why_not is not None:
        yield f"No linear model was fitted: {baseline.why_not}."
    elif labels.majority and baseline.accuracy and baseline.accuracy.low <= labels.majority.high:
        yield "A linear model over words is no better than the most frequent answer."
    if baseline.missed is not None and baseline.missed > MISSED:
        yield (
            f"The learning curve misses its own last point by {100 * baseline.missed:.1f} points when "
            "fitted without it; do not build on where it leads."
        )
    right = teacher.right
    enough = right is not None and right.high / (1 - settings.max_risk) >= settings.coverage
    if labels.source == "outcome" and right and enough and right.high < 1 - settings.max_risk:
        yield (
            f"The teacher itself errs in {1 - right.value:.1%} of the calls with an outcome. A promise of "
            f"{settings.max_risk:.0%} can hold only where the student is surer than that, so that "
            f"{settings.coverage:.0%} local answers may be too much to hope for."
        )


def _stability(found: Findings) -> Iterator[str]:
    stability = found.stability
    if stability.scattered:
        yield (
            f"There are {stability.skeletons:,} skeletons to {found.volume.calls:,} calls: something "
            "varies in the instructions; name it in [call] of the task file."
        )
    elif stability.skeletons > 1:
        yield (
            f"The instructions had {stability.skeletons:,} versions; a student learns one, and only "
            "calls under today's are counted as labelled."
        )
    if stability.changed is not None:
        yield (
            f"The inputs changed in the week of {stability.changed:%Y-%m-%d}: expect more such changes, "
            "and calls that go back to the teacher after each."
        )


def _chains(found: Findings, settings: AssessSettings) -> Iterator[str]:
    chains = found.chains
    if chains is None:
        yield (
            "There are no rationales; ask for some with: limbeck elicit --task "
            f"{found.task}, or distil the labels alone."
        )
    elif chains.program.high < settings.program_like:
        yield (
            f"The chains are open-ended: {chains.program.value:.0%} of their sentences are templates or "
            "right arithmetic. Compare with the label-only control before you rely on them."
        )
