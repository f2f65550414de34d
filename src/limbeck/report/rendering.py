"""Templates become text: one set of rules for every page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, filters: Iterable[Callable[..., Any]] = (), **values: Any) -> str:
    """`template` of this folder with `values`, and with `filters` by their names. HTML is escaped, and
    a name that nobody gave is an error."""
    environment = Environment(
        loader=PackageLoader("limbeck.report"),
        autoescape=template.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {one.__name__.lstrip("_"): one for one in filters}
    style = resources.files("limbeck.report").joinpath("templates/style.css").read_text()
    return environment.get_template(template).render(style=style, **values)
