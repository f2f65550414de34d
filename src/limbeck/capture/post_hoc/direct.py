"""Questions asked one by one, at the full price and at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from limbeck.capture.post_hoc.asking import Asking
from limbeck.capture.post_hoc.keeping import Answered, Keeping
from limbeck.errors import TeacherError
from limbeck.models.remote import Question, Teacher

WORKERS = 8
HOPELESS = (401, 403, 404)
"""Statuses that the next question would get as well, where the first one gets them; so would one that
reaches nobody in all its attempts."""


def ask_directly(
    questions: Iterable[tuple[str, Asking]],
    keeper: Keeping,
    teacher: Teacher,
    *,
    max_tokens: int,
    workers: int = WORKERS,
    told: Callable[[int], None] = lambda _: None,
) -> None:
    """Ask `teacher` every question; each reply is kept as it comes. `told` gets how many were asked.

    A question that fails is counted and costs the others nothing. Raises TeacherError where the first
    reply says that all would fail.
    """
    name_of: dict[int, str] = {}

    def put() -> Iterator[Question]:
        for name, (system, user) in questions:
            question = Question(system, user, max_tokens=max_tokens)
            # The same question may be asked about two traces, so that its text is no name for it.
            name_of[id(question)] = name
            yield question

    for done, asked in enumerate(teacher.ask_many(put(), workers), start=1):
        name = name_of.pop(id(asked.question))
        if asked.reply is None:
            error = asked.error
            assert isinstance(error, TeacherError)
            if done == 1 and (error.status is None or error.status in HOPELESS):
                raise error
            known = error.status is not None
            keeper.fail(name, f"status {error.status}" if known else "unreachable")
        else:
            simulated = asked.headers.get("x-limbeck-simulated") == "1"
            now = datetime.now(UTC)
            keeper.keep([Answered(name, asked.reply, asked.reply.usage, simulated, now)])
        told(done)
