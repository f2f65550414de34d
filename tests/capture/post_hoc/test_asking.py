from __future__ import annotations

from typing import Any

import pytest

from limbeck.capture.post_hoc.asking import Told, ask, read_told
from limbeck.models.call import Reply
from limbeck.types import AnswerForm, CallForm, ElicitForm, Provenance, ReplyForm, Task, Trace

HERE = Provenance(source="gateway")


def choice(**more: Any) -> Task:
    form = AnswerForm(kind="choice", choices=("grant", "deny"))
    return Task(name="t", instruction="Decide.", answer=form, **more)


def text_task() -> Task:
    return Task(name="t", instruction="Summarize.", answer=AnswerForm(kind="text"))


def trace(**more: Any) -> Trace:
    return Trace(task="t", input="late by a day", provenance=HERE, **more)


def said(text: str, **more: Any) -> Reply:
    return Reply(text=text, stop_reason=more.pop("stop_reason", "end_turn"), **more)


def test_guided_shows_the_instructions_the_input_and_the_recorded_answer() -> None:
    wording = ElicitForm(wording="Say which rule holds.")
    system, user = ask(choice(elicit=wording), trace(), "deny", "Decide.", "guided")
    assert "<instructions>\nDecide.\n</instructions>" in system
    assert "<input>\nlate by a day\n</input>" in user
    assert "<answer>\ndeny\n</answer>" in user
    assert "Say which rule holds." in user
    assert '"Answer: "' in user


def test_blind_asks_the_same_question_and_never_shows_the_answer() -> None:
    system, user = ask(choice(), trace(), "deny", "Decide.", "blind")
    assert user == "late by a day"
    assert system.startswith("Decide.")
    assert "<rationale>" in system
    assert "deny" not in system


def test_the_message_around_the_input_is_put_back() -> None:
    task = choice(call=CallForm(template="Case: {case}. Decide!"))
    assert ask(task, trace(), "deny", "", "blind").user == "Case: late by a day. Decide!"
    assert "Case: {case}. Decide!" in ask(task, trace(), "deny", "", "guided").system


def test_choices_that_the_input_lacks_are_told() -> None:
    asked = ask(choice(), trace(choices=("a fee", "a day")), "a fee", "", "blind")
    assert asked.user == "late by a day\n\nChoices: a fee, a day"


def test_a_free_text_is_not_asked_for_again() -> None:
    asked = ask(text_task(), trace(), "A long summary.", "Summarize.", "guided")
    assert "Answer: " not in asked.user
    reply = said("<rationale>It says so.\nAnswer: that is a word.</rationale>")
    told = read_told(text_task(), trace(), reply, "guided")
    assert told == Told("It says so.\nAnswer: that is a word.")


@pytest.mark.parametrize("how", ["guided", "blind"])
@pytest.mark.parametrize(
    "text", ["<rationale>Too late.</rationale>\n\nAnswer: Deny.", "Too late.\nAnswer: deny"]
)
def test_the_rationale_and_the_answer_are_told_apart(how: Any, text: str) -> None:
    assert read_told(choice(), trace(), said(text), how) == Told("Too late.", "deny")


def test_an_answer_in_json_is_asked_for_and_read_on_a_line() -> None:
    task = choice(reply=ReplyForm(answer_field="verdict"))
    system, _ = ask(task, trace(), "deny", "Decide.", "blind")
    assert '"verdict"' in system
    reply = said("<rationale>Too late.</rationale>\nAnswer: deny")
    assert read_told(task, trace(), reply, "blind") == Told("Too late.", "deny")


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (said("<rationale>and so", stop_reason="max_tokens"), "cut_off"),
        (said("<rationale>and so"), "cut_off"),
        (said("I cannot.", stop_reason="refusal"), "refused"),
        (said("half", error="overloaded"), "error"),
        (said("Answer: deny"), "no_rationale"),
        (said("<rationale>Too late.</rationale>"), "no_answer"),
    ],
)
def test_a_reply_of_no_use_says_why(reply: Reply, why: str) -> None:
    assert read_told(choice(), trace(), reply, "blind") == Told(unusable=why)


def test_an_explanation_of_the_given_answer_needs_no_answer_of_its_own() -> None:
    told = read_told(choice(), trace(), said("<rationale>Too late.</rationale>"), "guided")
    assert told == Told("Too late.", None)
