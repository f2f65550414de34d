"""Risk against coverage, with what is promised and the threshold that keeps it."""

from __future__ import annotations

from typing import Any

import altair as alt

from limbeck.report.figures.bars import chart
from limbeck.report.figures.chart import INK, STUDENT, WRONG, Figure, Table
from limbeck.report.numbers import level, percent
from limbeck.report.summary import Calibration

UNSTEADY = 0.05
"""Below this coverage the risk is that of a few calls: it stands in the table, not in the drawing."""


def risk(name: str, calibration: Calibration) -> Figure | None:
    """Risk against coverage, the promise and the threshold; None without a curve."""
    drawn = [p for p in calibration.curve if p.coverage >= UNSTEADY] or list(calibration.curve)
    if not drawn:
        return None
    promised = calibration.policy.max_risk
    keys = [
        ("all thresholds, on test calls", STUDENT),
        (f"promised: at most {level(promised)} wrong", WRONG),
    ]
    coverage, wrong = calibration.chosen_coverage, calibration.chosen_risk
    chosen = coverage is not None and wrong is not None and calibration.policy.threshold is not None
    if chosen and coverage is not None and wrong is not None:
        keys.append((f"threshold: answers {percent(coverage)}, {percent(wrong)} wrong", INK))
        title = (
            f"At its threshold the student answers {percent(coverage)} of test calls "
            f"and is wrong on {percent(wrong)} of them"
        )
    else:
        title = f"No threshold keeps the promise of at most {level(promised)} wrong"
    top = max([p.risk for p in drawn] + [promised * 1.4, (wrong or 0.0) * 1.2])
    x = alt.X(
        "coverage:Q",
        title="share of calls that the student answers",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format=".0%", tickCount=4),
    )
    y = alt.Y(
        "risk:Q",
        title="wrong among them",
        scale=alt.Scale(domain=[0, top], nice=True),
        axis=alt.Axis(format=".0%" if top > 0.06 else ".1%", tickCount=4),
    )
    legend = alt.Legend(
        title=None,
        orient="top",
        direction="vertical",
        symbolType="circle",
        symbolSize=90,
        symbolStrokeWidth=0,
    )
    scale = alt.Scale(domain=[text for text, _ in keys], range=[colour for _, colour in keys])
    colour = alt.Color("key:N", scale=scale, legend=legend)

    def marks(rows: list[dict[str, Any]], index: int) -> alt.Chart:
        return chart([row | {"key": keys[index][0]} for row in rows])

    layers = [
        marks([{"coverage": 0, "risk": promised}, {"coverage": 1, "risk": promised}], 1)
        .mark_line(strokeDash=[6, 4], strokeWidth=2)
        .encode(x=x, y=y, color=colour),
        marks([{"coverage": p.coverage, "risk": p.risk} for p in drawn], 0)
        .mark_line(strokeWidth=2.5, clip=True)
        .encode(x=x, y=y, color=colour),
    ]
    # Without a threshold there is no point, and still the layer: it gives the key its dots.
    point = marks([{"coverage": coverage, "risk": wrong}], 2) if chosen else chart([])
    layers.append(point.mark_point(filled=True, size=150, opacity=1).encode(x=x, y=y, color=colour))
    return Figure(
        name=f"{name}-risk",
        title=title,
        note="The surest answers first. A good curve stays low for long.",
        description=(
            f"{title}. The curve runs from {percent(drawn[0].risk)} wrong at "
            f"{percent(drawn[0].coverage)} of calls to {percent(drawn[-1].risk)} wrong at "
            f"{percent(drawn[-1].coverage)}."
        ),
        table=Table(
            ("confidence at least", "answered", "wrong among them"),
            tuple(
                (f"{p.threshold:.3f}", percent(p.coverage), percent(p.risk))
                for p in calibration.curve
            ),
        ),
        layers=layers,
        height=290 + 20 * len(keys),
    )
