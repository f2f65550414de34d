"""What turned out to be true, sent by the programs that found out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError, model_validator

from limbeck.store.store import Store
from limbeck.types import Noun, Outcome, OutcomeSource


class OutcomeEntry(Noun):
    """An outcome and the name of its trace: exactly one of three."""

    trace_id: str | None = None
    request_id: str | None = None
    correlation: str | None = None
    value: str | None = None
    correct: bool | None = None
    source: OutcomeSource = "downstream"
    at: datetime | None = None

    @model_validator(mode="after")
    def _names_one_trace_and_says_something(self) -> OutcomeEntry:
        given = sorted(self.name())
        if len(given) != 1:
            raise ValueError(
                f"names of the trace are {given!r}; wanted exactly one of trace_id, request_id "
                "and correlation"
            )
        if self.value is None and self.correct is None:
            raise ValueError("neither `value` nor `correct` is given; wanted at least one")
        return self

    def name(self) -> dict[str, str]:
        """The given name of the trace, as `Store.find` takes it."""
        names = {
            "trace_id": self.trace_id,
            "request_id": self.request_id,
            "correlation": self.correlation,
        }
        return {key: value for key, value in names.items() if value is not None}


class Result(Noun):
    """What became of one entry: 200 attached, 404 no such trace, 422 not an outcome."""

    status: int
    trace_id: str | None = None
    error: str | None = None


def attach(store: Store, entries: Sequence[Any]) -> list[Result]:
    """Attach every entry that can be; one result for each, in order.

    Raises StoreError, with nothing attached, where the store fails.
    """
    outcomes: list[Outcome] = []
    results = [_find(store, entry, outcomes) for entry in entries]
    store.attach(outcomes)
    return results


def _find(store: Store, entry: Any, outcomes: list[Outcome]) -> Result:
    try:
        read = OutcomeEntry.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        return Result(status=422, error=f"{key}: {said}" if key else said)
    trace_id = store.find(**read.name())
    if trace_id is None:
        [(key, value)] = read.name().items()
        return Result(
            status=404,
            error=f"there is no trace with {key} {value!r}; send the outcome again after its reply",
        )
    outcomes.append(
        Outcome(
            trace_id=trace_id,
            value=read.value,
            correct=read.correct,
            source=read.source,
            at=read.at,
        )
    )
    return Result(status=200, trace_id=trace_id)
