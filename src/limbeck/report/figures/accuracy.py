"""Every student beside the control, the teacher and the commonest answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from limbeck.distill.recipes.table import CONTROL as CONTROL_RECIPE
from limbeck.evaluate.evaluate import Arm, Evaluation
from limbeck.evaluate.intervals import Interval
from limbeck.report.figures.bars import ROW, chart, dots, names
from limbeck.report.figures.chart import CONTROL, FAINT, STUDENT, TEACHER, Figure, Table
from limbeck.report.numbers import count, percent, span


def accuracy(name: str, evaluation: Evaluation) -> Figure:
    """Dots with 95 % intervals, and a ring for each seed where there are several."""
    rows = [
        _row(
            arm_name(arm, evaluation),
            arm.accuracy,
            CONTROL if arm.recipe == CONTROL_RECIPE else STUDENT,
            arm.interval,
            [one.accuracy for one in arm.seeds],
        )
        for arm in evaluation.arms
    ]
    if evaluation.teacher is not None:
        teacher = evaluation.teacher
        rows.append(_row("teacher", teacher.accuracy, TEACHER, teacher.interval))
    rows.append(_row("commonest answer", evaluation.majority, FAINT))
    title = _title(evaluation)
    return Figure(
        name=f"{name}-accuracy",
        title=title,
        note=_note(evaluation),
        description=f"{title}. " + "; ".join(f"{row['name']} {row['text']}" for row in rows) + ".",
        table=Table(
            ("who answers", "right", "95% interval", "by seed"),
            tuple((row["name"], row["text"], row["span"], row["by_seed"]) for row in rows),
        ),
        layers=_layers(rows, evaluation),
        height=ROW * len(rows) + 46,
    )


def arm_name(arm: Arm, evaluation: Evaluation) -> str:
    """The recipe, with the base where there are several."""
    several = len({one.base for one in evaluation.arms}) > 1
    base = f" · {arm.base.rsplit('/', 1)[-1]}" if several else ""
    return f"{arm.recipe}{base}{' (control)' if arm.recipe == CONTROL_RECIPE else ''}"


def _title(evaluation: Evaluation) -> str:
    control = {arm.base: arm for arm in evaluation.arms if arm.recipe == CONTROL_RECIPE}
    compared = [arm for arm in evaluation.arms if arm.versus_control and arm.base in control]
    better = [
        arm for arm in compared if arm.versus_control and arm.versus_control.verdict == "better"
    ]
    best = max(better or compared or evaluation.arms, key=lambda arm: arm.accuracy)
    if not compared:
        return (
            f"{best.recipe} is right on {percent(best.accuracy)}, with nothing to compare it with"
        )
    against = percent(control[best.base].accuracy)
    if not better:
        return f"No recipe is seen to beat the label-only control, right on {against}"
    return (
        f"{best.recipe} is right on {percent(best.accuracy)}, the label-only control on {against}"
    )


def _note(evaluation: Evaluation) -> str:
    note = "Dot: accuracy. Line: 95% interval."
    if any(len(arm.seeds) > 1 for arm in evaluation.arms):
        note += " Rings: single seeds."
    if any(arm.recipe == CONTROL_RECIPE for arm in evaluation.arms):
        note += " Dashed: the control."
    return note


def _row(
    name: str,
    value: float,
    colour: str,
    interval: Interval | None = None,
    seeds: Sequence[float] = (),
) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "low": interval.low if interval else value,
        "high": interval.high if interval else value,
        "colour": colour,
        "text": percent(value),
        "span": span(interval) if interval else "",
        "seeds": list(seeds),
        "by_seed": ", ".join(percent(one) for one in seeds),
    }


def _layers(rows: list[dict[str, Any]], evaluation: Evaluation) -> list[alt.Chart]:
    seeds = [
        {"name": row["name"], "value": one}
        for row in rows
        for one in row["seeds"]
        if len(row["seeds"]) > 1
    ]
    low = min([row["low"] for row in rows] + [one["value"] for one in seeds])
    high = max([row["high"] for row in rows] + [one["value"] for one in seeds])
    first, last = max(0, int(low * 10 - 0.5)), min(10, int(high * 10 + 1.5))  # tenths
    step = 1
    if last - first > 4:
        first, last, step = first - first % 2, last + last % 2, 2
    x = alt.X(
        "value:Q",
        title=f"right, of {count(evaluation.n)} {evaluation.split} calls",
        scale=alt.Scale(domain=[first / 10, last / 10]),
        axis=alt.Axis(
            format=".0%",
            values=[t / 10 for t in range(first, last + 1, step)],
            labelFlush=False,
            labelOverlap=False,
        ),
    )
    y = names([row["name"] for row in rows])
    data = chart(rows)
    controls = [{"value": a.accuracy} for a in evaluation.arms if a.recipe == CONTROL_RECIPE]
    return [
        chart(controls).mark_rule(strokeDash=[4, 4], color=CONTROL).encode(x=x),
        *dots(data, chart(seeds), x, y),
    ]
