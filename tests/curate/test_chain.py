from __future__ import annotations

from limbeck.curate.chain import excerpt, numbers, sentences, words


def test_a_decimal_point_ends_no_sentence() -> None:
    assert sentences("It costs 3.50 now. So buy it!\nYes") == [
        "It costs 3.50 now.",
        "So buy it!",
        "Yes",
    ]


def test_words_are_folded_and_punctuation_is_none() -> None:
    assert words("It's 12 + 7, Ann.") == ["it's", "12", "7", "ann"]


def test_numbers_lose_their_signs_of_trade_but_not_of_less() -> None:
    assert numbers("$1,200 less −5 is -3.5, v2 not") == ["1200", "-5", "-3.5"]


def test_a_run_of_digits_without_end_is_no_number() -> None:
    assert numbers("9" * 5000 + " or 7") == ["7"]


def test_an_excerpt_is_one_line_of_that_length() -> None:
    assert excerpt("a\n b") == "a b"
    assert len(excerpt("word " * 100, 40)) <= 40
