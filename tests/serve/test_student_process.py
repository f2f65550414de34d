from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from limbeck.errors import StudentError
from limbeck.serve import student_process
from limbeck.serve.student_process import StudentProcess

GONE: Any = None


def test_a_student_that_cannot_be_loaded_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StudentError, match="cannot be loaded in a process of its own"):
        StudentProcess(tmp_path / "nowhere", GONE, GONE)


@pytest.fixture
def echoing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StudentProcess:
    monkeypatch.setattr(student_process, "_open", opened)
    monkeypatch.setattr(student_process, "_ready", ready)
    monkeypatch.setattr(student_process, "_ask", asked)
    return StudentProcess(tmp_path, GONE, GONE, answer_s=2.0)


def opened(*_: object) -> None:
    return None


def ready() -> bool:
    return True


def asked(inputs: list[str]) -> list[str]:
    if inputs == ["hang"]:
        signal.pause()
    if inputs == ["crash"]:
        os._exit(9)
    return [str(os.getpid()), *inputs]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "why"), [("hang", "silent for 2 seconds"), ("crash", "has ended")]
)
def test_a_process_that_hangs_or_crashes_is_replaced(
    echoing: StudentProcess, call: str, why: str
) -> None:
    first: Any = echoing(["x"])
    with pytest.raises(StudentError, match=why):
        echoing([call])
    second: Any = echoing(["y"])
    assert (first[1:], second[1:]) == (["x"], ["y"])
    assert len({first[0], second[0], str(os.getpid())}) == 3
    echoing.close()
