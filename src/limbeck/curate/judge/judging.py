"""The job of judging: a question about several chains at a time, and opinions out of each reply.

Asked in batches it is half the price; `limbeck.capture.post_hoc` hands them in, waits and fetches. What is
written down of a batch are hashes: the texts of a question that was not sent yet come from the store again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from limbeck.capture.post_hoc.asking import Asking
from limbeck.capture.post_hoc.keeping import Answered, cost_of
from limbeck.capture.post_hoc.submissions import Submission, Tally
from limbeck.curate.judge.asking import RUBRIC, Case, Group, ask, grouped, key_of, read_said
from limbeck.curate.judge.opinions import keep_opinions, read_opinions
from limbeck.types import Task


@dataclass
class Opinions:
    """Appends what a judge said to `file` and counts it, case by case.

    `cases` are the keys that each question asks for. Keeping the same reply twice changes nothing.
    """

    file: Path
    cases: Mapping[str, tuple[str, ...]]
    task: Task
    model: str
    provider: str | None = None
    asked: int = 0
    judged: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    unusable: Counter[str] = field(default_factory=Counter)
    cost_usd: float = 0.0
    unpriced: int = 0
    in_vain: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._known = set(read_opinions(self.file))

    def keep(self, replies: Iterable[Answered]) -> None:
        made = []
        for one in replies:
            keys = self.cases.get(one.name, ())
            self.asked += len(keys)
            self._pay(one)
            said = read_said(one.reply.text, keys, one.reply.model or self.model)
            self.judged += len(said)
            if len(said) < len(keys):
                why = one.reply.status if one.reply.status != "ok" else "no verdict"
                self.unusable[why] += len(keys) - len(said)
                self.in_vain.append(one.name)
            made += [opinion for opinion in said if opinion.key not in self._known]
        keep_opinions(self.file, made)
        self._known |= {opinion.key for opinion in made}

    def fail(self, name: str, reason: str) -> None:
        count = len(self.cases.get(name, ()))
        self.asked += count
        self.failed[reason] += count

    def tally(self) -> Tally:
        return Tally(
            asked=self.asked,
            explained=self.judged,
            failed=dict(self.failed.most_common()),
            unusable=dict(self.unusable.most_common()),
            cost_usd=self.cost_usd,
            unpriced=self.unpriced,
        )

    def _pay(self, one: Answered) -> None:
        cost = cost_of(one, self.task, self.model, self.provider)
        if cost is None:
            self.unpriced += 1
        else:
            self.cost_usd += cost


@dataclass(frozen=True)
class Judging:
    """The chains of `task` that are there to be judged; opinions go to `file`."""

    task: Task
    file: Path
    chains: Sequence[Case]
    rubric: str = RUBRIC

    @cached_property
    def _of_key(self) -> dict[str, Case]:
        return {key_of(case, self.rubric): case for case in self.chains}

    def groups(self) -> list[Group]:
        return list(grouped(list(dict.fromkeys(self.chains)), self.rubric))

    def questions(self, one: Submission) -> Iterator[tuple[str, Asking]]:
        """The questions of a submission; one of whose cases a chain is gone since is left out."""
        for name in one.traces:
            keys = one.cases[name]
            if all(key in self._of_key for key in keys):
                yield name, ask(self.task, [self._of_key[key] for key in keys], self.rubric)

    def keeping(self, one: Submission, provider: str | None) -> Opinions:
        return Opinions(self.file, one.cases, self.task, one.model, provider)
