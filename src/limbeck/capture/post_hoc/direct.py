"""Questions asked one by one, at the full price and at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice

from limbeck.capture.post_hoc.keeping import Answered, Keeper
from limbeck.capture.post_hoc.lacking import Questions, Wanted
from limbeck.capture.reply import reread
from limbeck.errors import TeacherError
from limbeck.models.remote import Asked, Question, Teacher

WORKERS = 8
HOPELESS = (401, 403, 404)
"""Statuses that the next question would get as well, where the first one gets them."""
_BUNDLE = 200


def ask_directly(
    keeper: Keeper,
    wanted: Iterable[Wanted],
    teacher: Teacher,
    *,
    max_tokens: int,
    workers: int = WORKERS,
    told: Callable[[int], None] = lambda _: None,
) -> None:
    """Ask `teacher` about every trace; each reply is kept as it comes. `told` gets how many were asked.

    A question that fails is counted and costs the others nothing. Raises TeacherError where the first
    reply says that all would fail.
    """
    trace_of: dict[int, str] = {}

    def questions() -> Iterator[Question]:
        for trace_id, question in _questions(keeper, wanted, max_tokens):
            # The same question may be asked about two traces, so that its text is no name for it.
            trace_of[id(question)] = trace_id
            yield question

    for asked in teacher.ask_many(questions(), workers):
        trace_id = trace_of.pop(id(asked.question))
        if asked.reply is None:
            _fail(keeper, asked)
        else:
            simulated = asked.headers.get("x-limbeck-simulated") == "1"
            now = datetime.now(UTC)
            keeper.keep([Answered(trace_id, asked.reply, asked.reply.usage, simulated, now)])
        told(keeper.asked)


def _questions(
    keeper: Keeper, wanted: Iterable[Wanted], max_tokens: int
) -> Iterator[tuple[str, Question]]:
    questions = Questions(keeper.store, keeper.task, keeper.how)
    rest = iter(wanted)
    while bundle := [one.trace_id for one in islice(rest, _BUNDLE)]:
        there = keeper.store.find_all("trace_id", bundle)
        for trace_id in bundle:
            trace = reread(keeper.task, there[trace_id]) if trace_id in there else None
            if trace is not None and trace.answer is not None:
                system, user = questions.ask(trace, trace.answer)
                yield trace_id, Question(system, user, max_tokens=max_tokens)


def _fail(keeper: Keeper, asked: Asked) -> None:
    error = asked.error
    assert isinstance(error, TeacherError)
    if error.status in HOPELESS and keeper.asked == 0:
        raise error
    keeper.fail(f"status {error.status}" if error.status is not None else "unreachable")
