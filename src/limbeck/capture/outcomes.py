"""What turned out later: entries of a program, or rows of a file, become outcomes of traces.

Each names its trace by `trace_id`, `request_id` or `correlation` and says `value` (the right answer),
`correct` (whether the trace's answer was right), or both; `source` and `at` may stand too. Where the
trace is not in the store yet, the outcome is kept until it comes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import Field, ValidationError, model_validator

from limbeck.capture.files import open_rows
from limbeck.capture.jsonl import BadLineError, at_line
from limbeck.capture.places import as_text
from limbeck.store.early import EarlyOutcome, Key
from limbeck.store.store import Store
from limbeck.types import Noun, Outcome, OutcomeSource, Task, Trace
from limbeck.verify.table import normalize

BATCH = 1000
"""Outcomes in one transaction."""

NAMES: tuple[Key, ...] = get_args(Key)
KEYS = (*NAMES, "value", "correct", "source", "at")

Name = Annotated[str, Field(min_length=1, max_length=1000)]
_TRACE_ID = re.compile(r"sha256:[0-9a-f]{64}")


class OutcomeEntry(Noun):
    """An outcome and the name of its trace: exactly one of three."""

    trace_id: Name | None = None
    request_id: Name | None = None
    correlation: Name | None = None
    value: str | None = None
    correct: bool | None = None
    source: OutcomeSource = "downstream"
    at: datetime | None = None

    @model_validator(mode="after")
    def _names_one_trace_and_says_something(self) -> OutcomeEntry:
        given = sorted(name for name in NAMES if getattr(self, name) is not None)
        if len(given) != 1:
            raise ValueError(
                f"names of the trace are {given!r}; wanted exactly one of trace_id, request_id "
                "and correlation"
            )
        if self.trace_id is not None and not _TRACE_ID.fullmatch(self.trace_id):
            raise ValueError(
                f"trace_id is {self.trace_id!r}; wanted what the header x-limbeck-trace-id said"
            )
        if self.value is None and self.correct is None:
            raise ValueError("neither `value` nor `correct` is given; wanted at least one")
        return self

    @property
    def key(self) -> Key:
        """Which of the names is given."""
        return next(key for key in NAMES if getattr(self, key) is not None)

    @property
    def name(self) -> str:
        return str(getattr(self, self.key))

    def early(self, task: str | None) -> EarlyOutcome:
        """The same, of a trace that is still to come; where given, one of that task."""
        said = self.model_dump(exclude=set[str](NAMES))
        return EarlyOutcome(key=self.key, name=self.name, task=task, **said)


class Result(Noun):
    """What became of one entry: 200 attached, 202 kept until its trace comes, 422 not an outcome."""

    status: int
    trace_id: str | None = None
    note: str | None = None
    error: str | None = None


def attach(
    store: Store, entries: Sequence[Any], tasks: Mapping[str, Task] | None = None
) -> list[Result]:
    """Attach every entry whose trace is there, and keep the others until theirs comes.

    Returns one result for each, in order. A value that is no answer of its task, as `tasks` tell, is
    attached all the same, with a note: the task file may be what is wrong. Raises StoreError where the
    store fails; sending all of them again then attaches nothing twice.
    """
    read = [_validated(entry) for entry in entries]
    found = _find(store, (one for one in read if isinstance(one, OutcomeEntry)))
    outcomes: list[Outcome] = []
    early: list[EarlyOutcome] = []
    results: list[Result] = []
    for one in read:
        if isinstance(one, Result):
            results.append(one)
            continue
        trace = found.get((one.key, one.name))
        waiting = one.early(None)
        if trace is None:
            early.append(waiting)
            results.append(Result(status=202, note="kept until its trace comes"))
        else:
            outcomes.append(waiting.of(trace.id))
            note = _doubt((tasks or {}).get(trace.task or ""), one, trace)
            results.append(Result(status=200, trace_id=trace.id, note=note))
    if outcomes:
        store.attach(outcomes)
    if early:
        store.expect(early)
    return results


class OutcomeResult(Noun):
    """`read` = `attached` + `already` + `waiting` for their trace + those `skipped`, by reason."""

    read: int = 0
    attached: int = 0
    already: int = 0
    waiting: int = 0
    skipped: dict[str, int] = Field(default_factory=dict)


def attach_outcomes(
    store: Store,
    task: Task,
    path: str | Path,
    *,
    source: OutcomeSource = "downstream",
    progress: Callable[[int, int], None] | None = None,
) -> OutcomeResult:
    """Attach the outcomes of a JSON Lines, CSV (plain or gzip) or Parquet file to traces of `task`.

    `source` holds for rows that name none. Rows about calls that are not recorded are kept until they
    are; those about calls of another task are skipped and counted. Raises ImportFileError with the
    line, and StoreError.
    """
    path = Path(path)
    batch: list[tuple[int, OutcomeEntry]] = []
    result = OutcomeResult()
    kept = read = 0
    try:
        for row in open_rows(path):
            with at_line(row.line):
                batch.append((row.line, _read(row.values, source)))
            read += 1
            if len(batch) == BATCH:
                result = _sum(result, _attach(store, task, batch))
                batch, kept = [], read
            if progress is not None and read % 100 == 0:
                progress(row.position, read)
        return _sum(result, _attach(store, task, batch))
    except BadLineError as error:
        raise error.of_file(path, kept) from None


def _attach(store: Store, task: Task, batch: list[tuple[int, OutcomeEntry]]) -> OutcomeResult:
    found = _find(store, (entry for _, entry in batch))
    outcomes: list[Outcome] = []
    early: list[EarlyOutcome] = []
    skipped: Counter[str] = Counter()
    for line, entry in batch:
        trace = found.get((entry.key, entry.name))
        # A call that was recorded before it had a task may be given to this one yet.
        if trace is not None and trace.task not in (task.name, None):
            skipped[f"the trace is of another task ({trace.task})"] += 1
            continue
        with at_line(line):
            formed = _formed(task, entry, trace.choices if trace is not None else ())
        if trace is None or trace.task is None:
            early.append(formed)
        else:
            outcomes.append(formed.of(trace.id))
    attached = store.attach(outcomes) if outcomes else 0
    if early:
        store.expect(early)
    return OutcomeResult(
        read=len(batch),
        attached=attached,
        already=len(outcomes) - attached,
        waiting=len(early),
        skipped=dict(skipped),
    )


def _find(store: Store, entries: Iterable[OutcomeEntry]) -> dict[tuple[Key, str], Trace]:
    names: dict[Key, set[str]] = {}
    for entry in entries:
        names.setdefault(entry.key, set()).add(entry.name)
    return {
        (key, name): trace
        for key, some in names.items()
        for name, trace in store.find_all(key, some).items()
    }


def _validated(entry: Any) -> OutcomeEntry | Result:
    try:
        return OutcomeEntry.model_validate(entry)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        return Result(status=422, error=f"{key}: {said}" if key else said)


def _read(values: Mapping[str, Any], source: OutcomeSource) -> OutcomeEntry:
    given = {key: value for key, value in values.items() if value is not None and value != ""}
    unknown = [key for key in given if key not in KEYS]
    if unknown:
        raise BadLineError(f"unknown key {unknown[0]!r}; wanted some of {', '.join(KEYS)}")
    names = {key: text for key in NAMES if (text := as_text(given.get(key)))}
    if len(names) != 1:
        raise BadLineError(
            f"the row names its trace by {sorted(names)!r}; "
            f"wanted exactly one of {', '.join(NAMES)}"
        )
    said = {
        "value": as_text(given.get("value")),
        "correct": _truth_value(given.get("correct")),
        "source": given.get("source", source),
        "at": given.get("at"),
    }
    try:
        return OutcomeEntry.model_validate(names | said)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        message = first["msg"].removeprefix("Value error, ")
        if key == "source":
            wanted = ", ".join(get_args(OutcomeSource))
            message = f"the source is {said['source']!r}; wanted one of {wanted}"
        elif key:
            message = f"the key {key!r} is {given.get(key)!r}: {message}"
        raise BadLineError(message) from None


def _formed(task: Task, entry: OutcomeEntry, choices: tuple[str, ...]) -> EarlyOutcome:
    """With the value in the form of the task's answers, as far as that is known without the trace."""
    early = entry.early(task.name)
    if early.value is None:
        return early
    formed = normalize(task, early.value, choices)
    unknown = task.answer.kind == "choice" and not (choices or task.answer.choices)
    if formed is None and not unknown:
        raise BadLineError(f"the value {early.value!r} has not the form of this task's answers")
    return early.model_copy(update={"value": early.value if formed is None else formed})


def _doubt(task: Task | None, entry: OutcomeEntry, trace: Trace) -> str | None:
    """What is to be said of a value that can never be the answer of its trace."""
    if task is None:
        return None
    try:
        _formed(task, entry, trace.choices)
    except BadLineError as error:
        return f"{error}; it is attached as it came"
    return None


def _truth_value(said: Any) -> bool | None:
    if said is None or isinstance(said, bool):
        return said
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    truth = words.get(str(said).strip().lower())
    if truth is None:
        raise BadLineError(f"the key 'correct' is {said!r}; wanted true or false")
    return truth


def _sum(one: OutcomeResult, other: OutcomeResult) -> OutcomeResult:
    return OutcomeResult(
        read=one.read + other.read,
        attached=one.attached + other.attached,
        already=one.already + other.already,
        waiting=one.waiting + other.waiting,
        skipped=dict(sorted((Counter(one.skipped) + Counter(other.skipped)).items())),
    )
