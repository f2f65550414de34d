from __future__ import annotations

from collections.abc import Callable

import pytest

from limbeck.types import Task

Evidence = Callable[..., str | None]


@pytest.mark.parametrize(
    "reply",
    [
        "I'm sorry, but I can't help with that request.",
        "I cannot assist with this. Please contact a human agent.",
        "As an AI, I am not able to make this decision.",
        "I’m unable to answer this question.",
        "Unfortunately, I can't do that.",
    ],
)
def test_a_reply_that_begins_like_a_refusal_is_caught(
    reply: str, choice_task: Task, evidence: Evidence
) -> None:
    said = evidence("refusal", choice_task, reply=reply, rationale=reply)
    assert said is not None
    assert "begins like a refusal" in said


def test_what_the_provider_calls_a_refusal_is_one(choice_task: Task, evidence: Evidence) -> None:
    assert evidence("refusal", choice_task, stop_reason="refusal", reply="No.") is not None
    assert evidence("refusal", choice_task, status="refused", answer="deny") is not None


@pytest.mark.parametrize(
    "reply",
    [
        "I cannot see a receipt, so it is late.\nAnswer: deny",
        "The customer says: I'm sorry, but I can't wait.\nAnswer: refund",
        "It cannot be refunded.\nAnswer: deny",
    ],
)
def test_a_reply_that_answers_passes(reply: str, choice_task: Task, evidence: Evidence) -> None:
    assert evidence("refusal", choice_task, reply=reply, answer="deny") is None
