"""Writes a report: one page that needs nothing beside it, the same as Markdown, the numbers as JSON.

out/report.html     style and drawings are inside; no script, nothing is loaded
out/report.md       with the drawings of out/figures
out/summary.json    every number that is shown; `limbeck report` makes the rest from it
out/figures/        each drawing as SVG and PNG
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from limbeck.distill.recipes.table import CONTROL
from limbeck.errors import DataError, LimbeckError
from limbeck.report import numbers
from limbeck.report.figures.accuracy import accuracy, arm_name
from limbeck.report.figures.cascade import cost, latency
from limbeck.report.figures.chart import Figure, inline, png, svg
from limbeck.report.figures.funnel import drops, funnel
from limbeck.report.figures.risk import risk
from limbeck.report.figures.timeline import timeline
from limbeck.report.figures.times import times
from limbeck.report.markdown import cell, fenced
from limbeck.report.reasons import meaning
from limbeck.report.rendering import render
from limbeck.report.shift_story import acts, aftermath, in_short
from limbeck.report.summary import Drop, Summary, TaskSummary
from limbeck.report.verdict import limits, promise, saving, tone, verdict

EXCERPT = 700
"""Characters of a dropped call's text that are shown."""
FILTERS = (
    numbers.count,
    numbers.duration,
    numbers.level,
    numbers.million,
    numbers.p_value,
    numbers.percent,
    numbers.plain,
    numbers.points,
    numbers.points_span,
    numbers.span,
    numbers.usd,
    inline,
    cell,
    fenced,
    meaning,
)


@dataclass(frozen=True)
class TaskView:
    """One task with its drawings, as the templates see it; its `name` is safe in files and links."""

    name: str
    task: TaskSummary

    @cached_property
    def figures(self) -> dict[str, Figure | None]:
        """The drawings by name; None for one that the task has no numbers for."""
        calibration, cascade = self.task.calibration, self.task.cascade
        shift = self.task.shift
        return {
            "funnel": funnel(self.name, self.task),
            "drops": drops(self.name, self.task),
            "accuracy": accuracy(self.name, self.task.evaluation),
            "risk": risk(self.name, calibration) if calibration else None,
            "cost": cost(self.name, cascade) if cascade else None,
            "latency": latency(self.name, cascade) if cascade else None,
            "timeline": timeline(self.name, shift, calibration.policy.max_risk)
            if shift and calibration
            else None,
        }

    def examples(self) -> dict[str, list[Drop]]:
        """The dropped calls to read, by reason, in the order of the funnel's reasons."""
        found: dict[str, list[Drop]] = {reason: [] for reason in self.task.data.drops}
        for drop in self.task.drops:
            found.setdefault(drop.reason, []).append(drop)
        return {reason: examples for reason, examples in found.items() if examples}


def write_report(summary: Summary, out: Path) -> Path:
    """Writes the report into the folder `out` and returns the path of its page.

    Each file is replaced whole, the page last, so that a page never shows what is not beside it.
    Raises LimbeckError where the folder cannot be written.
    """
    whole = _encodable(summary)
    views = [TaskView(_file_name(task.task, i), task) for i, task in enumerate(whole.tasks, 1)]
    run = times(whole.stages, whole.seconds)
    figures = [figure for view in views for figure in view.figures.values()] + [run]
    files: dict[Path, bytes] = {}
    for figure in filter(None, figures):
        drawn = svg(figure, simulated=whole.simulated)
        files[out / "figures" / f"{figure.name}.svg"] = drawn.encode()
        files[out / "figures" / f"{figure.name}.png"] = png(drawn)
    files[out / "summary.json"] = (whole.model_dump_json(indent=1) + "\n").encode()
    files[out / "report.md"] = _render("report.md.j2", whole, views, run).encode()
    page = out / "report.html"
    files[page] = _render("report.html.j2", whole, views, run).encode()
    try:
        (out / "figures").mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            _replace(path, content)
    except OSError as error:
        raise LimbeckError(
            f"the report cannot be written into {str(out)!r}: {error.strerror or error} "
            f"({error.filename}); wanted a folder with room that you may write; name another"
        ) from None
    return page


def read_summary(folder: Path) -> Summary:
    """The numbers of the run in `folder`. Raises DataError where there are none or they are damaged."""
    path = folder / "summary.json"
    try:
        return Summary.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"cannot read {str(path)!r}: {error.strerror or error}; "
            f"wanted the folder of a run, such as the one given to: limbeck demo --out FOLDER"
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise DataError(
            f"{str(path)!r} is not the summary of a run of this version"
            f"{f', at {place!r}' if place else ''}: {first['msg'][:1].lower()}{first['msg'][1:]}; "
            f"run it again, or re-render it with the version that wrote it"
        ) from None


def _render(template: str, summary: Summary, views: list[TaskView], run: Figure | None) -> str:
    values: dict[str, Any] = {
        "summary": summary,
        "views": views,
        "run": run,
        "control": CONTROL,
        "verdict": verdict,
        "tone": tone,
        "promise": promise,
        "saving": saving,
        "acts": acts,
        "aftermath": aftermath,
        "in_short": in_short,
        "limits": limits(summary),
        "arm_name": arm_name,
        "per_thousand": numbers.per_thousand,
    }
    return render(template, (*FILTERS, _excerpt), **values)


def _excerpt(text: str) -> str:
    stripped = text.strip()
    return stripped if len(stripped) <= EXCERPT else f"{stripped[:EXCERPT].rstrip()} …"


def _file_name(task: str, position: int) -> str:
    """The task's own name where it is one that a file can have; else its position."""
    return task if re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", task) else f"task-{position}"


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def _encodable(summary: Summary) -> Summary:
    """The summary without half characters, which recorded replies may hold and no file can."""
    try:
        summary.model_dump_json()
    except PydanticSerializationError:
        return Summary.model_validate(_repaired(summary.model_dump()))
    return summary


def _repaired(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_repaired(key): _repaired(of) for key, of in value.items()}
    if isinstance(value, (list, tuple)):
        return tuple(_repaired(of) for of in value)
    return value
