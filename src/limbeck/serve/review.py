"""The review queue: what students suggest where the stakes are high, until a person has said what is right."""

from __future__ import annotations

from datetime import UTC, datetime

from limbeck.capture.reply import reread
from limbeck.errors import DataError
from limbeck.serve.cascade import HIGH_STAKES
from limbeck.store.store import Store
from limbeck.types import Noun, Outcome, Task, Trace
from limbeck.verify.table import normalize

SETTLED = ("gold", "human")
"""Sources after which nobody has to look."""
SHORTEST_NAME = 8
"""Characters of a trace's hash that name it."""


class Suggestion(Noun):
    """A call of which a student said something that nobody has looked at. `suggested` is the student's
    answer, `answered` what the teacher said and the client got."""

    trace_id: str
    task: str
    at: datetime | None
    input: str
    suggested: str
    answered: str | None
    confidence: float | None

    @property
    def differs(self) -> bool:
        return self.suggested != self.answered


def waiting(store: Store, task: Task) -> list[Suggestion]:
    """The calls that wait for a person: where student and teacher differ first, the least sure first."""
    settled = {name for name, one in store.truths(task.name).items() if one.source in SETTLED}
    found = [
        suggestion
        for trace in store.traces(task.name)
        if trace.id not in settled and (suggestion := _suggestion(task, trace)) is not None
    ]
    return sorted(found, key=lambda one: (not one.differs, one.confidence or 0.0))


def settle(store: Store, task: Task, suggestion: Suggestion, answer: str) -> Outcome:
    """A person says what is right: an outcome of the source `human`, which all others give way to but
    gold. Raises DataError for an answer that is not in the task's form."""
    value = normalize(task, answer)
    if value is None:
        choices = f"; wanted one of {', '.join(task.answer.choices)}" if task.answer.choices else ""
        raise DataError(
            f"the answer {answer!r} is not in the form of the task {task.name!r}{choices}"
        )
    outcome = Outcome(
        trace_id=suggestion.trace_id, value=value, source="human", at=datetime.now(UTC)
    )
    store.attach([outcome])
    return outcome


def named(queue: list[Suggestion], name: str) -> Suggestion:
    """The one that waits under that trace id, or under the beginning of one. Raises DataError."""
    start = name if name.startswith("sha256:") else f"sha256:{name}"
    found = [one for one in queue if one.trace_id.startswith(start)]
    if len(found) == 1 and len(start) >= len("sha256:") + SHORTEST_NAME:
        return found[0]
    raise DataError(
        f"{name!r} names {len(found)} of the {len(queue)} calls that wait for review; wanted a trace id "
        f"of the list, or {SHORTEST_NAME} or more characters of its hash that no other begins with"
    )


def _suggestion(task: Task, trace: Trace) -> Suggestion | None:
    routing = trace.routing
    if routing is None or routing.answer is None or routing.reason != HIGH_STAKES:
        return None
    answered = reread(task, trace).answer
    return Suggestion(
        trace_id=trace.id,
        task=task.name,
        at=trace.created_at,
        input=trace.input,
        suggested=routing.answer,
        answered=normalize(task, answered) if answered is not None else None,
        confidence=routing.confidence,
    )
