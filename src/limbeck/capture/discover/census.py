"""One pass over the calls of no task: how many there are of which prompt, and a fair sample of each."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from limbeck.capture.discover.answers import Said
from limbeck.capture.discover.tokens import mask
from limbeck.store.store import Store
from limbeck.types import Trace, content_hash

SAMPLED = 1000
"""Calls of one prompt that are looked at closely, at most."""
SAMPLED_IN_ALL = 40_000
"""Calls that are kept in memory: with many prompts, fewer are sampled of each."""
LEAST_SAMPLED = 20
MOST_PILES = 20_000
"""Prompts that are told apart. The calls of further ones are counted and not grouped."""
PROMPTS_KEPT = 50
"""Wordings of one prompt that are kept, to find out what varies in it."""
HEAD, TAIL = 16_000, 4_000
"""Characters of a longer text that are looked at, at its start and at its end."""

Progress = Callable[[int, int], None]
"""Told how many calls were read, and how many there are."""


class Parts(NamedTuple):
    """The constant part of calls, as its blob keeps it; `shape` is a hash of its tools and form."""

    instruction: str
    tools: Any
    form: Any
    shape: str


class Sample(NamedTuple):
    """A call that is looked at closely."""

    trace_id: str
    input: str
    said: Said


@dataclass
class Spell:
    """How many calls there were, from when to when; without times, None."""

    calls: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def add(self, calls: int, first: datetime | None, last: datetime | None) -> None:
        self.calls += calls
        self.first = min(filter(None, (self.first, first)), default=None)
        self.last = max(filter(None, (self.last, last)), default=None)


@dataclass
class Tally:
    """What is counted of some calls, and a sample of them: those whose ids are the smallest hashes."""

    spell: Spell = field(default_factory=Spell)
    cost_usd: float = 0.0
    priced: int = 0
    multi_turn: int = 0
    failed: int = 0
    models: Counter[str] = field(default_factory=Counter)
    _smallest: list[tuple[int, Sample]] = field(default_factory=list)

    def add(self, trace: Trace, most: int) -> None:
        at = _utc(trace.created_at)
        self.spell.add(1, at, at)
        if trace.cost_usd is not None:
            self.priced += 1
            self.cost_usd += trace.cost_usd
        self.multi_turn += trace.context is not None
        self.failed += trace.status != "ok"
        self.models[trace.provenance.generator] += 1
        if trace.status == "ok":
            self._offer(trace, most)

    def merge(self, other: Tally) -> None:
        self.spell.add(other.spell.calls, other.spell.first, other.spell.last)
        self.cost_usd += other.cost_usd
        self.priced += other.priced
        self.multi_turn += other.multi_turn
        self.failed += other.failed
        self.models.update(other.models)
        both = heapq.nlargest(SAMPLED, [*self._smallest, *other._smallest], key=lambda one: one[0])
        heapq.heapify(both)
        self._smallest = both

    @property
    def samples(self) -> list[Sample]:
        """The sample, in an order that does not depend on the order of the calls."""
        return [sample for _, sample in sorted(self._smallest, key=lambda one: -one[0])]

    def _offer(self, trace: Trace, most: int) -> None:
        # An id is a hash: the smallest ids are a random sample, and the same one in every run.
        rank = -int(trace.id.removeprefix("sha256:")[:16], 16)
        if len(self._smallest) >= most and rank <= self._smallest[0][0]:
            return
        said = Said(_shortened(_said(trace)), bool(trace.thinking))
        heapq.heappush(self._smallest, (rank, Sample(trace.id, _shortened(trace.input), said)))
        while len(self._smallest) > most:
            heapq.heappop(self._smallest)


@dataclass
class Pile:
    """The calls whose prompts are the same but for dates, numbers and addresses."""

    parts: Parts
    masked: str
    tally: Tally = field(default_factory=Tally)
    spells: dict[str | None, Spell] = field(default_factory=dict)
    """By skeleton."""
    prompts: dict[str, None] = field(default_factory=dict)
    """Wordings, in the order of their coming."""


class Census:
    """The piles, in the order in which they came, and which skeleton is in which."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.piles: list[Pile] = []
        self.calls = 0
        self.ungrouped = 0
        self._of: dict[str | None, int | None] = {}
        self._by_key: dict[tuple[str, str], int] = {}

    def take(self, progress: Progress = lambda done, of: None) -> None:
        """Count and sample every call of no task."""
        for trace in untasked(self._store, progress):
            self.calls += 1
            at = self.pile_of(trace)
            if at is None:
                self.ungrouped += 1
                continue
            pile = self.piles[at]
            pile.tally.add(trace, self.sampled)
            when = _utc(trace.created_at)
            spell = pile.spells.setdefault(trace.provenance.skeleton, Spell())
            spell.add(1, when, when)

    @property
    def sampled(self) -> int:
        """How many calls of a pile are kept, with as many piles as there are."""
        return max(LEAST_SAMPLED, min(SAMPLED, SAMPLED_IN_ALL // max(1, len(self.piles))))

    def pile_of(self, trace: Trace) -> int | None:
        """The index of the pile that a call belongs to; None where there are too many."""
        skeleton = trace.provenance.skeleton
        if skeleton not in self._of:
            self._of[skeleton] = self._place(read_parts(self._store, skeleton))
        return self._of[skeleton]

    def _place(self, parts: Parts) -> int | None:
        masked = mask(parts.instruction)
        key = (masked, parts.shape)
        if key not in self._by_key:
            if len(self.piles) >= MOST_PILES:
                return None
            self._by_key[key] = len(self.piles)
            self.piles.append(Pile(parts, masked))
        at = self._by_key[key]
        if len(self.piles[at].prompts) < PROMPTS_KEPT:
            self.piles[at].prompts.setdefault(parts.instruction)
        return at


def untasked(store: Store, progress: Progress) -> Any:
    """Every call of no task, as it came; tells `progress` now and then."""
    counted = store.counts().tasks.get("")
    total = counted.traces if counted else 0
    done = 0
    for done, trace in enumerate(store.traces(None), start=1):
        yield trace
        if done % 500 == 0:
            progress(done, total)
    progress(done, total)


def read_parts(store: Store, skeleton: str | None) -> Parts:
    """The constant part that a skeleton names; empty where the store has none of that name."""
    data = store.blob(skeleton) if skeleton else None
    try:
        read = json.loads(data.decode("utf-8", "surrogatepass")) if data else {}
    except ValueError:
        read = {}
    if not isinstance(read, dict):
        read = {}
    instruction = read.get("instruction")
    tools, form = read.get("tools"), read.get("form")
    said = instruction if isinstance(instruction, str) else ""
    return Parts(said, tools, form, content_hash([tools, form]))


def _said(trace: Trace) -> str:
    """The reply's text, or what it gave to a tool."""
    if trace.raw or not trace.blocks:
        return trace.raw if trace.raw is not None else trace.answer or ""
    try:
        blocks = json.loads(trace.blocks)
    except ValueError:
        return ""
    for block in blocks if isinstance(blocks, list) else []:
        given = _tool_input(block) if isinstance(block, dict) else None
        if given is not None:
            return given
    return ""


def _tool_input(block: dict[str, Any]) -> str | None:
    if isinstance(block.get("input"), dict):
        return json.dumps(block["input"], ensure_ascii=False)
    function = block.get("function", block)
    arguments = function.get("arguments") if isinstance(function, dict) else None
    return arguments if isinstance(arguments, str) else None


def _shortened(text: str) -> str:
    return text if len(text) <= HEAD + TAIL else text[:HEAD] + text[-TAIL:]


def _utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
