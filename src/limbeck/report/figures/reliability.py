"""What a probability said against what came true; on the diagonal it can be taken at its word."""

from __future__ import annotations

from typing import Any

import altair as alt

from limbeck.evaluate.calibration import Reliability
from limbeck.report.figures.bars import chart
from limbeck.report.figures.chart import CONTROL, STUDENT, Figure, Table
from limbeck.report.numbers import count, percent, span


def reliability(name: str, found: Reliability) -> Figure:
    """Bins of equal count as dots with their intervals."""
    rows: list[dict[str, Any]] = [
        {"said": b.said, "true": b.true, "low": b.interval.low, "high": b.interval.high}
        for b in found.bins
    ]
    whole = alt.Scale(domain=[0, 1])
    x = alt.X(
        "said:Q", title="probability said", scale=whole, axis=alt.Axis(format=".0%", tickCount=4)
    )
    y = alt.Y("true:Q", title="came true", scale=whole, axis=alt.Axis(format=".0%", tickCount=4))
    data = chart(rows)
    ends = chart([{"said": 0, "true": 0}, {"said": 1, "true": 1}])
    title = f"By {found.of} its probabilities miss the truth by {percent(found.ece)}"
    return Figure(
        name=name,
        title=title,
        note="Dot: a tenth of the calls. Line: 95% interval. Dashed: said and true are the same.",
        description=f"{title}. "
        + "; ".join(f"said {percent(b.said)}, true {percent(b.true)}" for b in found.bins)
        + ".",
        table=Table(
            ("said", "came true", "95% interval", "calls"),
            tuple(
                (percent(b.said), percent(b.true), span(b.interval), count(b.n)) for b in found.bins
            ),
        ),
        layers=[
            ends.mark_line(color=CONTROL, strokeDash=[4, 4]).encode(x=x, y=y),
            data.mark_rule(strokeWidth=2.5, opacity=0.5, color=STUDENT).encode(
                x=x, y=alt.Y("low:Q", scale=whole), y2="high:Q"
            ),
            data.mark_point(filled=True, size=80, color=STUDENT, opacity=1).encode(x=x, y=y),
        ],
        height=300,
    )
