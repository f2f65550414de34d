from __future__ import annotations

import random
import re
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.curate.grams import clean
from limbeck.curate.near import jaccard, joined, pairs_among, pairs_between, sketch
from limbeck.curate.texts import Held

WORDS = [f"{a}{b}{c}" for a in "bdfgklm" for b in ("an", "ero", "ilu", "o") for c in "prst"]


def prose(rng: random.Random, words: int = 40) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(words))


def edited(rng: random.Random, text: str, times: int = 1) -> str:
    words = text.split()
    for place in rng.sample(range(len(words)), times):
        words[place] = rng.choice(WORDS)
    return " ".join(words)


@cache
def pieces_of(text: str, width: int) -> frozenset[bytes]:
    data = text.encode()
    return frozenset(data[i : i + width] for i in range(max(len(data) - width + 1, 1)))


def plainly(one: str, other: str, width: int) -> float:
    """The same similarity, written down as its definition."""
    first, second = pieces_of(one, width), pieces_of(other, width)
    both = len(first & second)
    return both / (len(first) + len(second) - both)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """150 families of four: a text, and the same with one, three and eight words changed."""
    rng = random.Random(3)
    found = []
    for _ in range(150):
        text = prose(rng)
        found += [text, *(edited(rng, text, times) for times in (1, 3, 8))]
    rng.shuffle(found)
    return found


@pytest.mark.parametrize("similarity", [0.7, 0.8, 0.9])
def test_the_pairs_found_are_those_that_comparing_all_with_all_finds(
    texts: list[str], similarity: float
) -> None:
    found = pairs_among(sketch(pl.Series(texts), 8, similarity, numbers=True))
    got = set(zip(found.left.tolist(), found.right.tolist(), strict=True))
    every = combinations(range(len(texts)), 2)
    wanted = {(a, b) for a, b in every if plainly(texts[a], texts[b], 8) >= similarity}
    assert len(wanted) > 40
    assert got <= wanted
    assert len(got) >= 0.98 * len(wanted)


def test_the_similarity_is_the_exact_one(texts: list[str]) -> None:
    several = [*texts[:60], "", "a", "über alles", "日本語のテキスト", "日本語のテキスド"]
    pairs = np.array(list(combinations(range(len(several)), 2)))
    for width in (3, 5, 8):
        got = jaccard(Held(pl.Series(several)), pairs[:, 0], pairs[:, 1], width)
        wanted = [plainly(several[a], several[b], width) for a, b in pairs]
        assert got.tolist() == pytest.approx(wanted, abs=1e-12)


def test_case_apart_only_letters_and_digits_count() -> None:
    same = pl.Series(["my card, it has not come yet!", "my card -- it has not come yet", "no card"])
    found = pairs_among(sketch(same, 8, 1.0, numbers=True))
    assert (found.left.tolist(), found.right.tolist()) == ([0], [1])


def test_texts_that_differ_in_a_number_are_different_unless_numbers_are_noise() -> None:
    said = "ticket {}: the parcel came late and the box was wet, so I want my money back please"
    tickets = pl.Series([said.format(number) for number in (1071, 1072, 1073)])
    assert pairs_among(sketch(tickets, 8, 0.8, numbers=True)).left.size == 0
    assert pairs_among(sketch(tickets, 8, 0.8, numbers=False)).left.size == 3


def test_texts_set_apart_are_never_near(texts: list[str]) -> None:
    twice = sketch(pl.Series([texts[0]] * 4), 8, 0.85, numbers=True)
    found = pairs_among(twice.apart(pl.Series(["x", "y", "x", None])))
    assert (found.left.tolist(), found.right.tolist()) == ([0], [2])


def test_between_two_sides_each_near_text_is_found_and_no_pair_of_one_side(
    texts: list[str],
) -> None:
    trusted = np.arange(len(texts)) % 3 == 0
    found = pairs_between(sketch(pl.Series(texts), 8, 0.8, True), trusted, ~trusted)
    assert trusted[found.left].all()
    assert not trusted[found.right].any()
    wanted = {
        b
        for a in np.flatnonzero(trusted).tolist()
        for b in np.flatnonzero(~trusted).tolist()
        if plainly(texts[a], texts[b], 8) >= 0.8
    }
    assert set(found.right.tolist()) <= wanted
    assert len(set(found.right.tolist())) >= 0.98 * len(wanted) > 30


