from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest

from limbeck.curate.near import sketch
from limbeck.curate.splits import assign, leaks, near_leaks
from limbeck.types import AnswerForm, SplitPlan, Task

Frame = Callable[..., pl.DataFrame]
PLAN = SplitPlan(train=6, validation=1, calibration=1, test=2)


def planned(task: Task) -> Task:
    return task.model_copy(update={"splits": PLAN})


def leaked(frame: Frame, *rows: dict[str, Any], plan: SplitPlan = PLAN) -> list[str | None]:
    made = frame(*rows, split=pl.String())
    task = Task(name="orders", answer=AnswerForm(kind="text"), splits=plan)
    found: list[str | None] = leaks(made, task).to_list()
    return found


def test_shares_are_about_those_of_the_plan(choice_task: Task, frame: Frame) -> None:
    made = frame(*({"input": f"case {n}"} for n in range(2000)))
    counts = dict(assign(made, planned(choice_task)).value_counts().iter_rows())
    assert 1100 < counts["train"] < 1300
    assert 330 < counts["test"] < 470
    assert 140 < counts["validation"] < 260
    assert 140 < counts["calibration"] < 260


def test_an_input_never_changes_sides_when_more_come_in(choice_task: Task, frame: Frame) -> None:
    few = [{"input": f"case {n}"} for n in range(50)]
    more = [{"input": f"other {n}"} for n in range(500)]
    before = assign(frame(*few), planned(choice_task)).to_list()
    after = assign(frame(*more, *few), planned(choice_task)).to_list()
    assert after[500:] == before


def test_a_group_stays_together_and_a_given_split_is_kept(choice_task: Task, frame: Frame) -> None:
    rows = [{"input": f"case {n}", "group": f"customer {n % 9}"} for n in range(90)]
    made = frame(*rows, {"input": "given", "fixed_split": "shifted"})
    made = made.with_columns(assign(made, planned(choice_task)))
    assert made["split"].to_list()[-1] == "shifted"
    sides = made.drop_nulls("group").group_by("group").agg(pl.col("split").n_unique())
    assert sides["split"].to_list() == [1] * 9
    assert made["split"].n_unique() > 2


def test_whole_groups_are_kept_for_the_shifted_test_and_the_others_are_split_by_input(
    choice_task: Task, frame: Frame
) -> None:
    plan = PLAN.model_copy(update={"by": "input", "shifted": 0.3})
    rows = [{"input": f"case {n}", "group": f"customer {n % 40}"} for n in range(800)]
    made = frame(*rows, {"input": "of nobody"})
    made = made.with_columns(assign(made, choice_task.model_copy(update={"splits": plan})))
    splits_of = {
        group: set(splits)
        for group, splits in made.drop_nulls("group").group_by("group").agg("split").iter_rows()
    }
    kept = [group for group, splits in splits_of.items() if splits == {"shifted"}]
    others = [splits for group, splits in splits_of.items() if group not in kept]
    assert 6 <= len(kept) <= 18
    assert all("shifted" not in splits and {"train", "test"} <= splits for splits in others)
    assert made["split"].to_list()[-1] != "shifted"


def test_groups_may_stand_on_both_sides_where_the_task_splits_by_input(
    frame: Frame,
) -> None:
    rows = [
        {"input": "a", "group": "ann", "split": "train"},
        {"input": "b", "group": "ann", "split": "test"},
        {"input": "b", "group": "ann", "split": "train"},
    ]
    assert leaked(frame, *rows)[0] == "its group 'ann' stands in test"
    plan = PLAN.model_copy(update={"by": "input"})
    assert leaked(frame, *rows, plan=plan) == [None, None, "the same input stands in test"]


def test_early_calls_only_train(choice_task: Task, frame: Frame) -> None:
    rows = [{"input": f"case {n}", "early": n < 50} for n in range(100)]
    given = {"input": "given", "early": True, "fixed_split": "test"}
    found = assign(frame(*rows, given), planned(choice_task)).to_list()
    assert set(found[:50]) == {"train"}
    assert set(found[50:100]) == {"train", "validation", "calibration", "test"}
    assert found[100] == "test"


