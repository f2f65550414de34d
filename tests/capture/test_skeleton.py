from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.capture.skeleton import Division, divide, divide_text
from limbeck.models.dialects import anthropic, openai_chat
from limbeck.types import (
    AnswerForm,
    CallForm,
    Task,
    canonical_json,
    skeleton_content,
    skeleton_of,
    text_hash,
)

SYSTEM = "Say which shelf the book belongs on."


def a_task(instruction: str = SYSTEM, **call: Any) -> Task:
    form = CallForm(**call)
    return Task(name="t", instruction=instruction, answer=AnswerForm(kind="text"), call=form)


def messages(*users: Any, system: Any = SYSTEM, task: Task | None = None, **body: Any) -> Division:
    turns = [{"role": "user", "content": user} for user in users]
    request = {"model": "m", "system": system, "messages": turns, **body}
    return divide(task, anthropic.read_request(request), request)


def test_the_last_user_message_varies_by_default() -> None:
    divided = messages("Emma")
    assert divided.input == "Emma"
    assert divided.context is None
    assert divided.matched
    assert divided.skeleton == skeleton_of(SYSTEM)
    assert divided.blobs == {divided.skeleton: skeleton_content(SYSTEM).encode()}


def test_both_dialects_have_the_skeleton_of_their_task() -> None:
    request = openai_chat.write_request(model="m", system=SYSTEM, user="Emma")
    divided = divide(a_task(), openai_chat.read_request(request), request)
    assert divided.skeleton == messages("Emma", task=a_task()).skeleton == a_task().skeleton


def test_every_blob_is_named_by_its_hash() -> None:
    divided = messages(
        "a", [{"type": "text", "text": "b"}, {"type": "image"}], tools=[{"name": "x"}]
    )
    assert len(divided.blobs) == 2
    for name, data in divided.blobs.items():
        assert name == text_hash(data.decode())


def test_tools_and_the_form_of_the_reply_belong_to_the_skeleton() -> None:
    form = {"type": "json_schema", "schema": {"type": "object"}}
    plain = messages("a").skeleton
    tools = messages("a", tools=[{"name": "x"}]).skeleton
    formed = messages("a", output_config={"format": form}).skeleton
    assert len({plain, tools, formed}) == 3
    assert messages("b", tools=[{"name": "x"}]).skeleton == tools
    assert formed == skeleton_of(SYSTEM, form=form)


def test_a_template_takes_the_fields_out_of_the_message() -> None:
    task = a_task(template="Book: {title}\nBy: {author}\nAnswer with {one} word.")
    divided = messages("Book: Emma\nBy: Jane\nAnswer with one word.\n", task=task)
    assert divided.input == "title: Emma\nauthor: Jane\none: one"
    assert divided.matched
    assert divided.skeleton == task.skeleton


def test_a_single_field_stands_alone() -> None:
    task = a_task(template="Which shelf?\n\n{book}")
    assert messages("Which shelf?\n\nEmma", task=task).input == "Emma"


def test_the_input_is_put_together_as_the_task_says() -> None:
    task = a_task(template="{book} by {author}", input="<{author}> {book}")
    assert messages("Emma by Jane", task=task).input == "<Jane> Emma"


def test_a_call_that_does_not_match_is_kept_whole_under_another_skeleton() -> None:
    task = a_task(template="Which shelf?\n\n{book}")
    divided = messages("Where does Emma go?", task=task)
    assert divided.input == "Where does Emma go?"
    assert not divided.matched
    assert divided.skeleton == skeleton_of(SYSTEM) != task.skeleton


def test_fields_come_from_places_in_the_body() -> None:
    paths = {"order": "metadata.order", "text": "messages.-1.content.0.text"}
    task = a_task(paths=paths)
    content = [{"type": "text", "text": "Emma"}]
    divided = messages("x", content, task=task, metadata={"order": {"id": 4}})
    assert divided.input == 'order: {"id":4}\ntext: Emma'
    assert divided.skeleton == task.skeleton


