"""Stages of a run: each is timed, told to the watcher, and not done twice.

What a stage found is kept as JSON; the same run, started again after an interruption, reads it
instead of doing the work again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import ValidationError

from limbeck.report.summary import StageTime
from limbeck.types import Noun

Result = TypeVar("Result", bound=Noun)


class Watcher(Protocol):
    """Whoever shows the run to a person."""

    def begin(self, stage: str, task: str, total: int) -> None:
        """A stage of `total` units of work begins; 0 where that is not known."""

    def advance(self, part: str, done: int, total: int, note: str) -> None:
        """`part` (an arm, or the stage itself) has `done` of its `total` units behind it."""

    def end(self, stage: str, task: str, seconds: float, note: str) -> None:
        """The stage is over; `note` says in a few words what came of it."""


class _Kept(Noun):
    seconds: float
    note: str
    result: str


class Stages:
    """The stages of one run, kept in `folder`."""

    def __init__(self, folder: Path, watcher: Watcher) -> None:
        self._folder = folder
        self._watcher = watcher
        self.times: list[StageTime] = []

    def advance(self, part: str, done: int, total: int, note: str = "") -> None:
        self._watcher.advance(part, done, total, note)

    def run(
        self,
        stage: str,
        task: str,
        kind: type[Result],
        work: Callable[[], tuple[Result, str]],
        total: int = 0,
    ) -> Result:
        """The result of `work`, or what it was when the stage was last done."""
        path = self._path(stage, task)
        self._watcher.begin(stage, task, total)
        kept = _read(path)
        if kept is None:
            began = time.monotonic()
            result, note = work()
            kept = _Kept(
                seconds=round(time.monotonic() - began, 3),
                note=note,
                result=result.model_dump_json(),
            )
            self._write(path, kept)
            self._part(stage, task).unlink(missing_ok=True)
        self.times.append(StageTime(stage=stage, task=task, seconds=kept.seconds))
        self._watcher.end(stage, task, kept.seconds, kept.note)
        return kind.model_validate_json(kept.result)

    def part(self, stage: str, task: str, kind: type[Result]) -> Result | None:
        """What an interrupted stage had kept of its result, or None."""
        try:
            return kind.model_validate_json(self._part(stage, task).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValidationError, UnicodeDecodeError):
            return None

    def keep_part(self, stage: str, task: str, result: Noun) -> None:
        """Keeps what a stage has found so far, for `part`, until it is done."""
        self._write(self._part(stage, task), result)

    def _path(self, stage: str, task: str) -> Path:
        return self._folder / f"{stage.replace(' ', '-')}-{task or 'all'}.json"

    def _part(self, stage: str, task: str) -> Path:
        return self._path(stage, task).with_suffix(".part.json")

    def _write(self, path: Path, content: Noun) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(content.model_dump_json(), encoding="utf-8")
        partial.replace(path)


def _read(path: Path) -> _Kept | None:
    try:
        return _Kept.model_validate_json(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValidationError, UnicodeDecodeError):
        return None
