"""The outcome suite on the page: who is right, on what, at which cost."""

from __future__ import annotations

from limbeck.evaluate.evaluate import Evaluation
from limbeck.evaluate.intervals import Interval
from limbeck.evaluate.outcome.outcome import Detail, OutcomeSuite
from limbeck.evaluate.outcome.slices import Slice
from limbeck.report.figures.accuracy import accuracy
from limbeck.report.figures.chart import STUDENT, WRONG, Table
from limbeck.report.figures.spans import Row, spans
from limbeck.report.numbers import (
    count,
    duration,
    p_value,
    percent,
    points,
    points_span,
    span,
    usd,
)
from limbeck.report.section import Part, Section

DRAWN_SLICES = 12
LARGEST_CONFUSION = 12


def outcome_section(suite: OutcomeSuite) -> Section:
    found = suite.evaluation
    first = Part(
        figures=[accuracy("outcome", found)],
        tables=[("", _arms(suite)), *([("", _pairs(suite))] if suite.pairs else [])],
        said=found.findings,
    )
    costs = Part(title="Cost of a call", tables=[("", _costs(suite))])
    details = [
        _detail(f"a{at}", detail, found) for at, detail in enumerate(suite.details) if detail.slices
    ]
    scores = [part for detail in suite.details if (part := _scores(detail)) is not None]
    return Section(
        title="Outcome",
        lead="Who is right, by the verifier. The control has the same data, steps and size, and no "
        "rationales.",
        parts=[first, costs, *scores, *details],
        headlines=list(found.findings[:1]),
    )


def _arms(suite: OutcomeSuite) -> Table:
    rows = []
    for arm, detail in zip(suite.evaluation.arms, suite.details, strict=True):
        versus, share = arm.versus_control, detail.recovered
        p = versus.p_value if versus else None
        rows.append(
            (
                arm.recipe,
                f"{percent(arm.accuracy)} {span(arm.interval)}",
                f"{points(versus.difference)} {points_span(versus.interval)}" if versus else "–",
                p_value(p) if p is not None else "–",
                f"{percent(share.share)} {span(share.interval)}" if share else "–",
                f"{percent(share.beyond)} {span(share.beyond_interval)}"
                if share and share.beyond is not None and share.beyond_interval
                else "–",
                percent(arm.unanswered),
            )
        )
    head = (
        "who", "right", "against the control", "McNemar", "of the teacher's accuracy",
        "beyond the commonest answer", "not in form",
    )  # fmt: skip
    return Table(head, tuple(rows))


def _pairs(suite: OutcomeSuite) -> Table:
    return Table(
        ("compared", "with", "difference", "95% interval", "McNemar"),
        tuple(
            (
                name,
                one.against,
                points(one.difference),
                points_span(one.interval),
                p_value(one.p_value) if one.p_value is not None else "–",
            )
            for name, one in suite.pairs
        ),
    )


def _costs(suite: OutcomeSuite) -> Table:
    costs = [*(detail.cost for detail in suite.details)]
    if suite.teacher_cost is not None:
        costs.append(suite.teacher_cost)
    return Table(
        ("who", "paid for 1,000 calls", "time", "95th percentile", "tokens written", "calls"),
        tuple(
            (
                one.name,
                "unknown" if one.usd_per_thousand is None else usd(one.usd_per_thousand),
                "unknown" if one.seconds is None else duration(one.seconds),
                "–" if one.p95_seconds is None else duration(one.p95_seconds),
                f"{one.tokens:.1f}",
                count(one.n),
            )
            for one in costs
        ),
    )


