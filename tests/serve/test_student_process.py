from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck.errors import StudentError
from limbeck.serve import student_process
from limbeck.serve.student_process import StudentProcess

GONE: Any = None


@pytest.mark.slow
def test_a_student_that_cannot_be_loaded_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(
        StudentError, match="cannot be loaded in a process of its own: there is no student folder"
    ):
        StudentProcess(tmp_path / "nowhere", GONE, GONE)


@pytest.fixture
def echoing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StudentProcess:
    monkeypatch.setattr(student_process, "work", echo)
    return StudentProcess(tmp_path, GONE, GONE, answer_s=2.0)


def run(made: StudentProcess, main: Callable[[], Awaitable[None]]) -> None:
    async def and_close() -> None:
        try:
            await main()
        finally:
            await asyncio.to_thread(made.close)

    asyncio.run(and_close())


def echo(theirs: socket.socket, *_: object) -> None:
    """Answers with the name of its process; keeps the call `wait` until it is given up."""
    theirs.sendall(b"null\n")
    for line in theirs.makefile("rb"):
        number, *said = json.loads(line)
        if said == ["hang"]:
            signal.pause()
        if said == ["crash"]:
            os._exit(9)
        if said == ["wait"]:
            continue
        said = [f"{said[0]} {os.getpid()}", [0.5], [1, 2]] if said else ["given up"]
        theirs.sendall(json.dumps([number, *said]).encode() + b"\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "why"), [("hang", "silent for 2 seconds"), ("crash", "has ended")]
)
def test_a_process_that_hangs_or_crashes_is_replaced(
    echoing: StudentProcess, call: str, why: str
) -> None:
    async def main() -> None:
        first = await echoing("x")
        with pytest.raises(StudentError, match=why):
            await echoing(call)
        second = await echoing("y")
        assert first.answer is not None
        assert second.answer is not None
        assert (first.answer[0], second.answer[0]) == ("x", "y")
        assert len({first.answer[2:], second.answer[2:], str(os.getpid())}) == 3
        assert (second.signals, second.tokens) == ((0.5,), (1, 2))

    run(echoing, main)


@pytest.mark.slow
def test_a_call_that_is_given_up_is_taken_back_and_the_others_are_answered(
    echoing: StudentProcess,
) -> None:
    async def main() -> None:
        leaving = asyncio.ensure_future(echoing("wait"))
        staying = [asyncio.ensure_future(echoing(str(number))) for number in range(20)]
        await asyncio.sleep(0)
        leaving.cancel()
        answers = [one.answer for one in await asyncio.gather(*staying)]
        assert [str(one).split()[0] for one in answers] == [str(number) for number in range(20)]
        with pytest.raises(asyncio.CancelledError):
            await leaving
        # It owes nothing any more, so that its silence is none.
        assert (await echoing("later")).answer is not None

    run(echoing, main)
