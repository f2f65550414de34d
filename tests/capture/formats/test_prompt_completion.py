from __future__ import annotations

from typing import Any

import pytest

from limbeck.capture.formats.imported import Imported, Skipped
from limbeck.capture.formats.prompt_completion import read
from limbeck.capture.jsonl import BadLineError


def call(**row: Any) -> Imported:
    [made] = read(row, None)
    assert isinstance(made, Imported)
    return made


def test_two_texts_are_a_question_and_its_reply() -> None:
    made = call(prompt="Is it?", completion=" It is.", reasoning="Hm.", system="Be brief.")
    assert (made.call.system, made.call.user) == ("Be brief.", "Is it?")
    assert (made.reply.text, made.reply.thinking) == (" It is.", "Hm.")


def test_a_completion_in_json_is_what_the_model_wrote() -> None:
    assert call(prompt="Is it?", completion='{"label": "yes"}').reply.text == '{"label": "yes"}'


def test_conversational_ones_have_messages_on_both_sides() -> None:
    made = call(
        prompt=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Is it?"}],
        completion=[{"role": "assistant", "content": "It is."}],
    )
    assert (made.call.system, made.call.user, made.reply.text) == ("Be brief.", "Is it?", "It is.")


@pytest.mark.parametrize("empty", ["", None, []])
def test_an_empty_side_is_skipped(empty: Any) -> None:
    for row in ({"prompt": empty, "completion": "y"}, {"prompt": "x", "completion": empty}):
        assert list(read(row, None)) == [Skipped("the prompt or the completion is empty")]


def test_a_row_without_a_completion_names_its_keys() -> None:
    with pytest.raises(BadLineError, match="wanted prompt and completion"):
        list(read({"prompt": "x", "chosen": "y"}, None))
