"""Templates become text: one set of rules for every page and card."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

Filter = Callable[..., Any]


def render(package: str, template: str, filters: Iterable[Filter] = (), **values: Any) -> str:
    """`template` of the folder `templates` of `package` with `values`, and with `filters` by their
    names. HTML is escaped, and a name that nobody gave is an error."""
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=template.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {one.__name__.lstrip("_"): one for one in filters}
    return environment.get_template(template).render(**values)
