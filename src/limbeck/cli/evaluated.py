"""What an evaluation found, on the terminal: the findings and the numbers they rest on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from limbeck.evaluate.calibration import CalibrationSuite
from limbeck.evaluate.dependence.dependence import DependenceSuite
from limbeck.evaluate.evaluate import Arm
from limbeck.evaluate.intervals import Interval
from limbeck.evaluate.outcome.outcome import Detail, OutcomeSuite
from limbeck.evaluate.result import Result
from limbeck.evaluate.shifted.shifted import ShiftedSuite
from limbeck.evaluate.subject import TEACHER, URL


def show(console: Console, result: Result) -> None:
    """The suites in their order, each with its findings."""
    if result.outcome is not None:
        _outcome(console, result, result.outcome)
    for shifted in result.shifted:
        _shifted(console, shifted)
    for dependence in result.dependence:
        _dependence(console, dependence)
    for bias in result.bias:
        _heading(console, f"{bias.student}: people and places exchanged")
        _findings(console, bias.findings)
    for calibration in result.calibration:
        _calibration(console, calibration)


def written(console: Console, page: Path) -> None:
    _line(console, f"page     {page}")


def _outcome(console: Console, result: Result, suite: OutcomeSuite) -> None:
    found = suite.evaluation
    _heading(console, f"{found.task}: {found.n:,} items of {found.split}, 95 % intervals")
    table = _table("recipe", "right", "over the control", "seeds", "tokens", "ms")
    several = len({arm.base for arm in found.arms if arm.recipe not in (TEACHER, URL)}) > 1
    for arm in found.arms:
        table.add_row(
            f"{arm.recipe} {Path(arm.base).name}" if several else arm.recipe,
            f"{arm.accuracy:.1%} {_span(arm.interval)}",
            _versus(arm),
            str(len(arm.seeds)),
            f"{arm.tokens:.1f}",
            f"{arm.seconds * 1000:.1f}",
        )
    _show(console, table)
    if found.teacher is not None:
        teacher = found.teacher
        _line(
            console,
            f"teacher  {teacher.accuracy:.1%} {_span(teacher.interval)} of {teacher.n:,}"
            + _recovered(suite.details),
        )
    _line(console, f"always the commonest answer  {found.majority:.1%}")
    truths = ", ".join(f"{count:,} {source}" for source, count in found.truth_sources.items())
    _line(console, f"what is true was said by  {truths}")
    if found.simulated:
        _line(console, "the teacher's replies were simulated")
    left = {one.name: len(one.seen.rows) for one in result.subjects if one.seen.rows}
    for name, count in left.items():
        _line(console, f"left out  {count:,} items that {name} had seen")
    for first, versus in suite.pairs:
        p = f", p = {versus.p_value:.2g}" if versus.p_value is not None else ""
        _line(
            console,
            f"{first} against {versus.against}  {versus.difference * 100:+.1f} points "
            f"{_span(versus.interval, signed=True)}{p}: {versus.verdict}",
        )
    _findings(console, found.findings)


def _recovered(details: Sequence[Detail]) -> str:
    """How much of the teacher's accuracy each arm has."""
    shares = [
        f"{one.recipe} has {one.recovered.share:.1%} {_span(one.recovered.interval)} of that"
        for one in details
        if one.recovered is not None and one.recipe != TEACHER
    ]
    return "".join(f"; {share}" for share in shares)


def _shifted(console: Console, suite: ShiftedSuite) -> None:
    _heading(
        console,
        f"{suite.student} on changed inputs; {suite.before:.1%} on the {suite.n:,} as they are",
    )
    table = _table("change", "items", "right", "drop, points")
    for one in suite.drops:
        table.add_row(
            one.name,
            f"{one.n:,}",
            f"{one.after:.1%} {_span(one.after_interval)}",
            f"{one.drop * 100:+.1f} {_span(one.interval, signed=True)}",
        )
    _show(console, table)
    if suite.guess is not None:
        guess = suite.guess
        _line(
            console,
            f"without the question  {guess.accuracy:.1%} {_span(guess.interval)} of {guess.n:,}; the "
            f"commonest answer {guess.commonest:.1%}",
        )
    if suite.overfit is not None:
        of = suite.overfit
        _line(
            console,
            f"overfit index  {of.index * 100:+.1f} points {_span(of.interval, signed=True)}",
        )
    if suite.left_out:
        few = ", ".join(f"{name} ({n})" for name, n in suite.left_out.items())
        _line(console, f"too few items that can be changed so  {few}")
    _findings(console, suite.findings)


def _dependence(console: Console, suite: DependenceSuite) -> None:
    items = f" {suite.n:,} items" if suite.n else ""
    _heading(console, f"{suite.student}: does the answer hang on the rationale?{items}")
    if suite.measures:
        table = _table("measure", "value", "95 %", "AUROC of the measure")
        for one in suite.measures:
            share = one.unit == "share changed"
            low, high = one.interval.low, one.interval.high
            table.add_row(
                one.name,
                f"{one.value:.1%}" if share else f"{one.value:.2f}",
                f"[{low:.1%}, {high:.1%}]" if share else f"[{low:.2f}, {high:.2f}]",
                "not known" if one.auroc is None else f"{one.auroc:.2f}",
            )
        _show(console, table)
    if suite.propagation is not None:
        flips = suite.propagation
        value = f"{flips.flips:.1%} {_span(flips.interval)}; " if flips.n else ""
        _line(console, f"P(answer flips | one wrong step)  {value}{flips.note}")
    _findings(console, suite.findings)


def _calibration(console: Console, suite: CalibrationSuite) -> None:
    _heading(console, f"{suite.student}: does it know when it is wrong? {suite.n:,} items")
    table = _table("probability", "Brier", "ECE, points", "AURC", "kept at 5 % wrong")
    for one in suite.reliabilities:
        kept = next((c for c in one.coverages if c.risk == 0.05), None)
        table.add_row(
            one.of,
            f"{one.brier:.3f}",
            f"{one.ece * 100:.1f} {_span(one.ece_interval)}",
            f"{one.aurc:.3f}",
            f"{kept.coverage:.1%}" if kept is not None else "",
        )
    _show(console, table)
    _findings(console, suite.findings)


def _table(first: str, *others: str) -> Table:
    """Narrow enough for a terminal of 80 columns, and without wrapped numbers."""
    table = Table(first, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.columns[0].no_wrap = True
    for heading in others:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _show(console: Console, table: Table) -> None:
    # What is longer than the line goes on: a cut number would be another number.
    wide = console.measure(table, options=console.options.update(max_width=1000)).maximum
    room = Console(
        file=console.file, width=max(console.width, wide), force_terminal=console.is_terminal
    )
    room.print(table, soft_wrap=True)


def _heading(console: Console, text: str) -> None:
    console.print()
    _line(console, text)


def _line(console: Console, text: str) -> None:
    # A wrapped path or number could not be copied.
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _findings(console: Console, findings: tuple[str, ...]) -> None:
    for finding in findings:
        _line(console, f"- {finding}")


def _versus(arm: Arm) -> str:
    versus = arm.versus_control
    if versus is None:
        return ""
    return f"{versus.difference * 100:+.1f} {_span(versus.interval, signed=True)}"


def _span(interval: Interval, *, signed: bool = False) -> str:
    low, high = interval.low * 100, interval.high * 100
    return f"[{low:+.1f}, {high:+.1f}]" if signed else f"[{low:.1f}, {high:.1f}]"
