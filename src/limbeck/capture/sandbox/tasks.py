"""The sandbox tasks: what they share, and the table of them.

Each task is a module that holds a generator with difficulty knobs, an exact solver that reads the
input text alone (the simulated teacher sees nothing else) and writes the rationale, and the ways in
which a chain of its kind goes wrong.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Generic, Literal, TypeVar, cast

from limbeck.errors import ConfigError, DataError
from limbeck.types import AnswerForm, Price, ReplyForm, SplitPlan, Task, TeacherSpec, Trace, Verdict
from limbeck.verify.table import judge

TABLE: dict[str, str] = {
    "refunds": "limbeck.capture.sandbox.refunds",
    "ledger": "limbeck.capture.sandbox.ledger",
    "routes": "limbeck.capture.sandbox.routes",
}

SHIFTS = ("unseen-wording", "unseen-entities", "one-more-step", "distractor", "reordered")
"""Ways in which a test set may differ from the training distribution; a task says which it has."""

ANSWER_MARKER = "Answer:"

PRICE = Price(input=3.0, output=15.0)
"""What frontier models commonly cost in 2025 and 2026, USD for a million tokens."""

SPLITS = SplitPlan(train=0.58, validation=0.07, calibration=0.2, test=0.15)
"""More calibration than usual: to bound an error rate of a few per cent takes hundreds of calls."""

_PATIENCE = 2_000
"""So many repeats in a row mean that the knobs allow no more distinct inputs."""

K = TypeVar("K")


@dataclass(frozen=True)
class Item:
    """One question with its truth and the clean chain that leads there.

    `group` names the templates that the text was made from, so that splits by wording are possible.
    `meta` holds facts about its difficulty; none of it is needed to answer.
    """

    input: str
    truth: str
    steps: tuple[str, ...]
    choices: tuple[str, ...]
    group: str
    meta: dict[str, Any]


@dataclass(frozen=True)
class Slip:
    """A chain with one wrong step. `step` is its index; `kind` says what sort of mistake it is.

    `arithmetic`: a written sum is false. `state`: a written state does not follow. `reading`: a
    fact is misread. `comparison`: two numbers are compared wrongly.
    """

    steps: tuple[str, ...]
    answer: str
    step: int
    kind: Literal["arithmetic", "state", "reading", "comparison"]


@dataclass(frozen=True)
class Later(Generic[K]):
    """What becomes of a task's inputs one day, without a change of its instructions.

    `what` says it in a clause, for somebody who has not seen the task.
    """

    what: str
    knobs: K


@dataclass(frozen=True)
class SandboxTask(Generic[K]):
    """A task whose truth is known. `write` makes one item; `solve` reads one back from its text.

    `solve(input)` raises DataError on text that it cannot read. `slip(item, rng, keep_answer)`
    writes a chain with one wrong step that ends on the right answer, or on a wrong one.
    """

    name: str
    instruction: str
    answer: AnswerForm
    shifts: tuple[str, ...]
    knobs: K
    write: Callable[[random.Random, K, str | None], Item]
    solve: Callable[[str], Item]
    slip: Callable[[Item, random.Random, bool], Slip]
    later: Later[K] | None = None

    def task(self, model: str = "simulated-teacher", price: Price = PRICE) -> Task:
        """The task as a task file would say it."""
        return Task(
            name=self.name,
            instruction=self.instruction,
            answer=self.answer,
            reply=ReplyForm(answer_markers=(ANSWER_MARKER,)),
            teacher=TeacherSpec(model=model, price=price),
            splits=SPLITS,
        )

    def generate(
        self,
        n: int,
        seed: int,
        knobs: K | None = None,
        shift: str | None = None,
        exclude: Collection[str] = (),
    ) -> list[Item]:
        """`n` items with distinct inputs, none in `exclude`; the same for the same arguments.

        Without a `shift` nothing held out is used. Raises ConfigError on a shift that the task does
        not have, and DataError where the knobs allow too few distinct inputs.
        """
        if shift is not None and shift not in self.shifts:
            raise ConfigError(
                f"shift {shift!r} does not apply to the sandbox task {self.name!r}; "
                f"wanted one of {', '.join(self.shifts)}"
            )
        rng = random.Random(f"{self.name}/{seed}/{shift}")
        taken = set(exclude)
        items: list[Item] = []
        repeats = 0
        while len(items) < n:
            item = self.write(rng, knobs if knobs is not None else self.knobs, shift)
            if item.input in taken:
                repeats += 1
                if repeats > _PATIENCE:
                    raise DataError(
                        f"the sandbox task {self.name!r} found {len(items):,} distinct inputs of "
                        f"the {n:,} wanted; ask for fewer, or widen the knobs {knobs!r}"
                    )
                continue
            repeats = 0
            taken.add(item.input)
            items.append(replace(item, meta={**item.meta, "shift": shift}))
        return items


def load(name: str) -> SandboxTask[Any]:
    """The sandbox task of that name; raises ConfigError where there is none."""
    if name not in TABLE:
        raise ConfigError(f"no sandbox task {name!r}; wanted one of {', '.join(TABLE)}")
    return cast(SandboxTask[Any], import_module(TABLE[name]).SANDBOX)


def render(item: Item) -> str:
    """The clean reply: one step a line, then the answer line."""
    return reply_text(item.steps, item.truth)


def reply_text(steps: tuple[str, ...], answer: str) -> str:
    """A reply with this chain and this answer, right or not."""
    return "\n".join([*steps, f"{ANSWER_MARKER} {answer}"])


def verifier(task: Task, trace: Trace, answer: str) -> Verdict:
    """Exact: solves the trace's input and compares. Raises DataError on text it cannot read."""
    return judge(task, answer, load(task.name).solve(trace.input).truth)
