from __future__ import annotations

from pathlib import Path

import pytest

from limbeck.curate.judge.opinions import Opinion, keep_opinions, read_opinions
from limbeck.errors import DataError

MADE = [Opinion(key=f"sha256:{n}", model="m", passes=n % 2 == 0) for n in range(4)]


def test_opinions_are_appended_and_read_by_their_key(tmp_path: Path) -> None:
    file = tmp_path / "judge" / "triage.jsonl"
    assert read_opinions(file) == {}
    keep_opinions(file, [])
    assert not file.exists()
    keep_opinions(file, MADE[:2])
    keep_opinions(file, MADE[2:])
    assert list(read_opinions(file).values()) == MADE


@pytest.mark.parametrize("lost", [1, 20, 40])
def test_a_line_that_a_kill_cut_off_is_mended_by_the_next(tmp_path: Path, lost: int) -> None:
    file = tmp_path / "triage.jsonl"
    keep_opinions(file, MADE[:2])
    file.write_bytes(file.read_bytes()[:-lost])
    # The line break alone says nothing: the opinion before it is whole.
    whole = 2 if lost == 1 else 1
    assert len(read_opinions(file)) == whole
    keep_opinions(file, MADE[2:3])
    assert len(read_opinions(file)) == whole + 1


def test_a_file_of_something_else_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "triage.jsonl"
    file.write_text('{"what": 1}\n{"half')
    with pytest.raises(DataError, match="line 1 of"):
        read_opinions(file)
    file.write_bytes(b"\xff\xfe not text\n")
    with pytest.raises(DataError, match="line 1 of"):
        read_opinions(file)
