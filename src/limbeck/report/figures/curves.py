"""Shares along a way: how answers change as more of a rationale is cut, or a mistake comes later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from limbeck.evaluate.dependence.dependence import Point
from limbeck.report.figures.bars import chart
from limbeck.report.figures.chart import STUDENT, Figure, Table
from limbeck.report.numbers import percent, span


def curve(name: str, title: str, note: str, points: Sequence[Point], axis: str) -> Figure:
    """The share of changed answers with its band, against the share of the way, both 0 to 1."""
    rows: list[dict[str, Any]] = [
        {"at": p.at, "changed": p.changed, "low": p.interval.low, "high": p.interval.high}
        for p in points
    ]
    x = alt.X(
        "at:Q",
        title=axis,
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", tickCount=4),
    )
    y = alt.Y(
        "changed:Q",
        title="answers that changed",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", tickCount=4),
    )
    data = chart(rows)
    return Figure(
        name=name,
        title=title,
        note=note,
        description=f"{title}. "
        + "; ".join(f"at {percent(p.at)}: {percent(p.changed)}" for p in points)
        + ".",
        table=Table(
            (axis, "changed", "95% interval"),
            tuple((percent(p.at), percent(p.changed), span(p.interval)) for p in points),
        ),
        layers=[
            data.mark_area(opacity=0.18, color=STUDENT).encode(
                x=x, y=alt.Y("low:Q", scale=alt.Scale(domain=[0, 1])), y2="high:Q"
            ),
            data.mark_line(color=STUDENT, strokeWidth=2.5).encode(x=x, y=y),
            data.mark_point(filled=True, size=70, color=STUDENT, opacity=1).encode(x=x, y=y),
        ],
        height=230,
    )
