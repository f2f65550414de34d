"""Cost and latency of the cascade beside the teacher alone."""

from __future__ import annotations

from typing import Any

import altair as alt

from limbeck.report.figures.bars import ROW, above, bars, chart, names
from limbeck.report.figures.chart import CONTROL, STUDENT, TEACHER, Figure, Table
from limbeck.report.numbers import duration, per_thousand
from limbeck.report.summary import Cascade


def cost(name: str, cascade: Cascade) -> Figure | None:
    """USD for 1,000 calls; None where nothing was paid, as for a teacher without a price."""
    if cascade.calls == 0 or cascade.teacher_only_usd <= 0:
        return None
    rows = [
        (
            "teacher alone",
            cascade.teacher_only_usd,
            per_thousand(cascade.teacher_only_usd, cascade.calls),
        ),
        ("cascade", cascade.cost_usd, per_thousand(cascade.cost_usd, cascade.calls)),
    ]
    table = Table(("who answers", "for 1,000 calls"), tuple((name, text) for name, _, text in rows))
    title = f"1,000 calls cost {rows[1][2]} behind the cascade, {rows[0][2]} with the teacher alone"
    note = "What the teacher charges; the machine that runs the student is not in it."
    return bars(f"{name}-cost", title, note, rows, STUDENT, table, first=TEACHER)


def latency(name: str, cascade: Cascade) -> Figure | None:
    """Median and 95th percentile at the client, in seconds; None without calls."""
    kinds: list[tuple[str, float, float | None, str]] = [
        ("teacher alone", cascade.teacher_p50, None, TEACHER)
    ]
    if cascade.local:
        kinds.append(("answered locally", cascade.local_p50, cascade.local_p95, STUDENT))
    if cascade.calls > cascade.local:
        kinds.append(("passed to teacher", cascade.escalated_p50, cascade.escalated_p95, CONTROL))
    if cascade.calls == 0:
        return None
    rows: list[dict[str, Any]] = [
        {
            "name": kind,
            "value": middle * 1000,
            "low": middle * 1000,
            "high": (middle if high is None else high) * 1000,
            "colour": colour,
            "text": duration(middle)
            if high is None
            else f"{duration(middle)}, 95th {duration(high)}",
        }
        for kind, middle, high, colour in kinds
    ]
    y = names([row["name"] for row in rows])
    top = max(row["high"] for row in rows) or 1
    x = alt.X(
        "value:Q",
        title="milliseconds",
        scale=alt.Scale(domain=[0, top]),
        axis=alt.Axis(tickCount=4),
    )
    colour = alt.Color("colour:N", scale=None)
    data = chart(rows)
    if cascade.local:
        title = (
            f"A local answer takes {duration(cascade.local_p50)} at the median, "
            f"the teacher's {duration(cascade.teacher_p50)}"
        )
    else:
        title = (
            "No call was answered locally; the teacher's answer takes "
            f"{duration(cascade.teacher_p50)} at the median"
        )
    return Figure(
        name=f"{name}-latency",
        title=title,
        note="Dot: median. End of line: 95th percentile. Measured at the client, on this machine.",
        description=f"{title}. " + "; ".join(f"{row['name']}: {row['text']}" for row in rows) + ".",
        table=Table(
            ("who answers", "median", "95th percentile"),
            tuple(
                (kind, duration(m), "not measured" if h is None else duration(h))
                for kind, m, h, _ in kinds
            ),
        ),
        layers=[
            data.mark_rule(strokeWidth=3, opacity=0.55).encode(
                x=alt.X("low:Q"), x2="high:Q", y=y, color=colour
            ),
            data.mark_point(filled=True, size=95, opacity=1).encode(x=x, y=y, color=colour),
            *above(data, alt.XDatum(0), y, "left"),
        ],
        height=ROW * len(rows) + 46,
    )
