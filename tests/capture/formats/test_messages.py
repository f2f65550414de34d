from __future__ import annotations

from typing import Any

import pytest

from limbeck.capture.formats.imported import Imported, Skipped
from limbeck.capture.formats.messages import read, recognise
from limbeck.capture.jsonl import BadLineError

USER = {"role": "user", "content": "Is a limpet a mollusc?"}


def call(row: dict[str, Any]) -> Imported:
    [made] = read(row, None)
    assert isinstance(made, Imported)
    return made


def test_the_last_turn_of_the_assistant_is_the_reply_and_the_rest_the_call() -> None:
    row = {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Yes?"},
            USER,
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": "Thanks"},
        ],
        "id": 7,
        "license": "MIT",
        "model": "m",
    }
    made = call(row)
    assert (made.call.system, made.call.user, made.call.turns) == (
        "Be brief.",
        "Is a limpet a mollusc?",
        3,
    )
    assert (made.reply.text, made.name, made.licence, made.generator) == ("yes", "7", "MIT", "m")


@pytest.mark.parametrize("key", ["reasoning", "thinking", "reasoning_content"])
def test_thinking_is_read_from_the_turn_and_from_the_row(key: str) -> None:
    answer: dict[str, Any] = {"role": "assistant", "content": "yes"}
    in_turn = {"messages": [USER, answer | {key: "It has a foot."}]}
    in_row = {"messages": [USER, answer], key: "It has a foot."}
    parts = [{"type": "thinking", "thinking": "It has a foot."}, {"type": "text", "text": "yes"}]
    in_part = {"messages": [USER, {"role": "assistant", "content": parts}]}
    for row in (in_turn, in_row, in_part):
        made = call(row)
        assert (made.reply.thinking, made.reply.text) == ("It has a foot.", "yes")


def test_share_gpt_has_other_words_for_the_roles() -> None:
    row = {
        "conversations": [
            {"from": "system", "value": "Be brief."},
            {"from": "human", "value": "Is a limpet a mollusc?"},
            {"from": "gpt", "value": "yes"},
        ]
    }
    assert recognise(row) is not None
    made = call(row)
    assert (made.call.system, made.call.user, made.reply.text) == (
        "Be brief.",
        "Is a limpet a mollusc?",
        "yes",
    )


def test_a_conversation_in_a_cell_is_json() -> None:
    row = {"messages": '[{"role":"user","content":"x"},{"role":"assistant","content":"y"}]'}
    assert recognise(row) is not None
    assert call(row).reply.text == "y"


def test_what_was_not_asked_or_not_answered_is_skipped() -> None:
    [unanswered] = read({"messages": [USER]}, None)
    [unasked] = read({"messages": [{"role": "assistant", "content": "Hi"}]}, None)
    assert unanswered == Skipped("the conversation has no turn of the assistant")
    assert unasked == Skipped("nothing was asked before the assistant's turn")


def test_a_row_of_another_shape_names_its_keys() -> None:
    with pytest.raises(BadLineError, match=r"the keys \['text'\]; wanted one of messages"):
        list(read({"text": "x"}, None))
