"""Conversations as Hugging Face data sets have them: `messages`, or `conversations` of ShareGPT.

The last turn of the assistant is the reply, and what stands before it the call. Thinking is read
from `reasoning_content`, `reasoning` or `thinking` of that turn, from a part of that type, or from
`<think>` in its text; a column `reasoning` or `thinking` of the row counts too.

Sources: TRL, "Dataset formats and types" (language modeling, conversational),
https://huggingface.co/docs/trl/dataset_formats; ShareGPT's from/value pairs as in
https://huggingface.co/docs/trl/v0.11.1/dataset_formats and the data sets of that shape.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from limbeck.capture.formats import chat
from limbeck.capture.formats.imported import LIKELY, Imported, Sign, Skipped
from limbeck.capture.formats.loose import first, loaded, moment, words
from limbeck.capture.formats.requests import Requests
from limbeck.capture.jsonl import BadLineError

NEEDS_REQUESTS = False
KEYS = ("messages", "conversations", "conversation")


def recognise(row: Mapping[str, Any]) -> Sign | None:
    """A list of turns and no reply beside it."""
    if {"response", "completion", "output", "result", "choices"} & set(row):
        return None
    for key in KEYS:
        turns = loaded(row.get(key))
        one = turns[-1] if isinstance(turns, list) and turns else None
        if isinstance(one, dict) and ({"role", "content"} <= set(one) or "from" in one):
            return Sign(LIKELY, f"the key {key!r} holds a list of turns")
    return None


def read(row: Mapping[str, Any], requests: Requests | None) -> Iterator[Imported | Skipped]:
    """The call that the last turn of the assistant answers. Raises BadLineError."""
    given = first(row, *KEYS)
    if given is None:
        raise BadLineError(
            f"the row has the keys {sorted(row)!r}; wanted one of {', '.join(KEYS)}; "
            f"name another format with --format"
        )
    turns = chat.messages(given)
    last = max((at for at, turn in enumerate(turns) if turn["role"] == "assistant"), default=None)
    if last is None:
        yield Skipped("the conversation has no turn of the assistant")
        return
    if not any(turn["role"] == "user" for turn in turns[:last]):
        yield Skipped("nothing was asked before the assistant's turn")
        return
    yield imported(row, turns[:last], turns[last])


def imported(
    row: Mapping[str, Any], asked: list[dict[str, Any]], answered: dict[str, Any]
) -> Imported:
    """The call of these turns, with what the row's other columns say of it."""
    model = words(first(row, "model", "generator"))
    call, body = chat.request(asked, model=model, tools=loaded(row.get("tools")))
    thought = words(first(row, *chat.REASONING))
    if thought and not answered.get("reasoning_content"):
        answered = answered | {"reasoning_content": thought}
    read = chat.reply(answered, model=model)
    assert read is not None, "a turn of the assistant is never nothing"
    return Imported(
        call=call,
        body=body,
        reply=read[0],
        name=words(first(row, "id", "uuid", "prompt_id", "conversation_id")),
        generator=model,
        at=moment(first(row, "created_at", "timestamp")),
        licence=words(first(row, "license", "licence")),
    )
