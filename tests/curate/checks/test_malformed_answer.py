from __future__ import annotations

from collections.abc import Callable

from limbeck.types import AnswerForm, Task

Evidence = Callable[..., str | None]


def test_an_answer_that_is_no_choice_is_caught(choice_task: Task, evidence: Evidence) -> None:
    said = evidence("malformed_answer", choice_task, answer_raw="probably fine")
    assert said == "the answer 'probably fine' is not one of the choices (refund, exchange, deny)"


def test_an_answer_that_is_no_number_is_caught(number_task: Task, evidence: Evidence) -> None:
    said = evidence("malformed_answer", number_task, answer_raw="a few")
    assert said == "the answer 'a few' is not a number"


def test_a_hedge_names_what_it_hedges_between(
    choice_task: Task, number_task: Task, evidence: Evidence
) -> None:
    for text in ("either deny or exchange", "deny / exchange", "deny, exchange"):
        said = evidence("malformed_answer", choice_task, answer_raw=text)
        assert said is not None
        assert "hedges between deny and exchange" in said
    said = evidence("malformed_answer", number_task, answer_raw="7 or 8")
    assert said is not None
    assert "hedges between 7 and 8" in said


def test_an_answer_in_form_and_a_missing_one_pass(choice_task: Task, evidence: Evidence) -> None:
    assert evidence("malformed_answer", choice_task, answer="deny", answer_raw="Deny.") is None
    assert evidence("malformed_answer", choice_task, answer_raw=None) is None


def test_json_that_is_not_of_the_schema_is_caught_with_its_place(evidence: Evidence) -> None:
    form = AnswerForm(kind="json", json_schema={"properties": {"n": {"type": "integer"}}})
    task = Task(name="extract", answer=form)
    said = evidence("malformed_answer", task, answer_raw='{"n": "a"}')
    assert said is not None
    assert said.endswith("is not of the schema: n: 'a' is not of type 'integer'")
    said = evidence("malformed_answer", task, answer_raw='{"n": 1')
    assert said is not None
    assert "is no JSON" in said
