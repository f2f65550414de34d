"""A figure: one chart, the sentence above it and the numbers behind it; drawn as SVG and PNG.

Figures are 400 units wide with type of 14, so that they are read at the width of a phone, where
about 318 pixels are left for a figure and 14 becomes 11. They are stacked, never put abreast in one
drawing.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import altair as alt
import vl_convert
from markupsafe import Markup

WIDTH = 400
"""Units of the drawing's own coordinate system, padding included."""
FONT = "Arial, Liberation Sans, Helvetica, sans-serif"
INK = "#1c2127"
FAINT = "#5b6570"
GRID = "#d8dee4"
PAPER = "#ffffff"
STUDENT = "#1763a6"
TEACHER = "#b35900"
CONTROL = "#6b7680"
WRONG = "#b3261e"

_ROLES = {
    INK: "ink",
    FAINT: "faint",
    GRID: "line",
    PAPER: "paper",
    STUDENT: "student",
    TEACHER: "teacher",
    CONTROL: "control",
    WRONG: "wrong",
}
"""Which variable of the page's style stands for a colour, so that dark pages recolour it."""


@dataclass(frozen=True)
class Table:
    """The numbers of a figure, as they are shown."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Figure:
    """`title` says what is found, `note` how to read the marks, `description` what the drawing shows."""

    name: str
    title: str
    note: str
    description: str
    table: Table
    layers: Sequence[alt.Chart]
    height: int
    right: int = 26
    """Units kept free at the right for text that stands beyond the last mark."""


def svg(figure: Figure, *, simulated: bool = False) -> str:
    """A drawing that stands alone: with its title, on white, and marked where it is simulated."""
    if simulated:
        figure = replace(figure, note=f"Simulated. {figure.note}")
    return _draw(figure, titled=True)


def png(drawn: str) -> bytes:
    """A drawing of `svg` at twice its size in pixels."""
    return bytes(vl_convert.svg_to_png(drawn, scale=2))


def inline(figure: Figure) -> Markup:
    """A drawing for the page: it scales with its box and takes the page's colours."""
    drawn = _draw(figure, titled=False)
    for colour, role in _ROLES.items():
        drawn = drawn.replace(f'"{colour}"', f'"var(--{role}, {colour})"')
    box = re.search(r'viewBox="[^"]+"', drawn)
    assert box is not None, "the renderer gave no view box"
    label = html.escape(figure.description, quote=True)
    head = f'<svg class="figure" role="img" aria-label="{label}" {box.group()}>'
    return Markup(re.sub(r"^<svg[^>]*>", lambda _: head, drawn, count=1))


def _draw(figure: Figure, *, titled: bool) -> str:
    drawn = str(vl_convert.vegalite_to_svg(_spec(figure, titled=titled)))
    # The renderer names clip paths by how many it has made so far. Named by figure, they are unique
    # on a page of many drawings, and the same numbers give the same bytes.
    for i, name in enumerate(dict.fromkeys(re.findall(r'id="([^"]+)"', drawn))):
        drawn = drawn.replace(f'id="{name}"', f'id="{figure.name}-{i}"')
        drawn = drawn.replace(f"url(#{name})", f"url(#{figure.name}-{i})")
    return drawn


def _spec(figure: Figure, *, titled: bool) -> dict[str, Any]:
    chart = alt.layer(*figure.layers).properties(
        width=WIDTH,
        height=figure.height + (_title_height(figure) if titled else 0),
        autosize=alt.AutoSizeParams(type="fit", contains="padding"),
        padding={"left": 4, "right": figure.right, "top": 6, "bottom": 4},
    )
    if titled:
        chart = chart.properties(
            title=alt.TitleParams(
                text=_lines(figure.title, 46),
                subtitle=_lines(figure.note, 58),
                anchor="start",
                frame="bounds",
                color=INK,
                subtitleColor=FAINT,
                fontSize=15,
                subtitleFontSize=12,
                offset=12,
            )
        )
    spec: dict[str, Any] = chart.configure(
        font=FONT,
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            labelFontSize=14,
            titleFontSize=14,
            titleFontWeight="normal",
            labelColor=INK,
            titleColor=FAINT,
            gridColor=GRID,
            domainColor=GRID,
            tickColor=GRID,
        ),
        legend=alt.LegendConfig(labelFontSize=14, labelColor=INK, labelLimit=WIDTH),
        text=alt.MarkConfig(fontSize=14, fill=INK),
    ).to_dict(validate=False)  # the renderer refuses what it cannot draw
    # The drawing is one image with one description; its parts need none of their own.
    spec["config"]["aria"] = False
    spec["config"]["background"] = PAPER if titled else None
    return spec


def _title_height(figure: Figure) -> int:
    return 12 + 18 * len(_lines(figure.title, 46)) + 15 * len(_lines(figure.note, 58))


def _lines(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines
