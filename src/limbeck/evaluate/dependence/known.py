"""What is known of the measures: how well each tells planted students apart, from `known.json`."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

from limbeck.evaluate.intervals import Interval
from limbeck.types import Noun


class KnownMeasure(Noun):
    """`auroc`: P(an item on which a planted student must use its rationale scores above one on which
    it ignores it), ties counting half. `bottleneck` is the same for the items of a student that learned
    a task which cannot be done without its chain. The means are over the items of each kind."""

    name: str
    auroc: float
    interval: Interval
    bottleneck: float | None
    bottleneck_interval: Interval | None
    must_use: float
    needs: float | None
    ignores: float


class Known(Noun):
    """How the measures were checked. `direct` is the accuracy of the label-only student on the
    bottleneck task, which says how far it can be done without a chain; `thinking` that of the student
    that learned its chains."""

    task: str
    students: int
    items: int
    seeds: tuple[int, ...]
    version: str
    command: str
    direct: float | None
    thinking: float | None
    measures: tuple[KnownMeasure, ...]
    notes: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def known() -> Known | None:
    """The check that came with this version; None where none did."""
    place = resources.files("limbeck.evaluate.dependence").joinpath("known.json")
    if not place.is_file():
        return None
    return Known.model_validate_json(place.read_bytes())
