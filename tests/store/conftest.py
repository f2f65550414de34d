from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from limbeck.store.store import Store
from limbeck.types import Provenance, Trace

Make = Callable[..., Trace]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store(path) as opened:
        yield opened


@pytest.fixture
def make() -> Make:
    """A trace of the task `t`; keywords of its provenance are told apart by their names."""

    def made(given: str = "question", **fields: Any) -> Trace:
        origin = {key: fields.pop(key) for key in list(fields) if key in Provenance.model_fields}
        provenance = Provenance(**{"source": "import", **origin})
        return Trace(**{"task": "t", "input": given, "provenance": provenance, **fields})

    return made
