"""What `limbeck.capture` offers, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import limbeck.capture


@pytest.mark.parametrize("name", ["wrap", "record", "outcome", "correlate", "task"])
def test_what_is_offered_is_there(name: str) -> None:
    assert getattr(limbeck.capture, name).__name__ == name


def test_what_is_not_offered_is_said() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'wrapped'"):
        _ = limbeck.capture.wrapped


def test_importing_it_loads_neither_a_database_nor_a_client() -> None:
    code = "import limbeck.capture, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"sqlalchemy", "anthropic", "openai", "httpx2", "pydantic"}
