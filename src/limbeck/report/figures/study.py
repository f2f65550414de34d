"""The drawings of a study: accuracies, curves over what was varied, and paired differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from limbeck.distill.recipes.table import CONTROL as CONTROL_RECIPE
from limbeck.evaluate.study.result import ArmResult, StudyResult
from limbeck.report.figures.bars import ROW, above, chart, dots, names
from limbeck.report.figures.chart import CONTROL, FAINT, STUDENT, TEACHER, WRONG, Figure, Table
from limbeck.report.numbers import count, percent, points, points_span, span

COLOURS = (STUDENT, WRONG, TEACHER, FAINT)
"""Of the lines that are no control, in their order."""
MOST_ROWS = 12
"""Arms of one drawing of differences; of more, the tables and curves speak."""


def drawings(result: StudyResult) -> list[Figure]:
    """All drawings of a study, the first the one that answers its question."""
    if result.x_title is None:
        drawn = [accuracies(result)]
    else:
        panels = dict.fromkeys(arm.panel for arm in result.arms if arm.x is not None)
        own = [panel for panel in panels if panel]
        drawn = [curve(result, panel) for panel in own or [""]]
    compared = [arm for arm in result.arms if arm.versus is not None]
    if 0 < len(compared) <= MOST_ROWS:
        drawn.append(differences(result, compared))
    return drawn


# ---- accuracies ---------------------------------------------------------------------------------


def accuracies(result: StudyResult) -> Figure:
    """A dot for each arm with its 95 % interval, and a ring for each seed."""
    best = max(result.arms, key=lambda arm: arm.accuracy)
    title = f"{best.name} is right most often, on {percent(best.accuracy)}"
    rows = [_row(arm) for arm in result.arms]
    if result.teacher is not None:
        teacher = result.teacher
        rows.append(
            {
                "name": "teacher",
                "value": teacher.accuracy,
                "low": teacher.interval.low,
                "high": teacher.interval.high,
                "colour": TEACHER,
                "text": percent(teacher.accuracy),
            }
        )
    seeds: list[dict[str, Any]] = [
        {"name": arm.name, "value": seed.accuracy} for arm in result.arms for seed in arm.seeds
    ]
    x = alt.X(
        "value:Q",
        title=f"right, of {count(result.n)} {result.split} calls",
        scale=alt.Scale(domain=_domain([*_ends(rows), *(seed["value"] for seed in seeds)])),
        axis=alt.Axis(format=".0%", tickCount=5),
    )
    y = names([row["name"] for row in rows])
    data = chart(rows)
    return Figure(
        name=f"{result.task}-{result.study}-accuracy",
        title=title,
        note="Dot: mean over the seeds. Line: 95% interval. Rings: single seeds.",
        description=f"{title}. " + "; ".join(f"{row['name']} {row['text']}" for row in rows) + ".",
        table=_table(result.arms),
        layers=dots(data, chart(seeds), x, y),
        height=ROW * len(rows) + 46,
    )


def _row(arm: ArmResult) -> dict[str, Any]:
    return {
        "name": arm.name,
        "value": arm.accuracy,
        "low": arm.interval.low,
        "high": arm.interval.high,
        "colour": CONTROL if arm.recipe == CONTROL_RECIPE else STUDENT,
        "text": percent(arm.accuracy),
    }


# ---- curves -------------------------------------------------------------------------------------


def curve(result: StudyResult, panel: str) -> Figure:
    """Accuracy over what was varied: a line for each series, with its band and its seeds.

    A panel begins with the arms that stand in no panel of their own. An arm without a place on the
    axis is a dashed line across.
    """
    drawn = [arm for arm in result.arms if arm.x is not None and arm.panel in ("", panel)]
    across = [arm for arm in result.arms if arm.x is None]
    rows = [_point(arm, panel or arm.series) for arm in drawn]
    series = list(dict.fromkeys(row["key"] for row in rows))
    others = [name for name in series if name != CONTROL_RECIPE]
    keys = dict(zip(others, COLOURS * 9, strict=False))
    if CONTROL_RECIPE in series:
        keys[CONTROL_RECIPE] = CONTROL
    lines: list[dict[str, Any]] = [{"key": arm.name, "value": arm.accuracy} for arm in across]
    keys |= {line["key"]: CONTROL for line in lines}
    if result.teacher is not None:
        lines.append({"key": "teacher", "value": result.teacher.accuracy})
        keys["teacher"] = TEACHER if TEACHER not in keys.values() else FAINT
    seeds: list[dict[str, Any]] = [
        {"key": panel or arm.series, "x": arm.x, "value": seed.accuracy}
        for arm in drawn
        for seed in arm.seeds
    ]
    spread = [*_ends(rows), *(row["value"] for row in [*lines, *seeds])]
    x = _axis([row["x"] for row in rows], result.x_title or "")
    y = alt.Y(
        "value:Q",
        title="right",
        scale=alt.Scale(domain=_domain(spread)),
        axis=alt.Axis(format=".0%", tickCount=5),
    )
    legend = alt.Legend(
        title=None,
        orient="top",
        direction="vertical",
        symbolType="circle",
        symbolSize=90,
        symbolStrokeWidth=0,
        symbolOpacity=1,
    )
    scale = alt.Scale(domain=list(keys), range=list(keys.values()))
    colour = alt.Color("key:N", scale=scale, legend=legend)
    data = chart(rows)
    title = _curve_title(result, panel, drawn)
    slug = f"-{panel}" if panel else ""
    return Figure(
        name=f"{result.task}-{result.study}{slug}",
        title=title,
        note="Line: mean over the seeds. Band: 95% interval. Rings: single seeds.",
        description=f"{title}. "
        + "; ".join(f"{r['name']} {percent(r['value'])}" for r in rows)
        + ".",
        table=_table([*across, *drawn]),
        layers=[
            data.mark_area(opacity=0.16).encode(
                x=x, y=alt.Y("low:Q"), y2="high:Q", color=colour, detail="key:N"
            ),
            chart(lines).mark_rule(strokeDash=[6, 4], strokeWidth=2).encode(y=y, color=colour),
            data.mark_line(strokeWidth=2.5).encode(x=x, y=y, color=colour),
            data.mark_point(filled=True, size=70, opacity=1).encode(x=x, y=y, color=colour),
            chart(seeds)
            .mark_point(size=22, strokeWidth=1.2, opacity=0.8)
            .encode(x=x, y=y, color=colour),
        ],
        height=250 + 20 * len(keys),
    )


def _point(arm: ArmResult, key: str) -> dict[str, Any]:
    return {
        "name": arm.name,
        "key": key,
        "x": arm.x,
        "value": arm.accuracy,
        "low": arm.interval.low,
        "high": arm.interval.high,
    }


def _axis(values: Sequence[float], title: str) -> alt.X:
    """Doublings are evenly far apart; shares run from 0 to 1."""
    ticks = sorted(set(values))
    if ticks[-1] <= 1:
        scale, form = alt.Scale(domain=[0, 1]), ".0%"
    else:
        scale = alt.Scale(type="log", base=2, domain=[ticks[0], ticks[-1]], nice=False)
        form = ",.0f"
    axis = alt.Axis(values=ticks, format=form, labelFlush=False, grid=False)
    return alt.X("x:Q", title=title, scale=scale, axis=axis)


def _curve_title(result: StudyResult, panel: str, drawn: Sequence[ArmResult]) -> str:
    best = max(drawn, key=lambda arm: arm.accuracy)
    if not panel:
        return f"{best.name} is right most often, on {percent(best.accuracy)}"
    last = max(drawn, key=lambda arm: arm.x or 0)
    first = min(drawn, key=lambda arm: arm.x or 0)
    return (
        f"{panel}: right on {percent(last.accuracy)} at a dose of {last.x:.0%}, "
        f"{percent(first.accuracy)} without"
    )


# ---- differences --------------------------------------------------------------------------------


def differences(result: StudyResult, arms: Sequence[ArmResult]) -> Figure:
    """Paired differences with their 95 % intervals, around the line of no difference."""
    rows: list[dict[str, Any]] = []
    for arm in arms:
        versus = arm.versus
        assert versus is not None
        colour = {"better": STUDENT, "worse": WRONG}.get(versus.verdict, CONTROL)
        rows.append(
            {
                "name": arm.name,
                "value": versus.difference * 100,
                "low": versus.interval.low * 100,
                "high": versus.interval.high * 100,
                "colour": colour,
                "text": points(versus.difference).removesuffix(" points"),
            }
        )
    seen = sum(row["colour"] != CONTROL for row in rows)
    stand = "stands" if seen == 1 else "stand"
    title = f"{seen} of {len(rows)} differences {stand} out from chance"
    edge = max(abs(end) for row in rows for end in (row["low"], row["high"])) * 1.12 or 1.0
    x = alt.X(
        "value:Q",
        title="difference, percentage points",
        scale=alt.Scale(domain=[-edge, edge]),
        axis=alt.Axis(tickCount=5, labelExpr="datum.value > 0 ? '+' + datum.label : datum.label"),
    )
    y = names([row["name"] for row in rows])
    data = chart(rows)
    colours = alt.Color("colour:N", scale=None)
    return Figure(
        name=f"{result.task}-{result.study}-differences",
        title=title,
        note=_against(arms),
        description=f"{title}. " + "; ".join(f"{row['name']} {row['text']}" for row in rows) + ".",
        table=Table(
            ("arm", "against", "difference", "95% interval"),
            tuple(
                (
                    arm.name,
                    arm.versus.against,
                    points(arm.versus.difference),
                    points_span(arm.versus.interval),
                )
                for arm in arms
                if arm.versus is not None
            ),
        ),
        layers=[
            chart([{"value": 0}]).mark_rule(color=FAINT).encode(x=x),
            data.mark_rule(strokeWidth=3, opacity=0.55).encode(
                x=alt.X("low:Q"), x2="high:Q", y=y, color=colours
            ),
            data.mark_point(filled=True, size=95, opacity=1).encode(x=x, y=y, color=colours),
            *above(data, x, y, "center"),
        ],
        height=ROW * len(rows) + 46,
    )


def _against(arms: Sequence[ArmResult]) -> str:
    named = list(dict.fromkeys(arm.versus.against for arm in arms if arm.versus))
    against = f"Against {named[0]}" if len(named) == 1 else "Against the arm that the table names"
    return (
        f"{against}: same calls, same seeds. Line: 95% interval; where it spans the middle, no "
        "difference is seen."
    )


def _table(arms: Sequence[ArmResult]) -> Table:
    return Table(
        ("arm", "right", "95% interval", "by seed"),
        tuple(
            (
                arm.name,
                percent(arm.accuracy),
                span(arm.interval),
                ", ".join(percent(seed.accuracy) for seed in arm.seeds),
            )
            for arm in arms
        ),
    )


def _ends(rows: Sequence[dict[str, Any]]) -> list[float]:
    return [row[end] for row in rows for end in ("low", "high")]


def _domain(values: Sequence[float]) -> list[float]:
    """Whole tenths around all values."""
    return [max(0, int(min(values) * 10 - 0.3)) / 10, min(10, int(max(values) * 10 + 1.3)) / 10]
