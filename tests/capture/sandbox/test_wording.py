from __future__ import annotations

import random

import pytest

from limbeck.capture.sandbox.wording import Wording, bank, pick, read

WORDING = Wording("w", "gain", "{name} (finds|gets) {n} more(| of them| {things})")


def test_what_is_said_is_read_back_with_its_slots() -> None:
    slots = {"name": "mia", "n": 12, "things": "eggs"}
    for seed in range(50):
        text = WORDING.say(random.Random(seed), slots)
        found = read(text, [WORDING])
        assert found is not None
        assert found[0] is WORDING
        assert found[1].items() >= {"name": "mia", "n": "12"}.items()


def test_every_alternative_is_said() -> None:
    slots = {"name": "mia", "n": 1, "things": "eggs"}
    said = {WORDING.say(random.Random(seed), slots) for seed in range(200)}
    assert len(said) == 6


@pytest.mark.parametrize(
    "text", ["mia finds twelve more", "Mia finds 12 more", "mia finds 12 more.", "mia gets 12"]
)
def test_anything_else_is_not_read(text: str) -> None:
    assert read(text, [WORDING]) is None


def test_marks_in_a_template_mean_themselves() -> None:
    wording = Wording("w", "odd", "what? {a}+{b}")
    assert read("what? x+y", [wording]) == (wording, {"a": "x", "b": "y"})
    assert read("wha x+y", [wording]) is None


def test_pick_keeps_to_one_side_of_what_is_held_out() -> None:
    wordings = bank("m", ["a", "b"], ["c"])
    assert [w.id for w in wordings] == ["m0", "m1", "m2"]
    rng = random.Random(0)
    assert {pick(rng, wordings).template for _ in range(30)} == {"a", "b"}
    assert {pick(rng, wordings, held_out=True).template for _ in range(30)} == {"c"}
