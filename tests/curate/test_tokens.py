from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.curate.tokens import NUMBER, text_codes, tokens, word_codes

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
