from __future__ import annotations

import re

import pytest

from limbeck.capture.sandbox import routes
from limbeck.capture.sandbox.routes import SANDBOX, RoutesKnobs, solve
from limbeck.capture.sandbox.wording import read
from limbeck.errors import ConfigError, DataError


def pieces(text: str) -> list[str]:
    return [p.strip() for p in re.findall(r"[^.,?]+(?=[.,?])", text)]


def test_the_whole_state_is_written_after_every_swap() -> None:
    item = solve(
        "ann has a lamp, bob has a ring, eve has a kite. ann and bob swap. bob waves to eve. "
        "eve trades with bob. what does eve have?"
    )
    assert item.steps == (
        "ann lamp, bob ring, eve kite.",
        "ann bob: ann ring, bob lamp, eve kite.",
        "eve bob: ann ring, bob kite, eve lamp.",
        "eve has lamp.",
    )
    assert item.truth == "lamp"


@pytest.mark.parametrize("shift", [None, *SANDBOX.shifts])
def test_every_state_follows_from_the_one_before(shift: str | None) -> None:
    for item in SANDBOX.generate(100, 3, shift=shift):
        start, *swaps, end = item.steps
        state = dict(pair.split() for pair in start.rstrip(".").split(", "))
        for step in swaps:
            pair, _, after = step.partition(": ")
            a, b = pair.split()
            state[a], state[b] = state[b], state[a]
            assert after == ", ".join(f"{who} {what}" for who, what in state.items()) + "."
        asked, _, thing = end.rstrip(".").split()
        assert item.truth == thing == state[asked]


def test_the_answer_is_not_to_be_had_from_the_start_or_the_last_swap_alone() -> None:
    items = SANDBOX.generate(1_000, 1)
    assert all(item.meta["depth"] >= 2 for item in items)
    unmoved = 0
    for item in items:
        asked = item.steps[-1].split()[0]
        unmoved += f"{asked} {item.truth}" in item.steps[0]
    # One in four is what guessing gives.
    assert unmoved / len(items) < 0.35


def test_the_knobs_are_kept() -> None:
    knobs = RoutesKnobs(people=6, min_swaps=3, max_swaps=7, depth=3)
    items = SANDBOX.generate(200, 1, knobs=knobs)
    assert {item.meta["steps"] for item in items} == {3, 4, 5, 6, 7}
    assert {item.meta["people"] for item in items} == {6}
    assert min(item.meta["depth"] for item in items) == 3


def test_held_out_wordings_and_people_stand_in_no_training_text() -> None:
    banks = (routes.HOLDS, routes.SWAP, routes.QUESTION)
    foreign = [w for bank in banks for w in bank if w.held_out] + list(routes.ASIDE)
    assert not {*routes.HELD_OUT_PEOPLE} & {*routes.PEOPLE}
    for item in SANDBOX.generate(300, 5):
        assert not {*routes.HELD_OUT_PEOPLE} & set(re.findall("[a-z]+", item.input))
        for piece in pieces(item.input):
            assert read(piece, foreign) is None, piece


def test_each_shift_shows_what_it_is_named_for() -> None:
    banks = (routes.HOLDS, routes.SWAP, routes.QUESTION)
    known = [w for bank in banks for w in bank if not w.held_out]
    for item in SANDBOX.generate(100, 1, shift="unseen-wording"):
        assert not any(read(piece, known) for piece in pieces(item.input))
    for item in SANDBOX.generate(100, 1, shift="unseen-entities"):
        assert not {*routes.PEOPLE} & set(re.findall("[a-z]+", item.input))
    assert {i.meta["steps"] for i in SANDBOX.generate(50, 1, shift="one-more-step")} == {5}
    for item in SANDBOX.generate(50, 1, shift="distractor"):
        assert any(read(piece, routes.ASIDE) for piece in pieces(item.input))
    for item in SANDBOX.generate(50, 1, shift="reordered"):
        assert item.input.startswith("what ")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ann has a lamp, bob has a ring. ann sings. what does ann have?", "'ann sings.'"),
        ("ann has a lamp, bob has a ring. ann and bob swap.", "got 0 questions"),
        ("ann has a lamp, bob has a ring. what does ann have?", "0 swaps"),
        ("ann has a lamp. ann and bob swap. what does ann have?", "['ann']"),
        ("ann has a pony, bob has a ring. ann and bob swap. what does bob have?", "'pony'"),
    ],
)
def test_an_unreadable_story_is_refused_with_the_place(text: str, says: str) -> None:
    with pytest.raises(DataError, match=re.escape(says)):
        solve(text)


@pytest.mark.parametrize("knobs", [{"people": 2}, {"people": 7}, {"min_swaps": 5}, {"depth": 9}])
def test_knobs_out_of_range_are_refused(knobs: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="wanted"):
        RoutesKnobs(**knobs)
