"""The chain goes round in circles.

Catches a sentence written many times over, a phrase that repeats to the end of the text, and text
that compresses to next to nothing. Lets pass enumerations ("12 + 7 = 19", "19 + 7 = 26"), tables
and state written out after each step: their lines look alike, but each says something new.
"""

from __future__ import annotations

import zlib
from collections import Counter

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from limbeck.curate.chain import excerpt, sentences, words
from limbeck.curate.checks.verdict import CheckSettings, by_row, verdicts
from limbeck.curate.grams import Places, mix
from limbeck.curate.tokens import Tokens, tokens_of, word_codes
from limbeck.types import Task

_TAIL = 5_000
"""Characters at the end of a chain among which a repeated phrase is looked for."""
_LONG = 20_000
"""Bytes of a chain that is looked at in any case."""
_SLOTS = 1024
_FIRST = np.uint64(54)
"""What a code is shifted by, so that a slot is left."""
_OWNER = np.uint64(44)
_KEPT = np.uint64((1 << 44) - 1)
"""A text's number and as many bits of a sentence's code as it leaves are one number."""


class Settings(CheckSettings):
    repeats: int = Field(3, ge=2)
    """How often a sentence in a row, or a phrase at the end, makes a loop."""
    share: float = Field(0.5, gt=0, le=1)
    """Share of the sentences that repeat an earlier one which makes a loop."""
    compression: float = Field(6.0, gt=1)
    """Bytes of the chain for each compressed byte which make a loop (prose has 2 to 3)."""


def check(frame: pl.DataFrame, task: Task, settings: Settings) -> pl.DataFrame:
    """Traces whose chain repeats itself without saying anything new."""

    def find(rationale: str | None) -> str | None:
        return _find(rationale, settings) if rationale else None

    # The expression reads every text several times over; most texts repeat nothing at all.
    places = np.flatnonzero(_repeats(frame, settings))
    asked = by_row(frame.select("rationale")[places], ["rationale"], find, _suspicious(settings))
    said: list[str | None] = [None] * frame.height
    for place, evidence in zip(places.tolist(), asked["evidence"], strict=True):
        said[place] = evidence
    return verdicts(said)


def _repeats(frame: pl.DataFrame, settings: Settings) -> npt.NDArray[np.bool_]:
    """Which chains say a sentence again, end on two tokens that stood there before, or have few
    different tokens, (N,): all that may be suspicious, and some more."""
    said = tokens_of(frame, "rationale")
    if not said.codes.size:
        return np.zeros(frame.height, dtype=np.bool_)
    again = _sentences_said_again(said)
    there = said.counts > 0
    last = np.repeat(said.starts + said.counts - 1, said.counts)
    ends = (said.exact == said.exact[last]) & (said.exact[last - 1] == np.roll(said.exact, 1))
    back = said.sums(ends.astype(np.float64))
    seen = np.zeros((frame.height, _SLOTS), dtype=np.bool_)
    seen[said.owners, said.exact >> _FIRST] = True
    few = seen.sum(axis=1) * 3 < said.counts
    long = frame["rationale"].str.len_bytes().fill_null(0).to_numpy() > _LONG
    # A quotation mark that ends one sentence is taken for the beginning of the next.
    often = again >= max(settings.repeats - 2, 1)
    found: npt.NDArray[np.bool_] = there & (often | (back >= settings.repeats) | few | long)
    return found


def _sentences_said_again(said: Tokens) -> Places:
    """How many sentences of each text stood in it before, (N,)."""
    begins = np.zeros(said.codes.size, dtype=np.bool_)
    begins[said.lines] = True
    begins[said.starts[said.counts > 0]] = True
    begins[1:] |= np.isin(said.codes[:-1], word_codes([".", "!", "?"]))
    first = np.flatnonzero(begins)
    place = np.arange(said.codes.size) - np.repeat(first, np.diff(first, append=said.codes.size))
    codes = mix(np.add.reduceat(mix(said.exact ^ mix(place.astype(np.uint64))), first))
    tagged = (codes & _KEPT) | (said.owners[first].astype(np.uint64) << _OWNER)
    tagged.sort()
    repeated = tagged[1:][tagged[1:] == tagged[:-1]] >> _OWNER
    return np.bincount(repeated.astype(np.int64), minlength=said.counts.size)


def _suspicious(settings: Settings) -> pl.Expr:
    """Sentences that repeat, an end that stood there before, or few different words."""
    chain = pl.col("rationale").str.to_lowercase()
    lines = chain.str.replace_all(r"(?:[.!?][\"')\]]*\s|\n)\s*", "\n").str.split("\n")
    said = lines.list.len().cast(pl.Int64) - lines.list.n_unique().cast(pl.Int64)
    ending = chain.str.slice(-_TAIL).str.strip_chars_end()
    back = ending.str.count_matches(ending.str.extract(r"(\S+\s+\S+)$"), literal=True)
    words = chain.str.split(" ")
    few = (words.list.n_unique() * 3 < words.list.len()) | (chain.str.len_bytes() > _LONG)
    return (said >= settings.repeats - 1) | (back >= settings.repeats) | few


def _find(chain: str, settings: Settings) -> str | None:
    lines = [(line, " ".join(words(line))) for line in sentences(chain)]
    lines = [(line, key) for line, key in lines if key]
    keys = [key for _, key in lines]
    run = _longest_run(keys)
    if run >= settings.repeats:
        said = next(line for i, (line, key) in enumerate(lines) if keys[i : i + run] == [key] * run)
        return f"one sentence stands {run} times in a row: {excerpt(said)!r}"
    counts = Counter(keys)
    if counts:
        key, most = counts.most_common(1)[0]
        repeated = len(keys) - len(counts)
        if most > settings.repeats and repeated >= settings.share * len(keys):
            said = next(line for line, other in lines if other == key)
            return f"{repeated} of {len(keys)} sentences repeat; {most} times: {excerpt(said)!r}"
    tail = chain[-_TAIL:].casefold().split()
    phrase, times = _tail_period(tail, settings.repeats)
    if phrase:
        return f"the chain ends on a phrase {times} times: {excerpt(' '.join(phrase))!r}"
    return _compresses(chain, settings.compression)


def _longest_run(keys: list[str]) -> int:
    longest = run = 0
    before = None
    for key in keys:
        run = run + 1 if key == before else 1
        longest, before = max(longest, run), key
    return longest


def _tail_period(tail: list[str], repeats: int) -> tuple[list[str], int]:
    """The phrase of two or more words that the text ends on `repeats` times or more in a row."""
    # The last words may be the beginning of one more round that was cut, so the end may slide.
    for length in range(2, min(60, len(tail) // repeats) + 1):
        for cut in range(length):
            end = len(tail) - cut
            phrase = tail[end - length : end]
            if cut and tail[end:] != phrase[:cut]:
                continue
            times = 1
            while tail[end - (times + 1) * length : end - times * length] == phrase:
                times += 1
            # Two words said three times may be rhetoric, and one word six times; more is not.
            enough = (3 if len(set(phrase)) > 1 else 4) * repeats
            if times >= repeats and times * length >= enough:
                return phrase, times
    return [], 0


def _compresses(chain: str, limit: float) -> str | None:
    data = chain.encode("utf-8", "replace")
    if len(data) < 400:
        return None
    ratio = len(data) / len(zlib.compress(data, 6))
    if ratio < limit:
        return None
    return f"the chain compresses {ratio:.1f} to 1 (limit {limit:g}): {excerpt(chain)!r}"
