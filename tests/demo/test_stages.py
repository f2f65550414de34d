from __future__ import annotations

from pathlib import Path

import pytest

from limbeck.demo.stages import Stages
from limbeck.types import Noun


class Found(Noun):
    n: int


def test_a_stage_that_was_done_is_not_done_again(tmp_path: Path, notes: object) -> None:
    calls = []

    def work() -> tuple[Found, str]:
        calls.append(1)
        return Found(n=len(calls)), "done"

    for _ in range(2):
        stages = Stages(tmp_path, notes)  # type: ignore[arg-type]
        assert stages.run("curate", "refunds", Found, work) == Found(n=1)
        assert [time.stage for time in stages.times] == ["curate"]
    assert len(calls) == 1


def test_a_stage_that_failed_is_done_again(tmp_path: Path, notes: object) -> None:
    def fail() -> tuple[Found, str]:
        raise RuntimeError

    stages = Stages(tmp_path, notes)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError):
        stages.run("curate", "refunds", Found, fail)
    assert stages.run("curate", "refunds", Found, lambda: (Found(n=2), "")) == Found(n=2)


def test_a_half_written_result_counts_as_none(tmp_path: Path, notes: object) -> None:
    (tmp_path / "curate-refunds.json").write_text('{"seconds": 1', encoding="utf-8")
    stages = Stages(tmp_path, notes)  # type: ignore[arg-type]
    assert stages.run("curate", "refunds", Found, lambda: (Found(n=3), "")) == Found(n=3)
