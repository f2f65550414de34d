from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from limbeck.store.store import Store

Write = Callable[..., Path]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.db") as opened:
        yield opened


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write rows as JSON Lines, plain or gzip; bytes are written as they are."""

    def written(
        rows: list[dict[str, Any] | bytes], name: str = "rows.jsonl", *, packed: bool = False
    ) -> Path:
        lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
        data = b"".join(line + b"\n" for line in lines)
        path = tmp_path / name
        path.write_bytes(gzip.compress(data) if packed else data)
        return path

    return written
