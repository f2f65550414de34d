from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from limbeck.curate.duplicates import DuplicateSettings, repeats

Frame = Callable[..., pl.DataFrame]


def kept(
    frame: Frame, *rows: dict[str, Any], split: str = "train", per_input: int = 1
) -> list[int]:
    made = frame(*({"split": split, **row} for row in rows), split=pl.String())
    found = repeats(made, DuplicateSettings(per_input=per_input)).to_list()
    return [place for place, evidence in enumerate(found) if evidence is None]


def test_a_verified_answer_comes_first_then_a_chain_then_the_shortest_then_the_id(
    frame: Frame,
) -> None:
    long, short = {"rationale": "quite long"}, {"rationale": "short"}
    assert kept(frame, {**short, "correct": None}, {**long, "correct": True}) == [1]
    assert kept(frame, {"rationale": None}, long) == [1]
    assert kept(frame, long, short) == [1]
    assert kept(frame, short, short) == [0]


def test_where_students_are_judged_the_better_reply_is_not_chosen(frame: Frame) -> None:
    rows = [{"rationale": "quite long", "correct": False}, {"rationale": "short", "correct": True}]
    assert kept(frame, *rows, split="test") == [0]
    assert kept(frame, *reversed(rows), split="test", per_input=5) == [0]


def test_several_chains_of_one_input_may_train_but_not_the_same_twice(frame: Frame) -> None:
    rows = [{"rationale": text} for text in ("aa", "b", "AA", "ccc", "dddd")]
    assert kept(frame, *rows, per_input=3) == [0, 1, 3]
    assert kept(frame, *rows, per_input=9) == [0, 1, 3, 4]


def test_different_inputs_are_no_duplicates_and_the_evidence_names_the_kept(frame: Frame) -> None:
    made = frame(
        {"input": "a", "split": "train"},
        {"input": "b", "split": "train"},
        {"input": "A", "split": "train"},
        split=pl.String(),
    )
    found = repeats(made, DuplicateSettings()).to_list()
    assert found == [None, None, "the same input is kept as sha256:0000…"]
