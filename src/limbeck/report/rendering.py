"""Pages of reports, which share a style."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from typing import Any

from limbeck import rendering


def render(template: str, filters: Iterable[rendering.Filter] = (), **values: Any) -> str:
    """`template` of this folder with `values`, and with `filters` by their names."""
    style = resources.files("limbeck.report").joinpath("templates/style.css").read_text()
    return rendering.render("limbeck.report", template, filters, style=style, **values)
