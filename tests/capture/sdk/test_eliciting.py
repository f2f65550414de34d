"""A task may ask for rationales in the call itself; the program that asked does not see them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from limbeck.capture import wrap
from limbeck.capture.reply import reread
from limbeck.types import ElicitForm, Task, Trace
from limbeck.workspace import Workspace

Kept = Callable[[], list[Trace]]

ASKED: dict[str, Any] = {
    "model": "claude-test-1",
    "max_tokens": 200,
    "system": "Decide.",
    "messages": [{"role": "user", "content": "12 days"}],
}


@pytest.fixture
def eliciting(tasked: Workspace, task: Task) -> Task:
    made = task.model_copy(update={"elicit": ElicitForm(how="inline")})
    tasked.write_task(made)
    return made


def with_rationale(data: bytes) -> bytes:
    plain, told = b"It came back", b"<rationale>12 is under 30.</rationale>\\nIt came back"
    return data.replace(plain, told).replace(b"The item", told.split(b"It")[0] + b"The item")


@pytest.mark.parametrize("sample", ["anthropic.text.json", "anthropic.text.sse"])
def test_a_rationale_is_asked_for_recorded_and_taken_out(
    teacher: Any, eliciting: Task, kept: Kept, sample: str
) -> None:
    streams = sample.endswith(".sse")
    (teacher.says_stream if streams else teacher.says_json)(sample)
    plain = teacher.anthropic()

    def ask(client: Any) -> Any:
        if not streams:
            return client.messages.create(**ASKED).model_dump(warnings=False)
        with client.messages.stream(**ASKED) as stream:
            return stream.get_final_message().model_dump(warnings=False)

    expected = ask(plain)
    said = teacher.says[0]
    said.parts = [with_rationale(part) for part in said.parts]
    assert ask(wrap(plain, task="refunds")) == expected
    before, after = (asked.json for asked in teacher.asked)
    assert before == ASKED | ({"stream": True} if streams else {})
    assert "<rationale>" in json.dumps(after["system"])
    assert after["max_tokens"] > 200
    [trace] = kept()
    read = reread(eliciting, trace)
    assert read.rationale is not None
    assert (read.rationale.text, read.rationale.origin) == ("12 is under 30.", "elicited")
    assert read.answer == "grant"
    assert trace.elicited is not None
    assert trace.elicited.extra_output > 0