@pytest.mark.parametrize("place", ["metadata.none", "messages.5.content", "model.0", "messages.x"])
def test_a_call_without_the_place_of_a_field_does_not_match(place: str) -> None:
    task = a_task(paths={"order": place})
    divided = messages("Emma", task=task)
    assert (divided.input, divided.matched) == ("Emma", False)
    assert divided.skeleton != task.skeleton


def test_what_varies_in_the_system_prompt_can_be_left_out_of_the_skeleton() -> None:
    task = a_task(system="Today is {date}. Say which shelf.")
    days = [f"Today is {day}. Say which shelf." for day in ("Monday", "Friday")]
    first, second = (messages("Emma", system=day, task=task) for day in days)
    assert first.skeleton == second.skeleton == task.skeleton
    assert first.input == "Emma"
    told = a_task(
        system="Today is {date}. Say which shelf.", template="{book}", input="{date} {book}"
    )
    assert messages("Emma", system=days[1], task=told).input == "Friday Emma"
    assert not messages("Emma", system="Say which shelf.", task=task).matched


def test_other_braces_of_a_template_are_themselves() -> None:
    task = a_task(template='Say {"shelf": {"n": 1}} and {{name}} for {book}')
    divided = messages('Say {"shelf": {"n": 1}} and {name} for Emma', task=task)
    assert (divided.input, divided.skeleton) == ("Emma", task.skeleton)


def test_earlier_turns_are_kept_beside_the_trace() -> None:
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "{"},
    ]
    request = {"model": "m", "messages": turns}
    divided = divide(None, anthropic.read_request(request), request)
    assert divided.input == "c"
    assert divided.context is not None
    kept = json.loads(divided.blobs[divided.context])
    assert kept == {"earlier": turns[:2], "later": turns[3:]}


def test_instructions_among_the_messages_are_no_earlier_turns() -> None:
    request = openai_chat.write_request(model="m", system=SYSTEM, user="Emma")
    assert divide(None, openai_chat.read_request(request), request).context is None


def test_a_message_of_text_blocks_needs_no_context() -> None:
    divided = messages([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])
    assert (divided.input, divided.context) == ("a\nb", None)


def test_calls_in_the_store_divide_as_they_did_on_their_way() -> None:
    task = a_task(template="Which shelf?\n\n{book}")
    skeleton, text, matched = divide_text(task, SYSTEM, "Which shelf?\n\nEmma")
    assert (skeleton.name, text, matched) == (task.skeleton, "Emma", True)


def test_what_json_cannot_say_costs_no_call() -> None:
    request = {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "x", "n": float("nan")}]}],
        "tools": [{"n": float("inf")}],
    }
    divided = divide(None, anthropic.read_request(request), request)
    assert divided.context is not None
    assert b"NaN" in divided.blobs[divided.context]


def test_a_body_nested_beyond_reason_costs_no_call() -> None:
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    request = {"model": "m", "messages": [{"role": "user", "content": "a"}], "tools": deep}
    for _ in range(2):
        divided = divide(None, anthropic.read_request(request), request)
        assert (divided.input, divided.context) == ("a", None)


@given(st.lists(st.tuples(st.text(), st.lists(st.text(), max_size=2)), max_size=30))
def test_remembering_changes_no_skeleton(calls: list[tuple[str, list[str]]]) -> None:
    for system, names in calls:
        tools = [{"name": name} for name in names]
        divided = messages("a", system=system, tools=tools)
        assert divided.skeleton == skeleton_of(system, tools=tools)
        assert divided.blobs[divided.skeleton].decode("utf-8", "surrogatepass") == canonical_json(
            {"instruction": system.strip(), **({"tools": tools} if tools else {})}
        )


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"template": "no place"}, "has no place"),
        ({"template": "{a}", "input": "{b}"}, "input has the place 'b'; wanted one of a"),
        ({"input": "{b}"}, "no place"),
    ],
)
def test_a_form_of_call_that_cannot_be_filled_is_refused(form: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CallForm(**form)
