"""Which traces have an answer and no rationale, and what it would take to ask for one."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from limbeck.capture.post_hoc.asking import Asking, How, ask
from limbeck.capture.reply import reread
from limbeck.store.store import Store
from limbeck.types import Task, Trace

Sample = Literal["first", "random"]
Progress = Callable[[str, int], None]
"""Called with what is being done and how many traces it is done for."""

CHARACTERS_A_TOKEN = 4.0
"""Of English; used where no recorded call says better."""
RATIONALE_TOKENS = 300
"""What a rationale is taken to be long where the task has none yet."""
_SANE = (1.5, 8.0)
"""Characters a token that are believed: a call with tools or media says nothing of its text."""


class Wanted(NamedTuple):
    """A trace to ask about: its id, and how long the question is."""

    trace_id: str
    characters: int


class Lacking(NamedTuple):
    """`wanted` are the traces to ask about, of the `total` that lack a rationale.

    `passed_over` counts, by reason, the traces that are not asked about. `rationale_tokens` is how
    long a rationale of the task is on average.
    """

    wanted: tuple[Wanted, ...]
    total: int
    with_rationale: int
    passed_over: dict[str, int]
    characters_a_token: float
    rationale_tokens: float
    generator: str | None
    dialect: str | None


class Questions:
    """What is asked about the traces of a task."""

    def __init__(self, store: Store, task: Task, how: How) -> None:
        self._store = store
        self._task = task
        self._how = how
        self._of_skeleton: dict[str, str] = {}

    def ask(self, trace: Trace, answer: str) -> Asking:
        instructions = self._task.instruction or self._recorded(trace.provenance.skeleton)
        return ask(self._task, trace, answer, instructions, self._how)

    def _recorded(self, skeleton: str | None) -> str:
        """The instruction that the call itself had."""
        if skeleton is None:
            return ""
        if skeleton not in self._of_skeleton:
            content = self._store.blob(skeleton)
            said = json.loads(content).get("instruction", "") if content else ""
            self._of_skeleton[skeleton] = said
        return self._of_skeleton[skeleton]


def hindrance(trace: Trace) -> str | None:
    """Why a trace (already read by its task) is not asked about, if so."""
    if trace.provenance.source == "student":
        return "a student's own reply"
    if trace.status != "ok":
        return "the call failed"
    if trace.answer is None:
        return "no answer was found"
    if trace.context is not None:
        return "earlier turns or media"
    return None


def find_lacking(
    store: Store,
    task: Task,
    how: How,
    *,
    limit: int | None = None,
    sample: Sample = "first",
    unusable: Container[str] = (),
    progress: Progress | None = None,
) -> Lacking:
    """The traces of `task` that lack a rationale, at most `limit`.

    `random` takes those whose ids come first: ids are hashes, so that this is a fair draw, and the
    same one every time. Traces in `unusable` were asked about in vain. Holds no traces in memory.
    """
    questions = Questions(store, task, how)
    explained = store.rationales(task.name)
    found = _Found()
    for seen, recorded in enumerate(store.traces(task.name), start=1):
        if progress is not None and seen % 500 == 0:
            progress("reading traces", seen)
        trace = reread(task, recorded)
        made = explained.get(trace.id)
        if made is not None or trace.rationale is not None:
            found.explained(
                made.rationale if made else trace.rationale.text if trace.rationale else ""
            )
            continue
        why = "asked before in vain" if trace.id in unusable else hindrance(trace)
        if why is not None:
            found.passed_over[why] += 1
            continue
        assert trace.answer is not None
        found.lacks(trace, len(task.instruction))
        if limit is None or sample == "random" or len(found.wanted) < limit:
            length = sum(map(len, questions.ask(trace, trace.answer)))
            found.wanted.append(Wanted(trace.id, length))
    if sample == "random":
        found.wanted = heapq.nsmallest(limit or len(found.wanted), found.wanted)
    return found.lacking()


@dataclass
class _Found:
    wanted: list[Wanted] = field(default_factory=list)
    total: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)
    generators: Counter[str] = field(default_factory=Counter)
    dialects: Counter[str] = field(default_factory=Counter)
    rationales: int = 0
    rationale_characters: int = 0
    read_characters: int = 0
    read_tokens: int = 0

    def explained(self, rationale: str) -> None:
        self.rationales += 1
        self.rationale_characters += len(rationale)

    def lacks(self, trace: Trace, instruction_length: int) -> None:
        self.total += 1
        self.generators[trace.provenance.generator] += 1
        self.dialects[trace.provenance.dialect or ""] += 1
        if trace.usage.input:
            self.read_tokens += trace.usage.input
            self.read_characters += instruction_length + len(trace.input)

    def lacking(self) -> Lacking:
        per_token = self.read_characters / self.read_tokens if self.read_tokens else 0
        if not _SANE[0] <= per_token <= _SANE[1]:
            per_token = CHARACTERS_A_TOKEN
        length = self.rationale_characters / max(self.rationales, 1) / per_token
        return Lacking(
            wanted=tuple(self.wanted),
            total=self.total,
            with_rationale=self.rationales,
            passed_over=dict(self.passed_over.most_common()),
            characters_a_token=per_token,
            rationale_tokens=length if self.rationales else RATIONALE_TOKENS,
            generator=_most(self.generators, "unknown"),
            dialect=_most(self.dialects, ""),
        )


def _most(counts: Counter[str], nobody: str) -> str | None:
    return next((name for name, _ in counts.most_common() if name != nobody), None)
