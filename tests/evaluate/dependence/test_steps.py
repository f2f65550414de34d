from __future__ import annotations

import random

from limbeck.evaluate.dependence.steps import (
    another,
    corrupted,
    filler,
    first_steps,
    form_words,
    half_random,
    steps_of,
    up_to_corrupted,
)

CHAIN = "3 + 4 = 7\n7 + 8 = 5\n5 + 1 = 6\n6 + 4 = 0"


def test_a_chain_is_cut_at_its_steps() -> None:
    assert steps_of(CHAIN) == 4
    assert first_steps(CHAIN, 0.0) == ""
    assert first_steps(CHAIN, 0.5).strip() == "3 + 4 = 7\n7 + 8 = 5"
    assert first_steps(CHAIN, 1.0) == CHAIN
    assert first_steps("First this. Then that.", 0.5).strip() == "First this."


def test_the_mistake_is_in_what_the_step_found() -> None:
    wrong = corrupted("7 + 8 = 5", [], frozenset(), random.Random(0))
    assert wrong is not None
    assert wrong.startswith("7 + 8 = ")
    assert wrong != "7 + 8 = 5"
    assert len(wrong) == len("7 + 8 = 5")


def test_a_step_without_numbers_has_two_of_its_words_exchanged() -> None:
    form = form_words(["ann has a lamp, bob has a ring"] * 10)
    assert corrupted("ann has a lamp", [], form, random.Random(0)) is None
    swapped = corrupted("ann has lamp", [], frozenset({"has"}), random.Random(0))
    assert swapped == "lamp has ann"


def test_a_step_in_which_nothing_can_be_wrong_becomes_another_items() -> None:
    assert corrupted("yes", ["yes", "no"], frozenset(), random.Random(0)) == "no"
    assert corrupted("yes", ["yes"], frozenset(), random.Random(0)) is None


def test_what_stands_before_the_mistake_is_untouched_and_nothing_follows_it() -> None:
    begun = up_to_corrupted(CHAIN, 0.5, [], frozenset(), random.Random(1))
    assert begun is not None
    lines = begun.rstrip("\n").split("\n")
    assert lines[:2] == CHAIN.split("\n")[:2]
    assert len(lines) == 3
    assert lines[2].startswith("5 + 1 = ")
    assert lines[2] != "5 + 1 = 6"


def test_filler_has_as_many_words_and_says_nothing() -> None:
    assert filler("a b c") == "... ... ..."


def test_half_of_the_words_are_foreign() -> None:
    text = "x " * 400
    mixed = half_random(text, ["y"], random.Random(0)).split()
    assert len(mixed) == 400
    assert 160 < mixed.count("y") < 240


def test_another_item_has_another_answer() -> None:
    assert another(0, ["a", "a", None, "b"], random.Random(0)) == 3
    assert another(0, ["a", "a", None], random.Random(0)) is None
