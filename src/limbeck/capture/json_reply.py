"""A rationale and an answer as fields of JSON: the reply's text, or the input of a tool it calls."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from limbeck.capture.elicit.cutter import cut, whole
from limbeck.capture.elicit.json_field import FieldCutter, as_text
from limbeck.models.dialects.fields import mapping, sequence
from limbeck.types import Task

_FENCED = re.compile(r"\s*```[ \t]*(?:json)?\s*\n(.*?)\n\s*```\s*", re.DOTALL | re.IGNORECASE)


class JsonReply(NamedTuple):
    """What the fields say. `after` is true where the rationale was written after the answer, which it
    cannot have caused."""

    rationale: str | None
    answer: str | None
    after: bool = False


def read_json_reply(task: Task, text: str, blocks: str | None = None) -> JsonReply | None:
    """The fields that the task names, or None where it names none or the reply has none of them.

    The answer of a task that names no field for it is all that is left beside the rationale.
    `blocks` is the canonical JSON of a reply's content, as a trace keeps it.
    """
    if not names_fields(task):
        return None
    why = _field_of_rationale(task)
    found = _read_text(task, text, why)
    for given in _tool_inputs(blocks) if found is None else ():
        # The order of the keys was lost in the canonical JSON; the schema puts the rationale first.
        found = found or _read_object(task, given, why, left=_left(task, given, why))
    return found


def names_fields(task: Task) -> bool:
    """Whether a reply of the task may have its rationale or its answer in a field."""
    return task.reply.answer_field is not None or _field_of_rationale(task) is not None


def _field_of_rationale(task: Task) -> str | None:
    schema = task.elicit.how == "schema"
    return task.reply.rationale_field or (task.elicit.field if schema else None)


def _read_text(task: Task, text: str, why: str | None) -> JsonReply | None:
    # Some say a word before and after their JSON; in a fence it is still known.
    fenced = _FENCED.fullmatch(text) or _FENCED.search(text)
    text = fenced[1] if fenced else text
    try:
        # Line breaks inside a string are no JSON, and teachers write them.
        given = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        given = None
    # What was cut off is no JSON, but its rationale may be whole.
    cutter = FieldCutter(why or "")
    left = cut(cutter, text, cut_off=True)
    if not isinstance(given, dict):
        begun = cutter.rationale if why else None
        return JsonReply(begun, None) if begun else None
    found = _read_object(task, given, why, left=left)
    if found is None or found.rationale is None:
        return found
    return found._replace(after=_stands_after(list(given), why or "", task.reply.answer_field))


def _read_object(
    task: Task, given: dict[str, Any], why: str | None, *, left: str | None
) -> JsonReply | None:
    rationale = _walk(given, why) if why else None
    said = whole([as_text(rationale)])
    if task.reply.answer_field is None:
        return JsonReply(said, left) if rationale is not None else None
    answer = _walk(given, task.reply.answer_field)
    if answer is None:
        return JsonReply(said, None) if rationale is not None else None
    return JsonReply(said, answer if isinstance(answer, str) else _written(answer))


def _left(task: Task, given: dict[str, Any], why: str | None) -> str | None:
    """What a tool was given beside the rationale: an answer in a task whose answers are texts or JSON."""
    if task.answer.kind not in ("text", "json"):
        return None
    return _written({name: value for name, value in given.items() if name != why})


def _stands_after(keys: list[str], why: str, answer: str | None) -> bool:
    first = why.partition(".")[0]
    if first not in keys:
        return False
    if answer is None:
        return keys.index(first) > 0
    named = answer.partition(".")[0]
    return named in keys and keys.index(first) > keys.index(named)


def _walk(given: Any, path: str) -> Any:
    """What stands at a path of dots and indexes; None where nothing does."""
    for step in path.split("."):
        if isinstance(given, dict):
            given = given.get(step)
        elif isinstance(given, list) and step.isdecimal() and int(step) < len(given):
            given = given[int(step)]
        else:
            return None
    return given


def _written(value: Any) -> str:
    # Not `canonical_json`: teachers do write NaN.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _tool_inputs(blocks: str | None) -> list[dict[str, Any]]:
    """The inputs of the tools that a reply calls, in the forms of all dialects."""
    try:
        content = sequence(json.loads(blocks)) if blocks else []
    except (ValueError, RecursionError):
        return []
    inputs = []
    for block in map(mapping, content):
        calls = [block, *map(mapping, sequence(block.get("tool_calls")))]
        for call in calls:
            given = call.get("input")
            arguments = call.get("arguments", mapping(call.get("function")).get("arguments"))
            if isinstance(arguments, str):
                try:
                    given = json.loads(arguments)
                except (ValueError, RecursionError):
                    continue
            if isinstance(given, dict):
                inputs.append(given)
    return inputs
