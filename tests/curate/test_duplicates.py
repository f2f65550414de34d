from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from limbeck.curate.duplicates import Clusters, DuplicateSettings, near_repeats, repeats, thin
from limbeck.curate.index import index
from limbeck.curate.near import sketch
from limbeck.types import Task

Frame = Callable[..., pl.DataFrame]


def kept(
    frame: Frame, *rows: dict[str, Any], split: str = "train", per_input: int = 1
) -> list[int]:
    made = frame(*({"split": split, **row} for row in rows), split=pl.String())
    chains = sketch(made["rationale"].str.to_lowercase(), 8, 0.85, True)
    made = index(made, 0).with_row_index("looked")
    found = repeats(made, DuplicateSettings(per_input=per_input), chains).to_list()
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
    found = repeats(index(made, 0), DuplicateSettings()).to_list()
    assert found == [None, None, "the same input is kept as sha256:0000…"]


ASKED = "the {} that i ordered from your shop last week came late, and the box was {} all over"
"""Two of these are near each other, and all of them have the same numbers: none."""


def near(
    frame: Frame, task: Task, *rows: dict[str, Any], **given: Any
) -> tuple[list[str | None], Clusters]:
    made = frame(*({"split": "train", "answer": "deny", **row} for row in rows), split=pl.String())
    settings = DuplicateSettings(**{"near": True, "similarity": 0.7, **given})
    keys = made["key"].unique(maintain_order=True)
    sketches = sketch(keys, settings.shingle, settings.similarity, settings.numbers)
    place = {key: at for at, key in enumerate(keys)}
    found, clusters = near_repeats(
        index(made, 0), task, settings, sketches, np.array([place[key] for key in made["key"]])
    )
    return found.to_list(), clusters


def test_near_duplicates_are_counted_and_kept_unless_they_are_to_go(
    frame: Frame, choice_task: Task
) -> None:
    rows = [{"input": ASKED.format(item, "wet")} for item in ("shirt", "skirt", "short")]
    found, clusters = near(frame, choice_task, *rows, {"input": "where is it?"}, near=False)
    assert found == [None] * 4
    assert clusters == Clusters(clusters=1, inputs=3, largest=3)


def test_the_best_of_near_duplicates_is_kept_and_named_with_the_similarity(
    frame: Frame, choice_task: Task
) -> None:
    rows: list[dict[str, Any]] = [
        {"input": ASKED.format("shirt", "wet"), "correct": None, "rationale": "short"},
        {"input": ASKED.format("skirt", "wet"), "correct": True, "rationale": "quite long"},
        {"input": ASKED.format("skirt", "wet"), "correct": True, "rationale": "even longer"},
    ]
    found, clusters = near(frame, choice_task, *rows)
    assert found[1:] == [None, None]
    assert found[0] == "its input is 86 % that of sha256:0001…, which is kept"
    assert clusters.inputs == 2


def test_near_inputs_with_different_answers_are_both_kept(
    frame: Frame, choice_task: Task, text_task: Task
) -> None:
    rows = [
        {"input": ASKED.format("shirt", "wet"), "answer": "refund"},
        {"input": ASKED.format("skirt", "wet"), "answer": "deny"},
    ]
    assert near(frame, choice_task, *rows)[0] == [None, None]
    # Free text is worded anew each time: another wording is no other answer.
    assert sum(said is not None for said in near(frame, text_task, *rows)[0]) == 1


def test_only_training_rows_are_near_duplicates(frame: Frame, choice_task: Task) -> None:
    rows = [{"input": ASKED.format(item, "wet"), "split": "test"} for item in ("shirt", "skirt")]
    found, clusters = near(frame, choice_task, *rows)
    assert (found, clusters) == ([None, None], Clusters())


def test_of_a_chain_of_texts_only_those_near_a_kept_one_go() -> None:
    words = [f"{a}{b}ment" for a in ("pay", "ship", "treat") for b in ("al", "er", "ic", "our")]
    steps = [" ".join([*words[:n], *(word[::-1] for word in words[n:])]) for n in range(12, 5, -1)]
    thinned = thin(sketch(pl.Series(steps), 5, 0.7, numbers=True))
    kept = np.flatnonzero(thinned.stand_in < 0).tolist()
    assert thinned.clusters == Clusters(clusters=1, inputs=7, largest=7)
    assert kept[0] == 0
    assert 2 <= len(kept) <= 4
    assert (thinned.similarity[thinned.stand_in >= 0] >= 0.7).all()
    assert set(thinned.stand_in[thinned.stand_in >= 0].tolist()) <= set(kept)


def test_thousands_that_fill_one_template_leave_the_best_one() -> None:
    long = "please tell me when the parcel with the {} comes, i have waited for a week and a day"
    names = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "bdfgklmnprst"]
    texts = pl.Series([long.format(name) for name in names])
    thinned = thin(sketch(texts, 8, 0.75, numbers=True))
    assert np.flatnonzero(thinned.stand_in < 0).tolist() == [0]
    assert thinned.clusters.largest == len(names)


def test_nearly_the_same_chain_of_one_input_is_no_second_chain(frame: Frame) -> None:
    chain = "The box is open and the days are over, so the rule says that nothing is paid back"
    rows = [{"rationale": text} for text in (chain, f"{chain}!", f"{chain} at all.", "It is late.")]
    assert kept(frame, *rows, per_input=4) == [0, 3]
    several = [{**row, "input": f"input {n}"} for n, row in enumerate(rows)]
    assert kept(frame, *several, per_input=4) == [0, 1, 2, 3]
