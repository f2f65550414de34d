from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from limbeck.evaluate.outcome.slices import slice_names, slices
from limbeck.types import Example


def examples(n: int) -> list[Example]:
    return [
        Example(
            trace_id=str(at),
            input="word " * (5 + at % 4),
            answer="a",
            truth="a",
            group=f"template{at % 2}",
        )
        for at in range(n)
    ]


def test_every_way_of_slicing_names_each_item() -> None:
    items = examples(80)
    chains = ["3 + 4 = 7" if at % 2 else "It is so." for at in range(80)]
    start = datetime(2026, 1, 1, tzinfo=UTC)
    times = {one.trace_id: start + timedelta(days=at) for at, one in enumerate(items)}
    names = slice_names(items, chains, times)
    assert set(names) == {"length", "template", "reasoning", "time"}
    assert set(names["reasoning"]) == {"sums", "words only"}
    assert names["time"][0] == "from 2026-01-01"
    assert len(set(names["time"])) == 4
    assert set(names["template"]) == {"template0", "template1"}


def test_what_is_all_the_same_is_no_slice() -> None:
    items = [one.model_copy(update={"group": None, "input": "same"}) for one in examples(40)]
    assert slice_names(items, [None] * 40) == {}


def test_a_slice_that_is_worse_is_told_from_luck() -> None:
    items = examples(200)
    names = slice_names(items, [None] * 200)
    bad = np.array([one.group != "template0" for one in items])
    found = slices({"template": names["template"]}, bad[None], np.ones((1, 200), dtype=np.bool_))
    assert {one.name: (one.accuracy, one.apart) for one in found} == {
        "template0": (0.0, True),
        "template1": (1.0, True),
    }
    worse = next(one for one in found if one.name == "template0")
    assert worse.control == 1.0
    assert worse.difference is not None
    assert worse.difference.high < 0


def test_slices_of_pure_luck_are_hardly_ever_called_different() -> None:
    random = np.random.default_rng(0)
    items = examples(200)
    names = slice_names(items, [None] * 200)
    alarms = sum(
        any(one.apart for one in slices(names, random.random((1, 200)) < 0.7, None))
        for _ in range(60)
    )
    # Holm keeps it to one in twenty; 60 tries give more than 8 with probability 0.002.
    assert alarms <= 8


def test_a_small_slice_is_not_shown() -> None:
    names = {"template": ["rare"] * 4 + ["usual"] * 40 + ["other"] * 40}
    found = slices(names, np.ones((1, 84), dtype=np.bool_), None)
    assert [one.name for one in found] == ["other", "usual"]
