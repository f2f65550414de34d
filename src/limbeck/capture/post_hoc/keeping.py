"""Replies to questions become rationales in the store, and a tally."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from limbeck.capture.post_hoc.asking import How, Told, read_told
from limbeck.capture.post_hoc.estimate import price_of
from limbeck.capture.post_hoc.submissions import Tally
from limbeck.capture.redact import Redactor
from limbeck.capture.reply import reread
from limbeck.models.call import Reply
from limbeck.models.prices import cost_usd
from limbeck.store.store import Store
from limbeck.types import PostHoc, Task, Usage
from limbeck.verify.table import judge


class Answered(NamedTuple):
    """The reply to a question; `name` is the id of the trace that it is about, or the name of a judge's
    question."""

    name: str
    reply: Reply
    usage: Usage
    simulated: bool
    at: datetime | None


class Keeping(Protocol):
    """Where the replies of a batch go; the names of the questions that were answered in vain are in
    `in_vain`. Keeping the same reply twice changes nothing."""

    in_vain: list[str]

    def keep(self, replies: Iterable[Answered]) -> None: ...

    def fail(self, name: str, reason: str) -> None:
        """Count a question that was not answered; it is asked again another time."""

    def tally(self) -> Tally: ...


def cost_of(one: Answered, task: Task, model: str, provider: str | None) -> float | None:
    """What a reply cost (USD); None where nobody knows the price. `model` is what was asked for."""
    answered_by = one.reply.model or model
    price = price_of(task, model)
    return cost_usd(answered_by, one.usage, price, provider=provider, at=one.at)


@dataclass
class Keeper:
    """Puts replies into the store and counts what came of them.

    Keeping the same reply twice changes nothing in the store.
    """

    store: Store
    task: Task
    how: How
    model: str
    provider: str | None = None
    redactor: Redactor | None = None
    asked: int = 0
    explained: int = 0
    differing: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    unusable: Counter[str] = field(default_factory=Counter)
    cost_usd: float = 0.0
    unpriced: int = 0
    in_vain: list[str] = field(default_factory=list)

    def keep(self, replies: Iterable[Answered]) -> None:
        """In one transaction. A trace that was forgotten since is passed over."""
        given = list(replies)
        there = self.store.find_all("trace_id", [one.name for one in given])
        made = []
        for one in given:
            self.asked += 1
            cost = self._pay(one)
            recorded = there.get(one.name)
            if recorded is None:
                self.unusable["forgotten"] += 1
                continue
            trace = reread(self.task, recorded)
            told = read_told(self.task, trace, one.reply, self.how)
            if told.unusable is not None:
                self.unusable[told.unusable] += 1
                self.in_vain.append(trace.id)
                continue
            self.explained += 1
            if told.answer is not None and trace.answer is not None:
                same = judge(self.task, told.answer, trace.answer, trace.choices).score >= 0.5
                self.differing += not same
            made.append(self._made(trace.id, told, one, cost))
        self.store.explain(made)

    def fail(self, name: str, reason: str) -> None:
        """Count a question that was not answered; it is asked again another time."""
        self.asked += 1
        self.failed[reason] += 1

    def tally(self) -> Tally:
        return Tally(
            asked=self.asked,
            explained=self.explained,
            differing=self.differing,
            failed=dict(self.failed.most_common()),
            unusable=dict(self.unusable.most_common()),
            cost_usd=self.cost_usd,
            unpriced=self.unpriced,
        )

    def _pay(self, one: Answered) -> float | None:
        cost = cost_of(one, self.task, self.model, self.provider)
        if cost is None:
            self.unpriced += 1
        else:
            self.cost_usd += cost
        return cost

    def _made(self, trace_id: str, told: Told, one: Answered, cost: float | None) -> PostHoc:
        return PostHoc(
            trace_id=trace_id,
            rationale=self._clean(told.rationale),
            answer=None if told.answer is None else self._clean(told.answer),
            generator=one.reply.model or self.model,
            simulated=one.simulated,
            usage=one.usage,
            cost_usd=cost,
            at=one.at,
            blind=self.how == "blind",
        )

    def _clean(self, text: str) -> str:
        return text if self.redactor is None else self.redactor.text(text)[0]
