from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.capture.template import escape, match, parse, put

few = st.text("ab{}x \n", max_size=12)
pieces = st.lists(st.text("ab: ", min_size=1, max_size=3), min_size=2, max_size=5)


def test_places_are_found_and_other_braces_are_text() -> None:
    assert parse('{a}, {"k": {{b}}} {c_1}{') == (("", ', {"k": {b}} ', "{"), ("a", "c_1"))


@pytest.mark.parametrize(
    ("template", "text", "fields"),
    [
        ("{a}", " x ", {"a": "x"}),
        ("Q: {q}\nA: {a}", "Q: 1\nA: 2\nA: 3", {"q": "1", "a": "2\nA: 3"}),
        ("{q}?", "who? what?", {"q": "who? what"}),
        ("{a}-{a}", "x-x", {"a": "x"}),
        ("{a}-{a}", "x-y", None),
        ("{a}{b}", "xy", {"a": "", "b": "xy"}),
        ("ab{x}ba", "aba", None),
        ("same", "same\n", {}),
        ("same", "other", None),
        ("a {x} b", "a b", None),
    ],
)
def test_a_text_is_matched_whole(template: str, text: str, fields: dict[str, str] | None) -> None:
    assert match(template, text) == fields


@given(pieces, st.text("ab: ", max_size=30))
def test_matching_is_what_the_shortest_regular_expression_says(kept: list[str], text: str) -> None:
    # Ends that are white space do not count; here they are none.
    kept = [kept[0].strip(), *kept[1:-1], kept[-1].strip()]
    names = [f"n{at}" for at in range(len(kept) - 1)]
    template = "".join(f"{k}{{{n}}}" for k, n in zip(kept, names, strict=False)) + kept[-1]
    pattern = "(.*?)".join(map(re.escape, kept))
    found = re.fullmatch(pattern, text.strip(), re.DOTALL)
    expected = dict(zip(names, found.groups(), strict=True)) if found else None
    assert match(template, text) == expected


@given(few, few)
def test_an_escaped_text_is_itself(text: str, value: str) -> None:
    assert put(escape(text), {}) == text
    assert put(escape(text) + " {n_1} ", {"n_1": value}) == f"{text} {value} "


@given(st.text("ab", max_size=9), st.text("ab", max_size=9))
def test_what_was_put_together_is_matched_again(one: str, two: str) -> None:
    template = "First: {one}\nSecond: {two}\nGo on."
    fields = {"one": one, "two": two}
    assert match(template, put(template, fields)) == fields
