"""Horizontal bars with their numbers, and what all figures with named rows share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import altair as alt

from limbeck.report.figures.chart import PAPER, STUDENT, WIDTH, Figure, Table

Align = Literal["left", "center"]
ROW = 44
"""Height of a row that carries its number above the mark."""
BAR = 30
LABELS = 140
"""Width of the names at the left of a row, at most."""


def bars(
    name: str,
    title: str,
    note: str,
    rows: Sequence[tuple[str, float, str]],
    colour: str,
    table: Table,
    first: str | None = None,
) -> Figure:
    """Horizontal bars (name, length, text) with the number at the end of each."""
    values: list[dict[str, Any]] = [
        {
            "name": label,
            "value": value,
            "text": text,
            "colour": first if first and i == 0 else colour,
        }
        for i, (label, value, text) in enumerate(rows)
    ]
    y = names([row["name"] for row in values])
    # The longest bar leaves room for its number.
    top = max((value for _, value, _ in rows), default=0) or 1
    room = 8.5 * max((len(text) for _, _, text in rows), default=0) + 12
    share = max(0.3, 1 - room / (WIDTH - LABELS - 20))
    x = alt.X("value:Q", scale=alt.Scale(domain=[0, top / share]), axis=None)
    data = chart(values)
    return Figure(
        name=name,
        title=title,
        note=note,
        description=f"{title}. "
        + "; ".join(f"{row['name']}: {row['text']}" for row in values)
        + ".",
        table=table,
        layers=[
            data.mark_bar(height=16).encode(x=x, y=y, color=alt.Color("colour:N", scale=None)),
            data.mark_text(align="left", dx=6).encode(x=x, y=y, text="text:N"),
        ],
        height=BAR * len(rows) + 12,
        right=6,
    )


def names(names: Iterable[str]) -> alt.Y:
    axis = alt.Axis(title=None, domain=False, ticks=False, labelLimit=LABELS, labelPadding=8)
    return alt.Y("name:N", sort=list(names), axis=axis)


def above(data: alt.Chart, x: alt.X | alt.XDatum, y: alt.Y, align: Align) -> list[alt.Chart]:
    """The field `text` above each mark, on a halo that keeps lines from running through it."""
    text = data.encode(x=x, y=y, text="text:N")
    return [
        text.mark_text(dy=-15, align=align, fill=PAPER, stroke=PAPER, strokeWidth=5),
        text.mark_text(dy=-15, align=align),
    ]


def dots(data: alt.Chart, seeds: alt.Chart, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    """A dot with its interval (fields `low`, `high`, `colour`, `text`) a row, and a ring for each of
    `seeds`."""
    colour = alt.Color("colour:N", scale=None)
    interval = data.mark_rule(strokeWidth=3, opacity=0.55)
    return [
        interval.encode(x=alt.X("low:Q"), x2="high:Q", y=y, color=colour),
        data.mark_point(filled=True, size=95, opacity=1).encode(x=x, y=y, color=colour),
        *above(data, x, y, "center"),
        seeds.mark_point(size=26, strokeWidth=1.5, yOffset=11, color=STUDENT, opacity=1).encode(
            x=x, y=y
        ),
    ]


def chart(rows: Sequence[dict[str, Any]]) -> alt.Chart:
    return alt.Chart({"values": list(rows)})
