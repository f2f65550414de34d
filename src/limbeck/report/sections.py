"""What stands on the page of an evaluation: its suites as sections of figures, tables and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from limbeck.evaluate.bias.bias import BiasSuite
from limbeck.evaluate.calibration import CalibrationSuite
from limbeck.evaluate.dependence.dependence import DependenceSuite
from limbeck.evaluate.evaluate import Evaluation
from limbeck.evaluate.intervals import Interval
from limbeck.evaluate.outcome.outcome import Detail, OutcomeSuite
from limbeck.evaluate.outcome.slices import Slice
from limbeck.evaluate.result import Result
from limbeck.evaluate.shifted.shifted import ShiftedSuite
from limbeck.report.figures.accuracy import accuracy
from limbeck.report.figures.chart import STUDENT, WRONG, Figure, Table
from limbeck.report.figures.curves import curve
from limbeck.report.figures.reliability import reliability
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

DRAWN_SLICES = 12
LARGEST_CONFUSION = 12


@dataclass(frozen=True)
class Part:
    """A piece of a section; a table with a caption is folded."""

    title: str = ""
    label: str = ""
    figures: Sequence[Figure] = ()
    tables: Sequence[tuple[str, Table]] = ()
    said: Sequence[str] = ()


@dataclass(frozen=True)
class Section:
    title: str
    lead: str
    parts: list[Part]
    headlines: list[str] = field(default_factory=list)


def sections_of(result: Result) -> list[Section]:
    """The suites that were asked for, in their order."""
    found = []
    if result.outcome is not None:
        found.append(_outcome(result.outcome))
    if result.shifted:
        found.append(_shifted(result.shifted))
    if result.dependence:
        found.append(_dependence(result.dependence))
    if result.bias:
        found.append(_bias(result.bias))
    if result.calibration:
        found.append(_calibration(result.calibration))
    return found


# ---- outcome ------------------------------------------------------------------------------------


def _outcome(suite: OutcomeSuite) -> Section:
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


# ---- the other suites ---------------------------------------------------------------------------


def _shifted(suites: Sequence[ShiftedSuite]) -> Section:
    parts = []
    for at, suite in enumerate(suites):
        table = Table(
            ("change", "items", "before", "after", "drop", "95% interval", "truth known by"),
            tuple(
                (
                    one.name,
                    count(one.n),
                    percent(one.before),
                    percent(one.after),
                    points(one.drop),
                    points_span(one.interval),
                    ", ".join(f"{n:,} {how}" for how, n in one.truth.items()) or "the generator",
                )
                for one in suite.drops
            ),
        )
        rows = [
            Row(
                one.name.replace("generated: ", "gen. "),
                one.drop,
                one.interval,
                points(one.drop),
                WRONG if one.interval.high < 0 else STUDENT,
            )
            for one in suite.drops
        ]
        lost = sum(one.interval.high < 0 for one in suite.drops)
        figures = [
            spans(
                f"s{at}-drops",
                f"{suite.student} loses accuracy under {lost} of {len(suite.drops)} changes",
                "Dot: change in accuracy. Line: 95% interval, paired where the items are the same.",
                rows,
                axis="change in accuracy",
                table=table,
                reference=0.0,
                form="+.0%",
            )
        ]
        parts.append(
            Part(
                title=suite.student,
                figures=figures if rows else [],
                tables=[("What each change is", _changes(suite)), *_guess(suite)],
                said=suite.findings,
            )
        )
    return Section(
        title="Shifted",
        lead="The same job on inputs that are not those of the training any more.",
        parts=parts,
        headlines=[suite.findings[0] for suite in suites if suite.findings][:1],
    )


def _changes(suite: ShiftedSuite) -> Table:
    return Table(
        ("change", "what it is"),
        (
            *((one.name, one.meaning) for one in suite.drops),
            *(
                (name, f"fits only {n:,} items, so it is not shown")
                for name, n in suite.left_out.items()
            ),
        ),
    )


def _guess(suite: ShiftedSuite) -> list[tuple[str, Table]]:
    rows: list[tuple[str, ...]] = []
    if suite.guess is not None:
        guess = suite.guess
        rows.append(
            (
                "right without the question",
                f"{percent(guess.accuracy)} {span(guess.interval)}",
                f"the commonest answer {percent(guess.commonest)}; {guess.n:,} items",
            )
        )
    if suite.overfit is not None:
        of = suite.overfit
        rows.append(
            (
                "overfit index",
                f"{points(of.index)} {points_span(of.interval)}",
                f"seen templates {percent(of.seen)} of {of.n_seen:,}, new ones {percent(of.new)} of "
                f"{of.n_new:,}",
            )
        )
    return [("", Table(("shortcuts", "value", "from"), tuple(rows)))] if rows else []


def _dependence(suites: Sequence[DependenceSuite]) -> Section:
    parts = []
    for at, suite in enumerate(suites):
        if suite.label is not None:
            spread = suite.propagation
            note = f" P(answer flips | one wrong step): {spread.note}." if spread else ""
            parts.append(
                Part(title=suite.student, label=suite.label, said=[f"{suite.findings[0]}{note}"])
            )
            continue
        figures = [
            curve(
                f"d{at}-cut",
                f"Cut to its first steps, {percent(suite.truncation[0].changed)} to "
                f"{percent(suite.truncation[-1].changed)} of the answers change",
                "Dot: share of answers that changed. Band: 95% interval.",
                suite.truncation,
                "share of the steps that is left",
            )
        ]
        if suite.mistakes:
            figures.append(
                curve(
                    f"d{at}-mistake",
                    "After a mistake in one step the student goes on by itself",
                    "Dot: share of answers that changed. Band: 95% interval.",
                    suite.mistakes,
                    "where in the chain the mistake stands",
                )
            )
        parts.append(
            Part(
                title=suite.student,
                figures=figures,
                tables=[("", _measures(suite)), *_hint(suite)],
                said=[*suite.findings, *_checked(suite)],
            )
        )
    return Section(
        title="Dependence",
        lead="Does the answer hang on the rationale before it? A measure is shown with how well it tells "
        "planted students apart: 0.5 is chance, 1 is certain.",
        parts=parts,
        headlines=[suite.findings[0] for suite in suites if suite.findings and suite.causal][:1],
    )


def _measures(suite: DependenceSuite) -> Table:
    return Table(
        ("measure", "value", "95% interval", "AUROC, planted", "AUROC, bottleneck", "items"),
        tuple(
            (
                one.name,
                percent(one.value) if one.unit == "share changed" else f"{one.value:.2f} nats",
                span(one.interval)
                if one.unit == "share changed"
                else f"[{one.interval.low:.2f}, {one.interval.high:.2f}]",
                f"{one.auroc:.2f} [{one.auroc_interval.low:.2f}, {one.auroc_interval.high:.2f}]"
                if one.auroc is not None and one.auroc_interval is not None
                else "not known",
                "not known" if one.bottleneck is None else f"{one.bottleneck:.2f}",
                count(one.n),
            )
            for one in suite.measures
        ),
    )


def _hint(suite: DependenceSuite) -> list[tuple[str, Table]]:
    rows: list[tuple[str, ...]] = []
    if suite.propagation is not None:
        of = suite.propagation
        rows.append(("answer flips after one wrong step", percent(of.flips), span(of.interval)))
    if suite.followed_another is not None:
        rows.append(
            ("takes over the answer of another's rationale", percent(suite.followed_another), "")
        )
    if suite.hint is not None:
        hint = suite.hint
        rows.append(("follows a wrong hint", percent(hint.followed), span(hint.interval)))
        rows.append(
            (
                "the same answer after the placebo",
                percent(hint.placebo),
                span(hint.placebo_interval),
            )
        )
        if hint.mentioned is not None and hint.mentioned_interval is not None:
            rows.append(
                (
                    "mentions the hint it followed",
                    percent(hint.mentioned),
                    span(hint.mentioned_interval),
                )
            )
    return [("", Table(("also", "share", "95% interval"), tuple(rows)))] if rows else []


def _checked(suite: DependenceSuite) -> list[str]:
    checked = suite.known
    if checked is None:
        return ["The measures of this version were not checked on planted students."]
    return [
        f"The measures were checked on {checked.students} planted students of the task {checked.task!r}, "
        f"{checked.items:,} items each ({checked.command}).",
        *checked.notes,
    ]


def _bias(suites: Sequence[BiasSuite]) -> Section:
    parts = []
    for suite in suites:
        tables = []
        if suite.swaps:
            tables.append(("", _swaps(suite)))
        if suite.bbq is not None or suite.crows is not None:
            tables.append(("", _benchmarks(suite)))
        parts.append(Part(title=suite.student, tables=tables, said=suite.findings))
    return Section(
        title="Bias",
        lead="What the student adds to its label-only control stands apart from what the teacher has.",
        parts=parts,
        headlines=[],
    )


def _swaps(suite: BiasSuite) -> Table:
    return Table(
        (
            "exchanged",
            "inputs",
            "answers changed",
            "placebo",
            "control",
            "the student adds",
            "teacher",
        ),
        tuple(
            (
                one.attribute,
                count(one.n),
                f"{percent(one.flips)} {span(one.interval)}",
                percent(one.placebo) if one.placebo is not None else "–",
                percent(one.control) if one.control is not None else "–",
                points_span(one.added_interval) if one.added_interval is not None else "–",
                percent(one.teacher) if one.teacher is not None else "not asked",
            )
            for one in suite.swaps
        ),
    )


def _benchmarks(suite: BiasSuite) -> Table:
    rows: list[tuple[str, ...]] = []
    if suite.bbq is not None:
        for name, mine, other, added in (
            ("BBQ, disambiguated", suite.bbq.student.s_dis, "s_dis", suite.bbq.added_dis),
            ("BBQ, ambiguous", suite.bbq.student.s_amb, "s_amb", suite.bbq.added_amb),
        ):
            control = getattr(suite.bbq.control, other) if suite.bbq.control is not None else None
            teacher = getattr(suite.bbq.teacher, other) if suite.bbq.teacher is not None else None
            rows.append(
                (
                    name,
                    *(("–" if one is None else f"{one:+.2f}") for one in (mine, control, teacher)),
                    "–" if added is None else f"[{added.low:+.2f}, {added.high:+.2f}]",
                    "yes" if suite.bbq.too_small else "no",
                )
            )
    if suite.crows is not None:
        crows = suite.crows
        rows.append(
            (
                "CrowS-Pairs",
                percent(crows.score),
                percent(crows.control) if crows.control is not None else "–",
                "–",
                points_span(crows.added_interval) if crows.added_interval is not None else "–",
                "yes" if crows.too_small else "no",
            )
        )
    head = (
        "benchmark",
        "student",
        "control",
        "teacher",
        "the student adds",
        "too small to mean much",
    )
    return Table(head, tuple(rows))


def _calibration(suites: Sequence[CalibrationSuite]) -> Section:
    parts = []
    for at, suite in enumerate(suites):
        figures = [reliability(f"c{at}-{nth}", one) for nth, one in enumerate(suite.reliabilities)]
        table = Table(
            ("probability", "Brier", "ECE", "by luck", "AURC", *_risks(suite)),
            tuple(
                (
                    one.of,
                    f"{one.brier:.3f} [{one.brier_interval.low:.3f}, {one.brier_interval.high:.3f}]",
                    f"{percent(one.ece)} {span(one.ece_interval)}",
                    percent(one.ece_by_luck),
                    f"{one.aurc:.3f} [{one.aurc_interval.low:.3f}, {one.aurc_interval.high:.3f}]",
                    *(percent(c.coverage) for c in one.coverages),
                )
                for one in suite.reliabilities
            ),
        )
        parts.append(
            Part(title=suite.student, figures=figures, tables=[("", table)], said=suite.findings)
        )
    return Section(
        title="Calibration",
        lead="Does it know when it is wrong? Coverage is read off these items; limbeck calibrate makes the "
        "promise.",
        parts=parts,
        headlines=[],
    )


def _risks(suite: CalibrationSuite) -> tuple[str, ...]:
    return tuple(f"kept at {percent(c.risk)} wrong" for c in suite.reliabilities[0].coverages)
