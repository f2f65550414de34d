"""Untasked calls become a ranked list of candidates for a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from limbeck.capture.discover.candidate import Candidate, describe
from limbeck.capture.discover.census import Census, Progress
from limbeck.capture.discover.groups import Group, find_groups
from limbeck.errors import UsageError
from limbeck.store.store import Store
from limbeck.types import Noun, Task

MIN_CALLS = 20
By = Literal["cost", "calls"]


class Found(Noun):
    """What there is among the calls of no task: candidates in their order, and what is none.

    `wide` are groups without a narrow job, `small` counts the groups with too few calls, and `rest`
    the calls that are in no group of these.
    """

    calls: int
    candidates: tuple[Candidate, ...]
    wide: tuple[Candidate, ...]
    small: int
    rest: int


@dataclass(frozen=True)
class Discovery:
    """What was found, and the groups behind it by the id of their candidate."""

    found: Found
    census: Census
    groups: dict[str, Group]

    def candidate(self, name: str) -> Candidate:
        """The candidate whose id begins with `name`. Raises UsageError where none or several do."""
        there = [*self.found.candidates, *self.found.wide]
        named = [one for one in there if name and one.id.startswith(name)]
        if len(named) == 1:
            return named[0]
        ids = ", ".join(one.id for one in there) or "none"
        raise UsageError(
            f"there {'is no group' if not named else 'are several groups'} {name!r}; "
            f"the groups are: {ids}; list them with: limbeck discover"
        )


def discover(
    store: Store,
    tasks: Sequence[Task] = (),
    *,
    min_calls: int = MIN_CALLS,
    by: By = "cost",
    progress: Progress = lambda done, of: None,
) -> Discovery:
    """Group the calls of no task and rank the groups.

    Reads every call once or twice, one after the other; what is held in memory grows with the number
    of different prompts and not with the number of calls. Changes nothing.
    """
    census = Census(store)
    census.take(progress)
    groups = find_groups(census, store, progress)
    large = [group for group in groups if group.tally.spell.calls >= min_calls]
    # A rest without any instruction is what was left over, and no group.
    told = [(group, describe(group, census, tasks)) for group in large]
    kept = [(group, one) for group, one in told if one.instruction.strip() or one.template]
    ranked = sorted((one for _, one in kept), key=lambda one: _rank(one, by))
    found = Found(
        calls=census.calls,
        candidates=tuple(one for one in ranked if one.narrow),
        wide=tuple(one for one in ranked if not one.narrow),
        small=sum(0 < group.tally.spell.calls < min_calls for group in groups),
        rest=census.calls - sum(one.calls for one in ranked),
    )
    return Discovery(found, census, {one.id: group for group, one in kept})


def _rank(one: Candidate, by: By) -> tuple[float, float, str]:
    # What a group costs is known only where its calls were priced; the number of calls always is.
    cost, calls = -(one.cost_usd or 0.0), -float(one.calls)
    return (cost, calls, one.id) if by == "cost" else (calls, cost, one.id)
