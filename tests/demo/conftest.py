from __future__ import annotations

import pytest


class Notes:
    """A watcher that writes down what it is told."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.parts: set[str] = set()

    def begin(self, stage: str, task: str, total: int) -> None:
        self.begun.append(f"{stage} {task}".strip())

    def advance(self, part: str, done: int, total: int, note: str) -> None:
        assert 0 <= done <= total
        self.parts.add(part)

    def end(self, stage: str, task: str, seconds: float, note: str) -> None:
        assert seconds >= 0
        self.ended.append(f"{stage} {task}".strip())


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture(scope="module")
def run_notes() -> Notes:
    """For a run that several tests of a module look at."""
    return Notes()
