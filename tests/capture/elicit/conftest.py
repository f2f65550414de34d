"""A call that is asked for a rationale, and a stream cut into chunks anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from limbeck.capture.elicit.prepare import Prepared, prepare
from limbeck.capture.elicit.stream import Restorer
from limbeck.types import AnswerForm, ElicitForm, Task

Ask = Callable[..., Prepared]


@pytest.fixture(scope="session")
def ask() -> Ask:
    def asked(how: str, dialect: str, body: dict[str, Any], **form: Any) -> Prepared:
        task = Task(
            name="t",
            answer=AnswerForm(kind="text"),
            elicit=ElicitForm.model_validate({"how": how, **form}),
        )
        prepared = prepare(task, dialect, body, draw=0.0)
        assert prepared is not None
        return prepared

    return asked


@pytest.fixture(scope="session")
def passed() -> Callable[[Restorer, bytes, Iterable[int]], bytes]:
    """The whole stream as the client gets it, fed in chunks of the given sizes."""

    def through(restorer: Restorer, stream: bytes, sizes: Iterable[int]) -> bytes:
        out, at = b"", 0
        for size in sizes:
            out += restorer.feed(stream[at : at + size])
            at += size
        return out + restorer.feed(stream[at:]) + restorer.close()

    return through
