"""A section of the page of an evaluation, as the template reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from limbeck.report.figures.chart import Figure, Table


@dataclass(frozen=True)
class Part:
    """A piece of a section; a table with a caption is folded."""

    title: str = ""
    label: str = ""
    figures: Sequence[Figure] = ()
    tables: Sequence[tuple[str, Table]] = ()
    said: Sequence[str] = ()


@dataclass(frozen=True)
class Section:
    title: str
    lead: str
    parts: list[Part]
    headlines: list[str] = field(default_factory=list)
