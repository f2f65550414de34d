"""What a stored trace says, read without making a noun of it: a curation reads millions.

The fields are validated as those of the nouns are, by the same types; only no object is made of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, NotRequired, cast

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import TypedDict

from limbeck.store.records import best_outcome
from limbeck.store.rows import read_outcome, read_trace
from limbeck.types import Noun, Outcome, OutcomeSource, Provenance, Rationale, Trace


class Call(NamedTuple):
    """Of a trace what a curation looks at."""

    input: str
    choices: tuple[str, ...]
    raw: str | None
    thinking: str | None
    blocks: str | None
    rationale: Rationale | None
    answer: str | None
    status: str
    stop_reason: str | None
    group: str | None
    split: str | None
    source: str
    generator: str
    simulated: bool
    licence: str | None
    created_at: datetime | None


class Told(NamedTuple):
    """Of an outcome the same."""

    value: str | None
    correct: bool | None
    source: OutcomeSource


def call_of(trace: Trace) -> Call:
    """What `trace` says."""
    origin = trace.provenance
    return Call(
        trace.input, trace.choices, trace.raw, trace.thinking, trace.blocks, trace.rationale,
        trace.answer, trace.status, trace.stop_reason, trace.group, trace.split, origin.source,
        origin.generator, origin.simulated, origin.licence, trace.created_at,
    )  # fmt: skip


def told_by(outcome: Outcome | None) -> Told | None:
    """What `outcome` says."""
    return None if outcome is None else Told(outcome.value, outcome.correct, outcome.source)


def read_call(content: str) -> Call:
    """The same of the content of a trace; raises ValueError if it is not that of one."""
    try:
        said = _reader(Trace)(content)
    except ValueError:
        # pydantic's reader refuses the escapes of lone surrogates; the other one is slower.
        return call_of(read_trace(content))
    get, origin = said.get, said["provenance"]
    return Call(
        said["input"], get("choices", ()), get("raw"), get("thinking"), get("blocks"),
        get("rationale"), get("answer"), get("status", "ok"), get("stop_reason"), get("group"),
        get("split"), origin["source"], origin.get("generator", "unknown"),
        origin.get("simulated", False), origin.get("licence"), get("created_at"),
    )  # fmt: skip


def read_told(contents: Sequence[str]) -> Told | None:
    """What the outcome to believe says; raises ValueError if a content is not that of an outcome."""
    if len(contents) != 1:
        return told_by(best_outcome(map(_outcome, contents)))
    try:
        said = _reader(Outcome)(contents[0])
    except ValueError:
        return told_by(read_outcome(contents[0]))
    value, correct = said.get("value"), said.get("correct")
    if value is None and correct is None:
        return told_by(read_outcome(contents[0]))
    return Told(value, correct, said["source"])


def _outcome(content: str) -> Outcome:
    try:
        return Outcome.model_validate_json(content)
    except ValueError:
        return read_outcome(content)


@cache
def _reader(noun: type[Noun]) -> Callable[[str], dict[str, Any]]:
    """Reads the JSON of a noun to its fields, without those that are not said."""
    return TypeAdapter(_fields(noun)).validator.validate_json


def _fields(noun: type[Noun]) -> Any:
    """The fields of `noun` as the type of a dictionary; an unknown one is an error."""
    kinds: dict[str, Any] = {}
    for name, field in noun.model_fields.items():
        kind = _fields(Provenance) if field.annotation is Provenance else field.rebuild_annotation()
        kinds[name] = kind if field.is_required() else NotRequired[kind]
    # mypy reads only the types of dictionaries that are written out.
    made = cast(Any, TypedDict)(noun.__name__, kinds)
    made.__pydantic_config__ = ConfigDict(extra="forbid")
    return made
