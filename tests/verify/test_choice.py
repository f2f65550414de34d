from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.types import AnswerForm
from limbeck.verify.choice import judge, normalize, starting_choice

FORM = AnswerForm(kind="choice")
NLI = ("entailment", "neutral", "contradiction")
PLACES = ("hotel", "train station", "beach", "bridge", "living room")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Neutral.", "neutral"),
        ("**contradiction**", "contradiction"),
        ('"entailment"', "entailment"),
        ("  an entailment ", "entailment"),
        ("(b)", "neutral"),
        ("c)", "contradiction"),
        ("B.", "neutral"),
        ("a", "entailment"),
        ("Option B", "neutral"),
        ("(b) neutral", "neutral"),
        ("contradictions", "contradiction"),
        ("neutral, because nothing is said about it", "neutral"),
        ("neutral (nothing is said)", "neutral"),
    ],
)
def test_harmless_variants_are_repaired(text: str, wanted: str) -> None:
    assert normalize(FORM, text, NLI) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "perhaps",
        "not neutral",
        "either neutral or entailment",
        "neutral or contradiction",
        "neutral, but entailment is possible",
        "(a) neutral",  # the letter says entailment
        "(d)",
        "(z) neutral",
        "neutrality is bliss",
        "entailment neutral",
    ],
)
def test_what_may_mean_two_things_or_none_is_not_an_answer(text: str) -> None:
    assert normalize(FORM, text, NLI) is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("(e) livingroom", "living room"),  # letter and a near spelling agree
        ("livingroom", None),
        ("(b) station", None),
        ("train stations", "train station"),
        ("hotel room", None),
        ("the beaches", "beach"),
        ("(a) hotel or (c) beach", None),
        ("(a) hotel and (c) beach.", None),
    ],
)
def test_words_are_never_stretched(text: str, wanted: str | None) -> None:
    assert normalize(FORM, text, PLACES) == wanted


def test_an_inflection_that_two_choices_share_is_no_answer() -> None:
    assert normalize(FORM, "visits", ("visit", "visiting")) is None
    assert normalize(FORM, "visit", ("visit", "visits")) == "visit"


def test_a_choice_that_is_listed_twice_is_still_one() -> None:
    assert normalize(FORM, "(e) bridge", ("hotel", "beach", "park", "bridge", "bridge")) == "bridge"


def test_choices_that_are_letters_are_taken_by_their_words() -> None:
    assert normalize(FORM, "(a)", ("c", "b", "a")) == "a"


def test_choices_that_differ_only_in_case_must_be_met_exactly() -> None:
    assert normalize(FORM, "it", ("IT", "it")) == "it"
    assert normalize(FORM, "It", ("IT", "it")) is None


def test_the_spelling_of_the_list_is_returned() -> None:
    assert normalize(FORM, "at the aquarium", ("zoo", "at the aquarium.")) == "at the aquarium."


def test_without_choices_the_trimmed_text_is_the_answer() -> None:
    assert normalize(FORM, ' "blue". ') == "blue"
    assert normalize(FORM, ' "" ') is None


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1, unique=True), st.data())
def test_every_choice_means_itself(choices: list[str], data: st.DataObject) -> None:
    choice = data.draw(st.sampled_from(choices))
    assert normalize(FORM, choice, tuple(choices)) == choice


@given(st.text(), st.lists(st.text(), max_size=5))
def test_the_answer_is_always_one_of_the_choices(text: str, choices: list[str]) -> None:
    if choices:
        assert normalize(FORM, text, tuple(choices)) in (None, *choices)


def test_the_reason_says_what_was_got_and_what_is_right() -> None:
    right = judge(FORM, "(b)", "neutral", NLI)
    assert (right.score, right.reason) == (1.0, "'neutral' is right")
    wrong = judge(FORM, "Neutral", "entailment", NLI)
    assert (wrong.score, wrong.reason) == (0.0, "'neutral'; right is 'entailment'")
    assert "'maybe' is not one of ['entailment'" in judge(FORM, "maybe", "neutral", NLI).reason


def test_the_choices_of_the_form_stand_in() -> None:
    form = AnswerForm(kind="choice", choices=NLI)
    assert normalize(form, "(c)") == "contradiction"
    assert judge(form, "(c)", "contradiction").score == 1.0


def test_the_longest_choice_that_a_text_starts_with_counts() -> None:
    assert starting_choice("U.S. Army. Then", ("U.S.", "U.S. army")) == len("U.S. Army")
    assert starting_choice("hotels", ("hotel",)) == 0
