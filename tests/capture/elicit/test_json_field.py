from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from limbeck.capture.elicit.cutter import MOST_HELD, cut
from limbeck.capture.elicit.json_field import FieldCutter

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("rationale"), inner),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=4).map(
    lambda made: {key: value for key, value in made.items() if key != "rationale"}
)


def written(value: Any, style: int) -> str:
    indent = 2 if style == 2 else None
    separators = (",", ":") if style == 1 else None
    return json.dumps(value, indent=indent, separators=separators, ensure_ascii=style == 0)


def in_pieces(cutter: FieldCutter, text: str, sizes: list[int]) -> str:
    shown, at = "", 0
    for size in sizes:
        shown += cutter.feed(text[at : at + size])
        at += size
    return shown + cutter.feed(text[at:]) + cutter.close(cut_off=False)


@settings(deadline=None)
@given(OBJECTS, st.text(), st.integers(0, 2), st.integers(0, 4), st.lists(st.integers(0, 5)))
def test_the_object_is_written_as_if_the_property_had_never_been(
    rest: dict[str, Any], why: str, style: int, place: int, sizes: list[int]
) -> None:
    assume(rest)
    items = list(rest.items())
    items.insert(place, ("rationale", why))
    cutter = FieldCutter("rationale")
    assert in_pieces(cutter, written(dict(items), style), sizes) == written(rest, style)
    assert cutter.rationale == (why.strip() or None)


@settings(deadline=None)
@given(OBJECTS, st.integers(0, 2), st.lists(st.integers(0, 5)))
def test_an_object_without_the_property_keeps_every_character(
    rest: dict[str, Any], style: int, sizes: list[int]
) -> None:
    text = written(rest, style)
    cutter = FieldCutter("rationale")
    assert in_pieces(cutter, text, sizes) == text
    assert (cutter.rationale, cutter.taken) == (None, 0)


@settings(deadline=None)
@given(st.text(alphabet='{}[]",:\\ rationle"x1\n', max_size=40), st.lists(st.integers(0, 5)))
def test_what_is_no_json_raises_nothing_and_pieces_make_no_difference(
    text: str, sizes: list[int]
) -> None:
    once, often = FieldCutter("rationale"), FieldCutter("rationale")
    assert in_pieces(often, text, sizes) == cut(once, text, cut_off=False)
    if once.rationale is None and not once.taken:
        assert cut(FieldCutter("rationale"), text, cut_off=True) == text


@pytest.mark.parametrize(
    ("text", "shown", "why"),
    [
        ('{"rationale":"a","x":1}', '{"x":1}', "a"),
        ('{ "rationale" : "a" , "x" : 1 }', '{ "x" : 1 }', "a"),
        ('{"x":1,"rationale":"a"}', '{"x":1}', "a"),
        ('{"x":1, "rationale":"a", "y":2}', '{"x":1, "y":2}', "a"),
        ('{\n  "rationale": "a"\n}', "{\n}", "a"),
        ('{"x":{"rationale":"deep"},"rationale":"a"}', '{"x":{"rationale":"deep"}}', "a"),
        ('{"rationale":"a","x":{"rationale":"deep"}}', '{"x":{"rationale":"deep"}}', "a"),
        ('{"r\\u0061tionale":"a","x":1}', '{"x":1}', "a"),
        ('{"rationale":"say \\"no\\" \\\\","x":"}"}', '{"x":"}"}', 'say "no" \\'),
        ('{"rationale":["one","two"],"x":1}', '{"x":1}', "one\ntwo"),
        ('{"rationale":{"step":1},"x":1}', '{"x":1}', '{"step": 1}'),
        ('{"rationale":null,"x":1}', '{"x":1}', None),
        ('{"rationale":wrong,"x":1}', '{"rationale":wrong,"x":1}', None),
        ('[{"rationale":"a"}]', '[{"rationale":"a"}]', None),
        ('Here: {"rationale":"a"}', 'Here: {"rationale":"a"}', None),
        ("{}", "{}", None),
        ("", "", None),
        ('{"rationale":"a","x":1}\n{"rationale":"b"}', '{"x":1}\n{"rationale":"b"}', "a"),
    ],
)
def test_only_the_outermost_property_goes(text: str, shown: str, why: str | None) -> None:
    cutter = FieldCutter("rationale")
    assert cut(cutter, text, cut_off=False) == shown
    assert cutter.rationale == why


@pytest.mark.parametrize(
    ("text", "shown", "why"),
    [
        ('{"rationale":"because of th', "{", "because of th"),
        ('{"rationale":"tab\\', "{", "tab"),
        ('{"rationale":"\\ud83d\\ude0', "{", "�"),
        ('{"x":1,"rationale":"so', '{"x":1', "so"),
        ('{"rationale":"a","x":"ha', '{"x":"ha', "a"),
        ('{"ration', '{"ration', None),
        ('{"rationale":', "{", None),
    ],
)
def test_an_object_that_was_cut_off_shows_none_of_the_rationale(
    text: str, shown: str, why: str | None
) -> None:
    for sizes in ([], [1] * len(text)):
        cutter = FieldCutter("rationale")
        assert in_pieces(cutter, text, sizes) == shown
        assert cutter.rationale == why


def test_the_first_visible_character_is_shown_as_soon_as_it_is_certain() -> None:
    cutter = FieldCutter("rationale")
    assert cutter.feed('{"rationale":"why","') == "{"
    assert cutter.feed('label"') == '"label"'
    assert cutter.passing


def test_memory_is_bounded() -> None:
    cutter = FieldCutter("rationale")
    text = '{"rationale":"' + "x" * MOST_HELD
    shown = cutter.feed(text)
    rest = '","label":1}'
    assert shown + cutter.feed(rest) + cutter.close(cut_off=False) == text + rest
    assert cutter.rationale is None
