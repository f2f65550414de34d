"""What is told of a group of calls: how many, what they cost, how they are answered."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from limbeck.capture.discover.answers import FormGuess
from limbeck.capture.discover.census import Census, Pile
from limbeck.capture.discover.groups import Group, name_of, system_template
from limbeck.capture.discover.near import NEAR, Prompt, resemblance
from limbeck.capture.discover.tokens import mask, tokenize, words
from limbeck.types import Noun, Task

EXAMPLES = 3
DAYS_IN_MONTH = 30
SHORTEST_SPAN_S = 3600.0
"""Calls a day are not told from a shorter time."""
WIDE_WORDS = 8
"""A shorter prompt that is answered in free text is no narrow job."""
SHOWN = 600
"""Characters of an example that are shown."""
_CHANGED = 160


class Version(Noun):
    """A wording of the constant part: how many calls had it, from when to when, and how it differs
    from the one before (`-gone +new`)."""

    skeleton: str | None
    calls: int
    first: datetime | None
    last: datetime | None
    changed: str = ""


class Example(Noun):
    """A call and its reply, cut to a few lines."""

    trace_id: str
    input: str
    reply: str


class Candidate(Noun):
    """Calls that may be one task.

    `instruction` is their system prompt and `system` the same with `{name}` for what varies in it;
    `template` is the last user message, where the instructions stand there. Shares are of `calls`.
    `cost_usd` is of the `priced` share, and `month_usd` what a month of all of them costs at that
    rate. `day` is calls a day. `like` is a task that is there already with nearly this prompt. A
    candidate that is not `narrow` is mostly conversation.
    """

    id: str
    calls: int
    narrow: bool
    instruction: str
    system: str | None = None
    template: str | None = None
    has_tools: bool = False
    form: FormGuess
    models: dict[str, int] = Field(default_factory=dict)
    first: datetime | None = None
    last: datetime | None = None
    day: float | None = None
    cost_usd: float | None = None
    priced: float = 0.0
    month_usd: float | None = None
    multi_turn: float = 0.0
    failed: float = 0.0
    skeletons: int = 1
    versions: tuple[Version, ...] = ()
    examples: tuple[Example, ...] = ()
    like: str | None = None

    @property
    def prompt(self) -> str:
        """What the teacher is told, in one line."""
        return " ".join((self.template or self.system or self.instruction).split())


def describe(group: Group, census: Census, tasks: Sequence[Task] = ()) -> Candidate:
    """The candidate that a group of calls makes."""
    tally, piles = group.tally, [census.piles[at] for at in group.piles]
    calls = tally.spell.calls
    versions = _versions(piles)
    latest = max(piles, key=lambda pile: (_last(pile) is not None, _last(pile), _calls(pile)))
    instruction = next(reversed(latest.prompts), "")
    cost = tally.cost_usd if tally.priced else None
    day = _per_day(calls, tally.spell.first, tally.spell.last)
    priced = tally.priced / calls if calls else 0.0
    return Candidate(
        id=name_of(group, census),
        calls=calls,
        narrow=_is_narrow(group, instruction),
        instruction=instruction,
        system=system_template(group, census),
        template=group.template,
        has_tools=bool(piles[0].parts.tools),
        form=group.form,
        models=dict(tally.models.most_common()),
        first=tally.spell.first,
        last=tally.spell.last,
        day=day,
        cost_usd=cost,
        priced=priced,
        month_usd=cost / tally.priced * day * DAYS_IN_MONTH if cost is not None and day else None,
        multi_turn=tally.multi_turn / calls if calls else 0.0,
        failed=tally.failed / calls if calls else 0.0,
        skeletons=sum(len(pile.spells) for pile in piles),
        versions=versions,
        examples=tuple(
            Example(trace_id=one.trace_id, input=cut(one.input), reply=cut(one.said.text))
            for one in tally.samples[:EXAMPLES]
        ),
        like=_like(group.template or instruction, tasks),
    )


def cut(text: str, most: int = SHOWN) -> str:
    """`text`, or as much of it as fits in `most` characters."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _is_narrow(group: Group, instruction: str) -> bool:
    calls = max(1, group.tally.spell.calls)
    if group.tally.multi_turn / calls > 0.5:
        return False
    if group.template or words(instruction) >= WIDE_WORDS:
        return True
    return bool(instruction.strip()) and group.form.kind in ("choice", "number", "json")


def _versions(piles: Sequence[Pile]) -> tuple[Version, ...]:
    """The wordings by the time of their coming; those that differ in dates and numbers are one."""
    made = []
    before: Pile | None = None
    for pile in sorted(piles, key=lambda one: (_first(one) is None, _first(one))):
        most = max(pile.spells, key=lambda name: pile.spells[name].calls)
        changed = _changes(before.masked, pile.masked) if before else ""
        made.append(
            Version(
                skeleton=most,
                calls=_calls(pile),
                first=_first(pile),
                last=_last(pile),
                changed=changed,
            )
        )
        before = pile
    return tuple(made)


def _calls(pile: Pile) -> int:
    return pile.tally.spell.calls


def _first(pile: Pile) -> datetime | None:
    return pile.tally.spell.first


def _last(pile: Pile) -> datetime | None:
    return pile.tally.spell.last


def _changes(before: str, after: str) -> str:
    """The words that went and came, cut to one short line."""
    old, new = (tokenize(text)[:2000] for text in (before, after))
    said = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind != "equal":
            gone, come = ("".join(part).strip() for part in (old[a:b], new[c:d]))
            said += [f"-{gone}"] * bool(gone) + [f"+{come}"] * bool(come)
    return cut(" ".join(" ".join(said).split()), _CHANGED)


def _per_day(calls: int, first: datetime | None, last: datetime | None) -> float | None:
    seconds = (last - first).total_seconds() if first and last else 0.0
    return calls / seconds * 86400 if seconds >= SHORTEST_SPAN_S else None


def _like(prompt: str, tasks: Sequence[Task]) -> str | None:
    """The task whose prompt is nearly this one."""
    found = Prompt(mask(prompt))
    for task in tasks:
        told = task.call.template or task.call.system or task.instruction
        if words(told) >= WIDE_WORDS and resemblance(found, Prompt(mask(told))) >= NEAR:
            return task.name
    return None
