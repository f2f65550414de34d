from __future__ import annotations

from collections.abc import Callable

import polars as pl

from limbeck.curate.checks.table import load
from limbeck.types import Task

Frame = Callable[..., pl.DataFrame]


def evidence(frame: Frame, task: Task, lengths: list[int | None]) -> list[str | None]:
    rows = ({"rationale": None if n is None else "word " * n} for n in lengths)
    found: list[str | None] = load("short_or_long").run(frame(*rows), task)["evidence"].to_list()
    return found


def test_far_outliers_are_caught_and_spread_passes(choice_task: Task, frame: Frame) -> None:
    usual = [40 + n % 21 for n in range(100)]
    found = evidence(frame, choice_task, [*usual, 1, 2000, 25, 90])
    assert [said is not None for said in found[100:]] == [True, True, False, False]
    assert found[:100] == [None] * 100
    assert str(found[100]).startswith("too short: 1 words; this task's chains have 49 in the")
    assert str(found[101]).startswith("too long: 2,000 words")


def test_no_chain_and_small_batches_pass(choice_task: Task, frame: Frame) -> None:
    assert evidence(frame, choice_task, [*[50] * 99, None])[-1] is None
    assert evidence(frame, choice_task, [50, 1, 900]) == [None] * 3


def test_one_more_word_is_no_outlier_where_all_chains_are_equal(
    choice_task: Task, frame: Frame
) -> None:
    assert evidence(frame, choice_task, [*[5] * 99, 7]) == [None] * 100