def _scores(detail: Detail) -> Part | None:
    title = f"{detail.recipe}: by kind of answer"
    scores = detail.scores
    if scores.choice is not None:
        choice = scores.choice
        macro = f"Macro-F1 {percent(choice.macro_f1)} {span(choice.interval)}."
        classes = Table(
            ("label", "items", "found", "95% interval", "times given"),
            tuple(
                (
                    one.label,
                    count(one.n),
                    percent(one.right / max(1, one.n)),
                    span(one.recall),
                    count(one.said),
                )
                for one in choice.classes
            ),
        )
        tables = [("Labels", classes), ("Confusion: true label by given label", _confusion(detail))]
        return Part(title=title, tables=tables, said=[macro])
    if scores.number is not None:
        number = scores.number
        near = Table(
            ("within", "right", "95% interval"),
            tuple(
                (
                    percent(one.within),
                    percent(one.right / max(1, number.n)),
                    span(one.interval),
                )
                for one in number.near
            ),
        )
        said = [
            f"Mean distance from the truth {percent(number.distance)} {span(number.interval)}."
            + (
                f" Against the control {points(_middle(detail.nearer))} {points_span(detail.nearer)}."
                if detail.nearer
                else ""
            )
        ]
        return Part(title=title, tables=[("", near)], said=said)
    if scores.fields is not None:
        fields = Table(
            ("field", "items", "right", "95% interval"),
            tuple(
                (one.field, count(one.n), percent(one.right / max(1, one.n)), span(one.interval))
                for one in scores.fields.fields
            ),
        )
        said = [
            f"Micro-F1 over fields {percent(scores.fields.micro_f1)}; {scores.fields.unreadable:,} "
            "answers were no JSON."
        ]
        return Part(title=title, tables=[("", fields)], said=said)
    return None


def _middle(interval: Interval) -> float:
    return (interval.low + interval.high) / 2


def _confusion(detail: Detail) -> Table:
    """The whole table where there are few labels, else the commonest mistakes."""
    choice = detail.scores.choice
    assert choice is not None
    counts = {(a, b): n for a, b, n in choice.confusion}
    labels = [one.label for one in choice.classes]
    others = sorted({b for _, b in counts} - set(labels))
    if len(labels) <= LARGEST_CONFUSION:
        given = [*labels, *others]
        return Table(
            ("true", *given),
            tuple((a, *(count(counts.get((a, b), 0)) for b in given)) for a in labels),
        )
    wrong = [(a, b, n) for a, b, n in choice.confusion if a != b][:LARGEST_CONFUSION]
    return Table(("true", "given", "times"), tuple((a, b, count(n)) for a, b, n in wrong))


def _detail(name: str, detail: Detail, found: Evaluation) -> Part:
    arm = next(a for a in found.arms if (a.recipe, a.base) == (detail.recipe, detail.base))
    apart = [one for one in detail.slices if one.apart]
    drawn = sorted(detail.slices, key=lambda one: one.accuracy)[:DRAWN_SLICES]
    table = Table(
        ("slice", "items", "right", "95% interval", "control", "against the control"),
        tuple(_slice(one) for one in detail.slices),
    )
    title = (
        f"{detail.recipe} differs from its own rest on {len(apart)} of {len(detail.slices)} slices"
        if apart
        else f"No slice of {detail.recipe} differs from the rest beyond luck"
    )
    rows = [
        Row(
            f"{one.by}: {one.name}",
            one.accuracy,
            one.interval,
            percent(one.accuracy),
            WRONG if one.apart and one.accuracy < arm.accuracy else STUDENT,
        )
        for one in drawn
    ]
    note = "Dot: accuracy, the lowest first. Line: 95% interval. Dashed: all items."
    figure = spans(
        f"{name}-slices", title, note, rows, axis="right", table=table, reference=arm.accuracy
    )
    return Part(title=f"{detail.recipe}: where it is right", figures=[figure])


def _slice(one: Slice) -> tuple[str, ...]:
    return (
        f"{one.by}: {one.name}{' *' if one.apart else ''}",
        count(one.n),
        percent(one.accuracy),
        span(one.interval),
        percent(one.control) if one.control is not None else "–",
        points_span(one.difference) if one.difference is not None else "–",
    )
