from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from limbeck.capture.elicit.cutter import MOST_HELD, WHITE, cut
from limbeck.capture.elicit.tags import CLOSE, OPEN, TagCutter, divide, instruction

FRAGMENTS = st.lists(
    st.one_of(st.text(max_size=5), st.sampled_from([OPEN, CLOSE, "<", "<rationale", "</", " \n"]))
).map("".join)


def pieces(text: str, sizes: list[int]) -> list[str]:
    out, at = [], 0
    for size in sizes:
        out.append(text[at : at + size])
        at += size
    return [*out, text[at:]]


@settings(deadline=None)
@given(FRAGMENTS, FRAGMENTS, st.lists(st.integers(0, 4)))
def test_the_reply_is_what_stands_after_the_first_block(
    why: str, said: str, sizes: list[int]
) -> None:
    assume(CLOSE not in why)
    said = said.lstrip(WHITE)
    assume(not said.startswith(OPEN))
    cutter = TagCutter()
    whole = f"\n{OPEN}\n{why}\n{CLOSE}\n\n{said}"
    shown = "".join(map(cutter.feed, pieces(whole, sizes))) + cutter.close(cut_off=False)
    assert shown == said
    assert cutter.rationale == (why.strip() or None)


@settings(deadline=None)
@given(FRAGMENTS, st.lists(st.integers(0, 4)), st.booleans())
def test_pieces_make_no_difference(text: str, sizes: list[int], cut_off: bool) -> None:
    once, often = TagCutter(), TagCutter()
    shown = "".join(map(often.feed, pieces(text, sizes))) + often.close(cut_off=cut_off)
    assert shown == cut(once, text, cut_off=cut_off)
    assert (often.rationale, often.taken) == (once.rationale, once.taken)


@settings(deadline=None)
@given(FRAGMENTS)
def test_a_text_that_begins_otherwise_keeps_every_character(text: str) -> None:
    text = "." + text
    assert cut(TagCutter(), text, cut_off=True) == text


def test_what_is_certain_is_shown_at_once() -> None:
    cutter = TagCutter()
    assert cutter.feed(" <rat") == ""
    assert cutter.feed("e of ") == " <rate of "
    assert cutter.passing
    assert cutter.feed("</rationale>") == "</rationale>"


def test_two_blocks_at_the_beginning_are_one_rationale_and_a_later_one_is_text() -> None:
    cutter = TagCutter()
    text = f"{OPEN}a{CLOSE} {OPEN}b{CLOSE}\nAnswer {OPEN}c{CLOSE}"
    assert cut(cutter, text, cut_off=False) == f"Answer {OPEN}c{CLOSE}"
    assert cutter.rationale == "a\n\nb"


@pytest.mark.parametrize(
    ("cut_off", "shown", "why"), [(True, "", "be"), (False, "<rationale>be", None)]
)
def test_a_rationale_without_end_is_hidden_only_where_the_reply_was_cut_off(
    cut_off: bool, shown: str, why: str | None
) -> None:
    cutter = TagCutter()
    assert cutter.feed("<rationale>be") == ""
    assert cutter.unclosed
    assert cutter.close(cut_off=cut_off) == shown
    assert cutter.rationale == why
    assert not cutter.unclosed


def test_memory_is_bounded() -> None:
    cutter = TagCutter()
    text = OPEN + "x" * MOST_HELD
    assert cutter.feed(text) == ""
    assert cutter.feed("yz") == text + "yz"
    assert cutter.passing
    assert cutter.rationale is None
    spaces = TagCutter()
    assert spaces.feed(" " * 5000) == " " * 5000


def test_halves_of_a_character_become_one() -> None:
    cutter = TagCutter()
    cutter.feed(f"{OPEN}\ud83d")
    cutter.feed(f"\ude00{CLOSE}")
    assert cutter.rationale == "😀"


def test_a_text_divides_into_rationale_and_reply() -> None:
    assert divide(f"{OPEN}a{CLOSE}b") == ("a", "b", True)
    assert divide(f"{OPEN}a") == ("a", "", False)
    assert divide("b") == (None, "b", True)


def test_the_instruction_names_both_tags_and_the_wording() -> None:
    asked = instruction("Say why. ")
    assert OPEN in asked
    assert CLOSE in asked
    assert " Say why. Begin" in asked
