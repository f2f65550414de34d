"""The examples of the page "Capture from Python" run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from limbeck.store.store import Store
from limbeck.workspace import Workspace

PAGE = Path(__file__).parents[3] / "docs" / "capture-sdk.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture
def environment(teacher: Any, tasked: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key-1")
    monkeypatch.setenv("OPENAI_API_KEY", "key-1")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", teacher.url)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{teacher.url}/v1")


@pytest.mark.parametrize(
    ("number", "sample", "outcomes"),
    [
        (0, "anthropic.text.json", 0),
        (1, "openai_chat.usage.sse", 0),
        (2, "anthropic.text.json", 1),
        (3, None, 0),
    ],
)
def test_an_example_runs_and_leaves_one_trace(
    teacher: Any, environment: None, number: int, sample: str | None, outcomes: int
) -> None:
    if sample is not None:
        (teacher.says_stream if sample.endswith(".sse") else teacher.says_json)(sample)
    names: dict[str, Any] = {"__name__": "example"}
    exec(EXAMPLES[number], names)  # the documents are ours
    if "client" in names:
        names["client"].close()
    with Store(Workspace.find().store_url) as store:
        assert len(list(store.traces("refunds"))) == 1
        assert store.counts().outcomes == outcomes


def test_every_example_is_run() -> None:
    assert len(EXAMPLES) == 4
