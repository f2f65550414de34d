"""What an evaluation found, on the terminal: the findings and the numbers they rest on."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from limbeck.evaluate.dependence.dependence import DependenceSuite
from limbeck.evaluate.evaluate import Arm
from limbeck.evaluate.intervals import Interval
from limbeck.evaluate.outcome.outcome import OutcomeSuite
from limbeck.evaluate.result import Result
from limbeck.evaluate.shifted.shifted import ShiftedSuite


def show(console: Console, result: Result) -> None:
    """The suites in their order, each with its findings."""
    if result.outcome is not None:
        _outcome(console, result, result.outcome)
    for shifted in result.shifted:
        _shifted(console, shifted)
    for dependence in result.dependence:
        _dependence(console, dependence)
    for bias in result.bias:
        _findings(console, bias.findings)
    for calibration in result.calibration:
        _findings(console, calibration.findings)


def written(console: Console, page: Path) -> None:
    # A wrapped path could not be copied.
    console.print(f"page     {page}", markup=False, highlight=False, soft_wrap=True)


def _outcome(console: Console, result: Result, suite: OutcomeSuite) -> None:
    found = suite.evaluation
    title = f"{found.task}: {found.n:,} items of {found.split}, 95 % intervals"
    table = Table("recipe", title=title, title_justify="left")
    table.add_column("accuracy")
    table.add_column("against control, points")
    table.add_column("of the teacher")
    for heading in ("seeds", "tokens", "ms"):
        table.add_column(heading, justify="right")
    for arm, detail in zip(found.arms, suite.details, strict=True):
        share = detail.recovered
        table.add_row(
            arm.recipe,
            f"{arm.accuracy:.1%} {_span(arm.interval)}",
            _versus(arm),
            f"{share.share:.1%} {_span(share.interval)}" if share else "",
            str(len(arm.seeds)),
            f"{arm.tokens:.1f}",
            f"{arm.seconds * 1000:.1f}",
        )
    console.print(table)
    if found.teacher is not None:
        teacher = found.teacher
        console.print(
            f"teacher  {teacher.accuracy:.1%} {_span(teacher.interval)} of {teacher.n:,}",
            markup=False,
            highlight=False,
        )
    console.print(f"always the commonest answer  {found.majority:.1%}", highlight=False)
    truths = ", ".join(f"{count:,} {source}" for source, count in found.truth_sources.items())
    console.print(f"what is true was said by  {truths}", highlight=False)
    if found.simulated:
        console.print("the teacher's replies were simulated")
    left = {one.name: len(one.seen.rows) for one in result.subjects if one.seen.rows}
    for name, count in left.items():
        console.print(f"left out  {count:,} items that {name} had seen", markup=False)
    for first, versus in suite.pairs:
        p = f", p = {versus.p_value:.2g}" if versus.p_value is not None else ""
        console.print(
            f"{first} against {versus.against}  {versus.difference * 100:+.1f} points "
            f"{_span(versus.interval, signed=True)}{p}: {versus.verdict}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
    _findings(console, found.findings)


def _shifted(console: Console, suite: ShiftedSuite) -> None:
    title = f"{suite.student} on changed inputs; {suite.before:.1%} on the {suite.n:,} as they are"
    table = Table("change", title=title, title_justify="left")
    for heading in ("items", "accuracy", "drop, points"):
        table.add_column(heading, justify="right")
    for one in suite.drops:
        table.add_row(
            one.name,
            f"{one.n:,}",
            f"{one.after:.1%} {_span(one.after_interval)}",
            f"{one.drop * 100:+.1f} {_span(one.interval, signed=True)}",
        )
    console.print(table)
    if suite.overfit is not None:
        of = suite.overfit
        console.print(
            f"overfit index  {of.index * 100:+.1f} points {_span(of.interval, signed=True)}",
            markup=False,
            highlight=False,
        )
    _findings(console, suite.findings)


def _dependence(console: Console, suite: DependenceSuite) -> None:
    if suite.measures:
        title = f"{suite.student}: does the answer hang on the rationale? {suite.n:,} items"
        table = Table("measure", title=title, title_justify="left")
        for heading in ("value", "95 %", "AUROC of the measure"):
            table.add_column(heading, justify="right")
        for one in suite.measures:
            share = one.unit == "share changed"
            low, high = one.interval.low, one.interval.high
            table.add_row(
                one.name,
                f"{one.value:.1%}" if share else f"{one.value:.2f}",
                f"[{low:.1%}, {high:.1%}]" if share else f"[{low:.2f}, {high:.2f}]",
                "not known" if one.auroc is None else f"{one.auroc:.2f}",
            )
        console.print(table)
    _findings(console, suite.findings)


def _findings(console: Console, findings: tuple[str, ...]) -> None:
    for finding in findings:
        console.print(f"- {finding}", markup=False, highlight=False, soft_wrap=True)


def _versus(arm: Arm) -> str:
    versus = arm.versus_control
    if versus is None:
        return ""
    span = _span(versus.interval, signed=True)
    return f"{versus.difference * 100:+.1f} {span} {versus.verdict}"


def _span(interval: Interval, *, signed: bool = False) -> str:
    low, high = interval.low * 100, interval.high * 100
    return f"[{low:+.1f}, {high:+.1f}]" if signed else f"[{low:.1f}, {high:.1f}]"
