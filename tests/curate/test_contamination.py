from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from limbeck.curate.contamination import (
    Contamination,
    ContaminationSettings,
    contaminated,
    find_hits,
    read_evaluation,
    wanted,
)
from limbeck.errors import ImportFileError

Frame = Callable[..., pl.DataFrame]
QUESTION = (
    "A baker has forty loaves in the morning, sells eleven of them before noon and gives away "
    "three; how many loaves are left for the afternoon?"
)
RUN = "forty loaves in the morning sells eleven of them before noon and gives"


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    file = tmp_path / "held.jsonl"
    rows = [{"question": QUESTION, "meta": {"tags": ["Too short?"]}}, {"question": "Who is it?"}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def found(
    frame: Frame, file: Path, *rows: dict[str, Any], **given: Any
) -> tuple[list[str | None], Contamination]:
    made = frame(*({"split": "train", **row} for row in rows), split=pl.String())
    settings = ContaminationSettings(**given)
    evaluation = read_evaluation([file])
    places = pl.Series(range(made.height), dtype=pl.UInt32)
    hits = find_hits(made, wanted(evaluation, settings), places)
    said, counts = contaminated(made, hits, evaluation, settings, lambda at: made[at])
    return said.to_list(), counts


def test_an_input_that_is_a_text_but_for_case_and_punctuation_is_found(
    frame: Frame, held_out: Path
) -> None:
    rows = [
        {"input": QUESTION.upper().replace(",", " -")},
        {"input": "who is it"},
        {"input": "too short"},
        {"input": "who is that"},
    ]
    said, counts = found(frame, held_out, *rows)
    assert said == ["its input is a text of held.jsonl"] * 3 + [None]
    assert (counts.exact, counts.phrases) == (3, 0)


def test_thirteen_words_in_a_row_are_found_and_twelve_are_not(frame: Frame, held_out: Path) -> None:
    rows = [
        {"input": f"Tell me: {RUN.upper()}. And then?"},
        {"input": f"Tell me: {RUN.rsplit(' ', 1)[0]}. And then?"},
        {"input": "what now?", "rationale": f"We know this one. It says {RUN} the rest away."},
    ]
    said, counts = found(frame, held_out, *rows)
    assert said[0] is not None
    assert said[0].startswith("13 words of its input stand in held.jsonl: 'forty loaves in")
    assert said[1] is None
    assert said[2] is not None
    assert "13 words of its chain" in said[2]
    assert (counts.exact, counts.phrases) == (0, 2)
    assert found(frame, held_out, *rows, words=12)[0][1] is not None


def test_words_of_two_texts_are_no_run(frame: Frame, tmp_path: Path) -> None:
    first, second = RUN.split(" ")[:6], RUN.split(" ")[6:]
    file = tmp_path / "parts.jsonl"
    file.write_text("".join(json.dumps({"q": " ".join(part)}) + "\n" for part in (first, second)))
    assert found(frame, file, {"input": RUN + " more"}) == (
        [None],
        Contamination(sources=read_evaluation([file]).sources),
    )


def test_what_nothing_is_fitted_to_may_be_the_evaluation_set_itself(
    frame: Frame, held_out: Path
) -> None:
    splits = ("train", "validation", "calibration", "test", "shifted")
    said, _ = found(frame, held_out, *({"input": QUESTION, "split": split} for split in splits))
    assert [one is None for one in said] == [False, False, False, True, True]


def test_words_that_many_inputs_share_are_their_template(frame: Frame, held_out: Path) -> None:
    rows = [{"input": f"{RUN} to customer {n}"} for n in range(11)]
    said, counts = found(frame, held_out, *rows)
    assert said == [None] * 11
    assert counts.template == 1
    assert all(found(frame, held_out, *rows, common=11)[0])
    # Many calls with one input are one text.
    again = [{"input": f"{RUN} to nobody"}] * 20
    assert all(found(frame, held_out, *again)[0])


def test_files_are_told_apart_by_content_and_their_order_does_not_matter(
    frame: Frame, held_out: Path, tmp_path: Path
) -> None:
    table = tmp_path / "held.parquet"
    pl.DataFrame({"question": ["Who is it?", QUESTION], "tag": ["Too short?", None]}).write_parquet(
        table
    )
    [one], [other] = (read_evaluation([file]).sources for file in (held_out, table))
    assert one.hash == other.hash
    assert one.texts == other.texts == 3
    assert read_evaluation([held_out, table]) == read_evaluation([table, held_out])
    said, _ = found(frame, table, {"input": QUESTION})
    assert said == ["its input is a text of held.parquet"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the file is empty"),
        ('{"a": 1}\n', "no row has a text"),
        ('{"a": "b"}\n{"a": \n', "line 2: broken JSON"),
    ],
)
def test_a_file_without_texts_is_refused(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "held.jsonl"
    file.write_text(content)
    with pytest.raises(ImportFileError, match=said):
        read_evaluation([file])


def test_odd_texts_break_nothing(frame: Frame, tmp_path: Path) -> None:
    file = tmp_path / "odd.jsonl"
    file.write_text(json.dumps({"a": ["\ud800", "", "\x00", "🙂", QUESTION * 50]}) + "\n")
    rows = [{"input": ""}, {"input": "\x00\n"}, {"input": "🙂"}, {"input": QUESTION}]
    said, _ = found(frame, file, *rows)
    assert said[:3] == [None, None, None]
    assert said[3] is not None
