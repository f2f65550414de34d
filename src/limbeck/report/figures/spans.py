"""Values with their intervals, one a row: slices, drops, differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import altair as alt

from limbeck.evaluate.intervals import Interval
from limbeck.report.figures.bars import ROW, above, chart, names
from limbeck.report.figures.chart import CONTROL, STUDENT, Figure, Table


class Row(NamedTuple):
    name: str
    value: float
    interval: Interval
    text: str
    colour: str = STUDENT


def spans(
    name: str,
    title: str,
    note: str,
    rows: Sequence[Row],
    *,
    axis: str,
    table: Table,
    reference: float | None = None,
    form: str = ".0%",
    domain: tuple[float, float] | None = None,
) -> Figure:
    """Dots with their intervals; `reference` is a dashed line, such as no difference at all."""
    values: list[dict[str, Any]] = [
        {
            "name": row.name,
            "value": row.value,
            "low": row.interval.low,
            "high": row.interval.high,
            "text": row.text,
            "colour": row.colour,
        }
        for row in rows
    ]
    ends = [v for row in values for v in (row["low"], row["high"])]
    if reference is not None:
        ends.append(reference)
    span = max(ends) - min(ends) or 1.0
    low, high = domain or (min(ends) - 0.05 * span, max(ends) + 0.05 * span)
    x = alt.X(
        "value:Q",
        title=axis,
        scale=alt.Scale(domain=[low, high], nice=domain is None),
        axis=alt.Axis(format=form, tickCount=4),
    )
    y = names([row.name for row in rows])
    colour = alt.Color("colour:N", scale=None)
    data = chart(values)
    lines = [] if reference is None else [{"value": reference}]
    return Figure(
        name=name,
        title=title,
        note=note,
        description=f"{title}. " + "; ".join(f"{row.name}: {row.text}" for row in rows) + ".",
        table=table,
        layers=[
            chart(lines).mark_rule(strokeDash=[4, 4], color=CONTROL).encode(x=x),
            data.mark_rule(strokeWidth=3, opacity=0.55).encode(
                x=alt.X("low:Q"), x2="high:Q", y=y, color=colour
            ),
            data.mark_point(filled=True, size=95, opacity=1).encode(x=x, y=y, color=colour),
            *above(data, x, y, "center"),
        ],
        height=ROW * len(rows) + 46,
    )