def test_a_shifted_test_of_groups_wants_a_test_with_the_others() -> None:
    with pytest.raises(ValueError, match='wanted by = "input"'):
        SplitPlan(shifted=0.1)


def test_a_share_of_nothing_gets_nothing(choice_task: Task, frame: Frame) -> None:
    made = frame(*({"input": f"case {n}"} for n in range(200)))
    assert assign(made, choice_task).unique().to_list() == ["train"]


def test_test_wins_over_calibration_over_validation_over_train(frame: Frame) -> None:
    order = ("train", "validation", "calibration", "shifted", "test")
    for lower, higher in pairwise(order):
        rows = [{"input": "a", "split": lower}, {"input": "A ", "split": higher}]
        assert leaked(frame, *rows) == [f"the same input stands in {higher}", None]


def test_a_hashed_row_leaves_a_group_that_was_given_to_another_split(frame: Frame) -> None:
    given = {"input": "a", "group": "ann", "split": "test", "fixed_split": "test"}
    hashed = {"input": "b", "group": "ann", "split": "train"}
    pinned = {"input": "c", "group": "ann", "split": "train", "fixed_split": "train"}
    stranger = {"input": "d", "group": None, "split": "train"}
    found = leaked(frame, given, hashed, pinned, stranger)
    assert found == [None, "its group 'ann' stands in test", None, None]


def test_a_shifted_set_may_share_its_groups(frame: Frame) -> None:
    given = {"input": "a", "group": "ann", "split": "shifted", "fixed_split": "shifted"}
    assert leaked(frame, given, {"input": "b", "group": "ann", "split": "train"}) == [None, None]


SHIRT = "the shirt that i ordered from your shop last week came late, and the box was wet all over"
SKIRT = SHIRT.replace("shirt", "skirt")


def nearly(frame: Frame, *rows: dict[str, Any]) -> list[str | None]:
    made = frame(*rows, split=pl.String())
    keys = made["key"].unique(maintain_order=True)
    places = {key: at for at, key in enumerate(keys)}
    rows_of = np.array([places[key] for key in made["key"]], dtype=np.int64)
    found: list[str | None] = near_leaks(made, sketch(keys, 8, 0.8, True), rows_of).to_list()
    return found


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("train", "validation"),
        ("train", "shifted"),
        ("train", "test"),
        ("validation", "calibration"),
        ("calibration", "shifted"),
    ],
)
def test_a_near_duplicate_is_dropped_from_the_less_trusted_split(
    frame: Frame, lower: str, higher: str
) -> None:
    rows = [{"input": SHIRT, "split": lower}, {"input": SKIRT, "split": higher}]
    said = f"its input is 86 % that of sha256:0001…, which stands in {higher}"
    assert nearly(frame, *rows) == [said, None]
    assert nearly(frame, *rows[::-1]) == [None, said.replace("0001", "0000")]


def test_a_shifted_set_may_be_made_by_changing_a_word_of_the_test(frame: Frame) -> None:
    rows = [{"input": SHIRT, "split": "test"}, {"input": SKIRT, "split": "shifted"}]
    assert nearly(frame, *rows) == [None, None]


def test_near_rows_of_one_split_do_not_leak_nor_do_those_with_other_numbers(frame: Frame) -> None:
    same = [{"input": SHIRT, "split": "train"}, {"input": SKIRT, "split": "train"}]
    assert nearly(frame, *same) == [None, None]
    week = [
        {"input": SHIRT.replace("last week", "5 days ago"), "split": "train"},
        {"input": SHIRT.replace("last week", "6 days ago"), "split": "test"},
    ]
    assert nearly(frame, *week) == [None, None]


def test_every_row_of_a_near_input_leaks_and_the_most_alike_is_named(frame: Frame) -> None:
    rows = [
        {"input": SHIRT, "split": "train"},
        {"input": SHIRT.upper(), "split": "train"},
        {"input": SKIRT, "split": "validation"},
        {"input": SHIRT + "!", "split": "test"},
        {"input": "something else", "split": "train"},
    ]
    found = nearly(frame, *rows)
    assert found[0] == found[1] == "its input is 100 % that of sha256:0003…, which stands in test"
    assert found[2] == "its input is 86 % that of sha256:0003…, which stands in test"
    assert found[3:] == [None, None]
