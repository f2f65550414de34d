"""From the findings to one of go, wait and don't, with its reasons in plain sentences.

A reason against comes first: no number of labels makes a task worth distilling that a linear model
solves, or that saves less than it costs. Then what is missing. What is left is a go.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from limbeck.curate.assess.chance import DAYS_A_MONTH, labels_for_promise
from limbeck.curate.assess.findings import BreakEven, Decision, Estimate, Findings
from limbeck.curate.assess.notes import find_notes
from limbeck.curate.assess.settings import AssessSettings


def decide(found: Findings, settings: AssessSettings) -> Decision:
    """The verdict on what was found; the same findings and settings give the same words."""
    target = target_of(found, settings)
    needed = labels_needed(found, settings)
    against = list(_against(found, settings, target))
    missing = list(_missing(found, settings, needed))
    if against:
        verdict, more, reasons = "dont", None, against
    elif missing:
        more = max(n for n, _ in missing)
        verdict, reasons = "wait", [reason for _, reason in missing]
        reasons.extend(_how_long(found, more))
    else:
        verdict, more, reasons = "go", None, list(_for(found, settings, target, needed))
    return Decision(
        verdict=verdict,
        more=more,
        target=target,
        labels_needed=needed,
        reasons=tuple(reasons),
        notes=tuple(find_notes(found, settings)),
    )


def target_of(found: Findings, settings: AssessSettings) -> float | None:
    """The accuracy that a student must reach: the teacher's own against outcomes, or against its own
    word, less the margin; None where nothing is known of it."""
    if settings.target is not None:
        return settings.target
    teacher = found.teacher
    if found.labels.source == "outcome":
        own = teacher.right.value if teacher.right else None
    else:
        enough = teacher.agreement is not None and teacher.repeated >= settings.min_repeats
        own = teacher.agreement.value if teacher.agreement and enough else 1.0
    return None if own is None else max(0.0, own - settings.margin)


def labels_needed(found: Findings, settings: AssessSettings) -> int:
    """Labelled inputs that the promise takes, over the splits of the task, and `min_labelled` at least."""
    share = found.calibration_share * settings.coverage
    promise = labels_for_promise(settings.max_risk, settings.confidence)
    return max(settings.min_labelled, math.ceil(promise / share) if share > 0 else 0)


# ---- against ------------------------------------------------------------------------------------


def _against(found: Findings, settings: AssessSettings, target: float | None) -> Iterator[str]:
    labels, accuracy = found.labels, found.baseline.accuracy
    if labels.distinct == 1 and labels.inputs >= settings.min_labelled:
        [only] = labels.top
        yield f"All {labels.inputs:,} labelled inputs have the answer {only!r}: a constant gives it."
    elif target is not None and accuracy is not None and accuracy.low >= target:
        yield (
            f"A linear model over words gets {share(accuracy)} of the answers right, and {target:.1%} "
            "is wanted: use that; it needs no teacher's chains and no language model."
        )
    elif target is not None and labels.majority is not None and labels.majority.low >= target:
        yield (
            f"The most frequent answer is right for {share(labels.majority)} of the inputs, and "
            f"{target:.1%} is wanted: a constant does it."
        )
    yield from _teacher_against(found, settings)
    if found.break_even is not None and counts(found, settings):
        yield from _money_against(found, found.break_even, settings)
    agreement = found.teacher.agreement
    if (
        agreement is not None
        and found.teacher.repeated >= settings.min_repeats
        and agreement.high < settings.min_agreement
    ):
        yield (
            f"Asked the same again, the teacher gives the same answer in {share(agreement)} of the "
            f"cases; below {settings.min_agreement:.0%} there is nothing stable to learn."
        )
    if is_open_ended(found, settings):
        yield (
            f"The answers are open-ended: {labels.distinct / labels.inputs:.0%} of them are different, "
            f"and {labels.in_input:.0%} stand in their input. Whether such an answer is right cannot "
            "be told by comparing it; ask the teacher for a choice, a number or a field instead."
        )


def _teacher_against(found: Findings, settings: AssessSettings) -> Iterator[str]:
    """Of n calls, a student that is right where its teacher is can answer right / (1 - risk) at most."""
    right = found.teacher.right
    # Whoever says what a student must reach may expect more of it than of its teacher.
    if found.labels.source != "outcome" or right is None or settings.target is not None:
        return
    most = right.high / (1 - settings.max_risk)
    if found.teacher.with_outcome >= settings.min_outcomes and most < settings.coverage:
        less = math.floor(20 * most) / 20
        yield (
            f"The teacher is right in {share(right)} of the calls with an outcome. A student that knows "
            f"no more can answer {most:.0%} of them with at most {settings.max_risk:.0%} errors, and "
            f"{settings.coverage:.0%} are wanted: take a better teacher"
            + (f", or be content with --coverage {less:g}." if less else ".")
        )


def is_open_ended(found: Findings, settings: AssessSettings) -> bool:
    """Whether the answers are free text that no comparison can check."""
    labels = found.labels
    return (
        found.kind == "text"
        and labels.inputs >= settings.min_week
        and labels.distinct > settings.open_distinct * labels.inputs
        and labels.in_input < settings.open_from_input
    )


def counts(found: Findings, settings: AssessSettings) -> bool:
    """Whether the volume was counted for long enough, or stated."""
    return found.volume.stated or found.volume.days >= settings.min_days


def _money_against(found: Findings, money: BreakEven, settings: AssessSettings) -> Iterator[str]:
    it_takes = (
        f"It takes about {money.calls_needed:,.0f} calls a month to be back within "
        f"{settings.max_months:g} months; there are {found.volume.month or 0:,.0f}."
    )
    if money.months is None:
        yield (
            f"A student that answers {settings.coverage:.0%} of the calls saves {usd(money.saved)} a "
            f"month, and serving it costs {usd(settings.monthly_cost)}: it never pays. {it_takes}"
        )
    elif money.months > settings.max_months:
        yield (
            f"The one-off cost of {usd(settings.one_off_cost)} is back after {money.months:.1f} months, "
            f"and {settings.max_months:g} are allowed. {it_takes}"
        )


# ---- missing ------------------------------------------------------------------------------------


def _missing(found: Findings, settings: AssessSettings, needed: int) -> Iterator[tuple[int, str]]:
    labels, stability = found.labels, found.stability
    whose = "with an outcome" if labels.source == "outcome" else "with a readable answer"
    if stability.usable < needed:
        why = (
            f"the promise (at most {settings.max_risk:.0%} errors with {settings.confidence:.0%} "
            f"confidence, {settings.coverage:.0%} of the calls answered) takes about {needed:,}"
            if needed > settings.min_labelled
            else f"at least {needed:,} are wanted"
        )
        yield (
            needed - stability.usable,
            f"There are {stability.usable:,} different inputs {whose}{_since(found)}, and {why}.",
        )
    doubling, flat_after = found.baseline.doubling, found.baseline.flat_after
    if doubling is not None and doubling.low > settings.max_doubling_gain:
        more = max(1, (flat_after or 2 * labels.inputs) - labels.inputs)
        yield (
            more,
            f"Labels still teach a lot: twice as many would bring a linear model {points(doubling)} "
            f"more; wait until that is at most {100 * settings.max_doubling_gain:g} points.",
        )


def _since(found: Findings) -> str:
    stability = found.stability
    if stability.usable >= found.labels.inputs:
        return ""
    said = []
    if stability.changed is not None:
        said.append(f"since the inputs changed in the week of {stability.changed:%Y-%m-%d}")
    if stability.skeletons > 1 and not stability.scattered:
        said.append("under today's instructions")
    return f" {' and '.join(said)} (of {found.labels.inputs:,} in all)" if said else ""


def _how_long(found: Findings, more: int) -> Iterator[str]:
    volume, labels = found.volume, found.labels
    if volume.month is None or not volume.calls or not labels.inputs:
        return
    days = more / (volume.month * labels.inputs / volume.calls) * DAYS_A_MONTH
    yield f"At today's rate of labelled calls that is about {_days(days)}."


def _days(days: float) -> str:
    if days < 1.5:
        return "a day"
    if days < 21:
        return f"{days:.0f} days"
    return f"{days / 7:.0f} weeks" if days < 120 else f"{days / DAYS_A_MONTH:.0f} months"


# ---- for ----------------------------------------------------------------------------------------


def _for(
    found: Findings, settings: AssessSettings, target: float | None, needed: int
) -> Iterator[str]:
    yield (
        f"There are {found.stability.usable:,} different labelled inputs; the promise takes about "
        f"{needed:,}."
    )
    accuracy, chains, money = found.baseline.accuracy, found.chains, found.break_even
    if accuracy is not None and target is not None:
        yield (
            f"A linear model over words gets {share(accuracy)} right, and {target:.1%} is wanted: there "
            "is something for a student to learn."
        )
    if chains is not None and chains.program.value >= settings.program_like:
        yield (
            f"The chains are program-like: {chains.program.value:.0%} of their sentences are templates "
            "or right arithmetic."
        )
    if money is not None and not counts(found, settings):
        yield (
            f"Whether it pays is not known: the calls span {found.volume.days:.1f} days, too few to "
            "decide by; state the volume with --set monthly_calls=N."
        )
    elif money is None:
        yield "Whether it pays is not known: that takes both the volume and the cost of a call."
    elif money.months is not None:
        most = f" (at most {money.months_high:.1f})" if money.months_high else ""
        yield (
            f"It saves {usd(money.saved)} a month at {settings.coverage:.0%} local answers, and the "
            f"one-off {usd(settings.one_off_cost)} is back after {money.months:.1f} months{most}."
        )


# ---- words --------------------------------------------------------------------------------------


def share(estimate: Estimate) -> str:
    """`87.3% (85.1% to 89.2%)`."""
    return f"{estimate.value:.1%} ({estimate.low:.1%} to {estimate.high:.1%})"


def points(estimate: Estimate) -> str:
    """A difference of shares: `4.1 points (3.0 to 5.2)`."""
    low, value, high = (100 * part for part in (estimate.low, estimate.value, estimate.high))
    return f"{value:.1f} points ({low:.1f} to {high:.1f})"


def usd(amount: float) -> str:
    """`$1,200` and `$4.20`."""
    return f"${amount:,.0f}" if abs(amount) >= 100 else f"${amount:,.2f}"
