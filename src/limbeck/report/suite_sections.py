"""The other suites on the page: shifted inputs, dependence, bias, calibration."""

from __future__ import annotations

from collections.abc import Sequence

from limbeck.evaluate.bias.bias import BiasSuite
from limbeck.evaluate.calibration import CalibrationSuite
from limbeck.evaluate.dependence.dependence import DependenceSuite
from limbeck.evaluate.shifted.shifted import ShiftedSuite
from limbeck.report.figures.chart import STUDENT, WRONG, Table
from limbeck.report.figures.curves import curve
from limbeck.report.figures.reliability import reliability
from limbeck.report.figures.spans import Row, spans
from limbeck.report.numbers import (
    count,
    percent,
    points,
    points_span,
    span,
)
from limbeck.report.section import Part, Section


def shifted_section(suites: Sequence[ShiftedSuite]) -> Section:
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


def dependence_section(suites: Sequence[DependenceSuite]) -> Section:
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


def bias_section(suites: Sequence[BiasSuite]) -> Section:
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


def calibration_section(suites: Sequence[CalibrationSuite]) -> Section:
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
