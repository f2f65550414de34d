from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.curate.measures import WORD
from limbeck.curate.tokens import NUMBER, count_words, text_codes, tokens, tokens_of, word_codes

TEXTS = st.lists(st.none() | st.text(max_size=30), min_size=1, max_size=6)


@given(texts=TEXTS)
@settings(max_examples=60, deadline=None)
def test_the_tokens_of_a_text_do_not_depend_on_its_neighbours(texts: list[str | None]) -> None:
    together = tokens(pl.Series(texts, dtype=pl.String))
    whole = text_codes(pl.Series(texts, dtype=pl.String))
    for place, text in enumerate(texts):
        alone = tokens(pl.Series([text], dtype=pl.String))
        start = together.starts[place]
        assert (
            together.codes[start : start + together.counts[place]].tolist() == alone.codes.tolist()
        )
        assert whole[place] == text_codes(pl.Series([text], dtype=pl.String))[0]


def test_case_does_not_count_numbers_are_one_token_and_marks_stand_alone() -> None:
    said = tokens(pl.Series(["Late? 12 days", "late? 7 DAYS", None]))
    assert said.counts.tolist() == [4, 4, 0]
    assert said.codes[:4].tolist() == said.codes[4:].tolist()
    assert said.codes[2] == NUMBER


def test_long_words_that_begin_alike_are_different() -> None:
    assert (
        len(set(word_codes(["internationally", "internationality", "internationale"]).tolist()))
        == 3
    )


WORDY = st.lists(st.none() | st.text(alphabet="ab1_ '’.-é½\n", max_size=20), min_size=1, max_size=5)


@given(texts=WORDY)
@settings(max_examples=60, deadline=None)
def test_words_are_counted_as_the_patterns_count_them(texts: list[str | None]) -> None:
    frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    for pattern, joined in ((r"[\p{L}\p{N}_]+", False), (WORD, True)):
        counted = count_words(frame, "text", pattern, joined=joined)
        assert counted.to_list() == frame["text"].str.count_matches(pattern).to_list()


def test_the_tokens_of_one_frame_are_found_once() -> None:
    frame = pl.DataFrame({"text": ["a b"], "other": ["c"]})
    assert tokens_of(frame, "text") is tokens_of(frame, "text")
    assert tokens_of(frame, "other").counts.tolist() == [1]
    assert tokens_of(frame.clone(), "text").counts.tolist() == [2]


def test_further_tokens_begin_anew_at_the_end_of_their_text() -> None:
    said = tokens(pl.Series(["a b c", None, "d", "e f"]))
    assert said.further(1).tolist() == [1, 2, 0, 3, 5, 4]
    assert said.further(5).tolist() == [2, 0, 1, 3, 5, 4]


def test_lines_and_numbers_are_told_apart_where_they_are_asked_for() -> None:
    said = tokens(pl.Series(["a 1\n\nb 2"]))
    assert said.lines.tolist() == [2, 2]
    assert said.codes[1] == said.codes[3]
    assert said.exact[1] != said.exact[3]
