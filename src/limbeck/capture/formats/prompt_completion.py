"""Prompt and completion: two texts, or two lists of messages.

The thinking may stand in a column `reasoning` or `thinking`, or in the completion's message.

Source: TRL, "Dataset formats and types" (prompt-completion, standard and conversational),
https://huggingface.co/docs/trl/dataset_formats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from limbeck.capture.formats import chat
from limbeck.capture.formats.imported import LIKELY, Imported, Sign, Skipped
from limbeck.capture.formats.loose import words
from limbeck.capture.formats.messages import imported
from limbeck.capture.formats.requests import Requests
from limbeck.capture.jsonl import BadLineError

NEEDS_REQUESTS = False


def recognise(row: Mapping[str, Any]) -> Sign | None:
    """Both keys are there."""
    if {"prompt", "completion"} <= set(row):
        return Sign(LIKELY, "it has the keys 'prompt' and 'completion'")
    return None


def read(row: Mapping[str, Any], requests: Requests | None) -> Iterator[Imported | Skipped]:
    """The call of the prompt. Raises BadLineError."""
    if not {"prompt", "completion"} <= set(row):
        raise BadLineError(
            f"the row has the keys {sorted(row)!r}; wanted prompt and completion; "
            f"name another format with --format"
        )
    asked = chat.messages(row["prompt"])
    given = row["completion"]
    # A text stays as it is, also where it is JSON: it is what the model wrote.
    answers = [given] if isinstance(given, str) else chat.messages(given)
    if not asked or not answers or not answers[-1]:
        yield Skipped("the prompt or the completion is empty")
        return
    last = answers[-1]
    answered = {"role": "assistant", "content": last} if isinstance(last, str) else last
    system = words(row.get("system"))
    if system and not any(turn["role"] == "system" for turn in asked):
        asked = [{"role": "system", "content": system}, *asked]
    yield imported(row, [*asked, *answers[:-1]], answered)