@pytest.mark.parametrize("kind", ["one template", "families", "nothing alike"])
def test_twice_the_texts_take_about_twice_the_comparisons(kind: str) -> None:
    rng = random.Random(5)
    base = prose(rng)

    def make(count: int) -> list[str]:
        if kind == "one template":
            return [edited(rng, base, 2) for _ in range(count)]
        families = [prose(rng) for _ in range(count // 4)]
        if kind == "families":
            return [edited(rng, text) for text in families for _ in range(4)]
        return [prose(rng) for _ in range(count)]

    counted = []
    for count in (1000, 2000, 4000):
        found = pairs_among(sketch(pl.Series(make(count)), 8, 0.85, True))
        counted.append(found.compared)
        assert found.left.size <= 6 * count
    assert counted[1] <= 2.3 * counted[0] + 100
    assert counted[2] <= 2.3 * counted[1] + 100
    assert counted[2] <= 16 * 4 * 4000


@pytest.mark.parametrize(
    "texts", [[], [""], ["", "", ""], ["a"], ["\x00", "\n", "🙂"], ["x" * 100_000] * 2]
)
def test_odd_texts_are_sketched_and_compared(texts: list[str]) -> None:
    made = sketch(pl.Series(texts, dtype=pl.String), 8, 0.85, True)
    found = pairs_among(made)
    assert len(made) == len(texts)
    assert (found.similarity >= 0.85).all()
    nobody = np.zeros(len(texts), dtype=bool)
    assert pairs_between(made, nobody, ~nobody).left.size == 0


def test_a_sketch_does_not_depend_on_what_is_sketched_beside_it(texts: list[str]) -> None:
    alone = sketch(pl.Series(texts[7:8]), 8, 0.85, True)
    among = sketch(pl.Series(texts), 8, 0.85, True)
    here, there = np.array([0]), np.array([7])
    assert alone.bands == among.bands
    assert all(alone.band(band)[0] == among.band(band)[7] for band in range(alone.bands))
    assert (alone.marks(here) == among.marks(there)).all()
    assert not re.search(r"\d", texts[7])


def test_sketches_are_the_same_on_every_machine_and_with_every_version() -> None:
    made = sketch(pl.Series(["the parcel came late and the box was wet"]), 8, 0.85, True)
    assert (len(made), made.bands) == (1, 16)
    assert hex(int(made.band(0)[0])) == "0x2c8b2c9fb9f583f7"


@given(texts=st.lists(st.none() | st.text(alphabet="aB1 _.\n\0é½", max_size=12), max_size=6))
@settings(max_examples=60, deadline=None)
def test_texts_are_cleaned_as_the_pattern_cleans_them(texts: list[str | None]) -> None:
    given = pl.Series(texts, dtype=pl.String)
    plain = given.fill_null("").str.replace_all(r"[^\p{L}\p{N}\p{M}]+", " ").str.strip_chars(" ")
    assert clean(given).to_list() == plain.to_list()


def test_sketches_in_files_are_those_in_memory(texts: list[str], tmp_path: Path) -> None:
    parts = [sketch(pl.Series(some), 8, 0.85, True) for some in (texts[:200], [], texts[200:])]
    held = joined(parts)
    filed = joined([part.filed(tmp_path / f"part-{at}") for at, part in enumerate(parts)])
    order = np.random.default_rng(2).permutation(len(texts))
    sides = pl.Series([at % 3 for at in range(len(texts))])
    one, other = (found.pick(order).apart(sides) for found in (held, filed))
    wanted, got = pairs_among(one), pairs_among(other)
    assert wanted.left.size > 20
    assert got.left.tolist() == wanted.left.tolist()
    assert got.right.tolist() == wanted.right.tolist()
    assert got.similarity.tolist() == wanted.similarity.tolist()
    assert (one.marks(order[:50]) == other.marks(order[:50])).all()
