"""The job of asking why: a question about each trace, and a rationale out of each reply."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from limbeck.capture.post_hoc.asking import Asking
from limbeck.capture.post_hoc.keeping import Keeper
from limbeck.capture.post_hoc.lacking import Questions
from limbeck.capture.post_hoc.submissions import Submission
from limbeck.capture.redact import Redactor
from limbeck.capture.reply import reread
from limbeck.store.store import Store
from limbeck.types import Task

_BUNDLE = 200
"""Traces that are read at once."""


@dataclass(frozen=True)
class Explaining:
    """The traces of `task` in `store`; `redactor` goes over what is kept."""

    store: Store
    task: Task
    redactor: Redactor | None = None

    def questions(self, one: Submission) -> Iterator[tuple[str, Asking]]:
        """A question about each trace of a submission; one that was forgotten since is left out."""
        assert one.how is not None
        questions = Questions(self.store, self.task, one.how)
        for start in range(0, len(one.traces), _BUNDLE):
            ids = one.traces[start : start + _BUNDLE]
            there = self.store.find_all("trace_id", ids)
            for trace_id in ids:
                trace = reread(self.task, there[trace_id]) if trace_id in there else None
                if trace is not None and trace.answer is not None:
                    yield trace_id, questions.ask(trace, trace.answer)

    def keeping(self, one: Submission, provider: str | None) -> Keeper:
        assert one.how is not None
        return Keeper(self.store, self.task, one.how, one.model, provider, self.redactor)
