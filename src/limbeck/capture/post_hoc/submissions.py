"""What was handed in and not yet fetched, on disk: one file a batch, written before it is sent.

.limbeck/elicit/TASK/TOKEN.json   a `Submission` of questions for rationales
.limbeck/judge/TASK/TOKEN.json    one of questions to a judge
.limbeck/KIND/TASK/lock           one program asks about a task at a time

A file is replaced as a whole and flushed to the disk before the next step is taken.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from limbeck.capture.post_hoc.asking import How
from limbeck.errors import DataError
from limbeck.types import Noun

Step = Literal["prepared", "submitting", "submitted", "collected", "refused"]
OPEN: tuple[Step, ...] = ("prepared", "submitting", "submitted")
Kind = Literal["elicit", "judge"]
_COMMAND = {"elicit": "limbeck elicit --task", "judge": "limbeck curate --judge --task"}


class Tally(Noun):
    """What came of questions; a judge's are counted by their cases, and `explained` are those with an
    opinion.

    `differing` of the `explained` ended on another answer than the recorded one. `failed` are requests
    that were not answered and `unusable` replies that hold no rationale, by reason. `cost_usd` is for all
    that was answered; `unpriced` replies are not in it.
    """

    asked: int = 0
    explained: int = 0
    differing: int = 0
    failed: dict[str, int] = Field(default_factory=dict)
    unusable: dict[str, int] = Field(default_factory=dict)
    cost_usd: float = 0.0
    unpriced: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            asked=self.asked + other.asked,
            explained=self.explained + other.explained,
            differing=self.differing + other.differing,
            failed=_summed(self.failed, other.failed),
            unusable=_summed(self.unusable, other.unusable),
            cost_usd=self.cost_usd + other.cost_usd,
            unpriced=self.unpriced + other.unpriced,
        )


class Submission(Noun):
    """One batch, from the time before it is sent.

    `prepared`: paid for by nobody, but agreed to. `submitting`: sent at `at` or soon after, and not
    answered: it may have been taken, as one of `candidates`. `submitted`: taken, and named `batch_id`.
    `collected`: its results are in the store. `refused`: the provider did not take it, for `reason`.

    `traces` are the ids of the traces that it asks about; a batch that is over keeps of them those that
    were answered in vain, in `in_vain`. `upstream` is the name of the gateway's upstream.

    Of a batch for a judge, `how` is None, `traces` are the names of its questions, and `cases` the keys
    of the opinions that each one asks for, in the order of its cases.
    """

    token: str
    task: str
    upstream: str
    model: str
    how: How | None = None
    max_tokens: int
    step: Step
    requests: int
    traces: tuple[str, ...] = ()
    cases: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    at: datetime
    batch_id: str | None = None
    candidates: tuple[str, ...] = ()
    reason: str | None = None
    tally: Tally = Tally()
    in_vain: tuple[str, ...] = ()

    def asked_about(self) -> int:
        """How many traces, or cases, it asks about."""
        return sum(map(len, self.cases.values())) if self.cases else self.requests

    def custom_ids(self) -> dict[str, str]:
        """The names of the requests in the batch, with the ids of their traces."""
        return {custom_id(self.token, trace_id): trace_id for trace_id in self.traces}


def custom_id(token: str, trace_id: str) -> str:
    """The name of a request: the token and 160 bits of the trace's id, 53 characters in all."""
    return f"{token}-{trace_id.removeprefix('sha256:')[:40]}"


def new_token() -> str:
    """A name for a batch that no other one has."""
    return f"lb{secrets.token_hex(5)}"


class Submissions:
    """The folder of a task's submissions of one kind."""

    def __init__(self, home: Path, task: str, kind: Kind = "elicit") -> None:
        self._home = home
        self._folder = home / kind / task
        self._command = f"{_COMMAND[kind]} {task}"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Raises DataError where another program asks about the same task."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DataError(
                    f"another `{self._command}` is running; "
                    "wait for it to end, or stop it: it can be resumed"
                ) from None
            yield

    def read(self) -> list[Submission]:
        """Every submission of the task, the oldest first. Raises DataError for a damaged file."""
        found = [_read(path) for path in self._folder.glob("*.json")]
        return sorted(found, key=lambda one: (one.at, one.token))

    def open(self) -> list[Submission]:
        """Those that are not over."""
        return [one for one in self.read() if one.step in OPEN]

    def in_vain(self) -> set[str]:
        """The traces that were asked about, and whose reply holds no rationale."""
        return {trace_id for one in self.read() for trace_id in one.in_vain}

    def batch_ids(self) -> set[str]:
        """The batches of all tasks of the workspace."""
        files = (path for kind in _COMMAND for path in self._home.glob(f"{kind}/*/*.json"))
        everywhere = (_read(path) for path in files)
        return {one.batch_id for one in everywhere if one.batch_id is not None}

    def drop(self, submission: Submission) -> None:
        """Forget one that was never sent: its questions are free to be asked again."""
        self._path(submission.token).unlink(missing_ok=True)

    def _path(self, token: str) -> Path:
        return self._folder / f"{token}.json"

    def save(self, submission: Submission) -> Submission:
        """Write it to the disk, over the one with the same token; returns it."""
        path = self._path(submission.token)
        partial = path.with_suffix(".partial")
        self._folder.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8") as file:
            file.write(submission.model_dump_json(indent=1, exclude_defaults=True) + "\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return submission


def _read(path: Path) -> Submission:
    try:
        return Submission.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is damaged"
        raise DataError(
            f"cannot read {path}, which says what was asked of the teacher ({said}); restore it, or "
            "delete it and pay again for what it held"
        ) from None


def _summed(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in (*one, *other)}
