from __future__ import annotations

from collections.abc import Callable

from limbeck.types import Task

Evidence = Callable[..., str | None]


def test_a_reply_without_an_answer_is_caught(choice_task: Task, evidence: Evidence) -> None:
    for blank in (None, "", "  \n"):
        said = evidence("missing_answer", choice_task, answer_raw=blank)
        assert said == "the reply has no answer after 'Answer:'"


def test_any_answer_passes(choice_task: Task, evidence: Evidence) -> None:
    assert evidence("missing_answer", choice_task, answer_raw="who knows") is None
