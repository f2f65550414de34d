"""The chain is not language of this task: word salad, or characters without words.

Catches the words of a good chain in random order, words strewn in from elsewhere, and keyboard
noise. Lets pass names, numbers and rare words in otherwise usual sentences. Two measures, both
against a sample of the task itself (its inputs and chains), so that there is no fixed idea of good
prose:

- gain: how much likelier a bigram model without this chain finds its words in their order than the
  same words further apart, in nats a pair. Salad gains nothing, whatever its words are.
- rare pairs: the share of neighbouring words that hardly any other text of the task has. It tells
  more where chains are so uniform that order says little ("12 + 7 = 19"), and nothing where they
  are so varied that most pairs are rare anyway.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field

from limbeck.curate.chain import excerpt
from limbeck.curate.checks.verdict import CheckSettings, verdicts
from limbeck.curate.grams import Places, Words64, mix
from limbeck.curate.tokens import Tokens, text_codes, tokens, tokens_of
from limbeck.types import Task

_APART = (5, 11)
"""How far apart words are taken for comparison: far enough to be strangers, and no one period."""
_PRIOR = 2.0
"""Texts that a word is taken to have stood in before any was counted, followed by any word."""
_MOST_SLOTS = 1 << 22
_SLICE = 500
_OWNER = np.uint64(44)
_KEPT = np.uint64((1 << 44) - 1)
_FEW = 0.002
"""A pair that no more than this share of the other texts have is rare."""

Floats = npt.NDArray[np.float64]


class Settings(CheckSettings):
    spread: float = Field(5.0, gt=0)
    """How many robust standard deviations from the median make a chain unusual."""
    gain: float = Field(0.8, ge=0)
    """A gain below this (nats a pair) is nonsense in any task."""
    rare: float = Field(0.5, gt=0, le=1)
    """A share of rare pairs below this is nonsense in no task."""
    at_least: int = Field(50, ge=2)
    """With fewer chains than this nothing is known about the task's language; all pass."""
    shortest: int = Field(9, ge=4)
    """A chain of fewer words and marks than this has no statistics."""


@dataclass(frozen=True)
class Language:
    """In how many texts of a sample each word and each pair of words stands, by hashed slot.

    `known` are the codes of the sampled traces, whose own words must not vouch for them, and `asked`
    those of their inputs; `few` is
    how many other texts may have a rare pair. A chain below `gain_limit` or above `rare_limit` is
    nonsense; `usual` is the middle gain of the sample.
    """

    words: npt.NDArray[np.uint32]
    pairs: npt.NDArray[np.uint32]
    total: int
    asked: Words64
    known: Words64
    few: float
    usual: float = 0.0
    gain_limit: float = 0.0
    rare_limit: float = 1.0


def fit(sample: pl.DataFrame, task: Task, settings: Settings) -> Language | None:
    """The language of the task; None where too few chains are there to know it."""
    asked = sample.filter(pl.col("rationale").is_not_null()).select("input", "rationale")
    if asked.height < settings.at_least:
        return None
    # A trace that was recorded twice counts once, or nonsense would vouch for itself; a chain that
    # several inputs share is a template, and each of them counts.
    first = np.unique(_codes(asked), return_index=True)[1]
    asked = asked[np.sort(first)]
    # Piece by piece, which all stay in the processor's cache.
    said = [tokens(part) for part in _slices(asked["rationale"])]
    language = _count(asked, said)
    measured = [
        _measure(part, np.ones(part.counts.size, dtype=np.bool_), language, settings)
        for part in said
    ]
    gains, rares = (np.concatenate(values) for values in zip(*measured, strict=True))
    usual, spread = _middle(gains, floor=0.25)
    middle, rare_spread = _middle(rares, floor=0.02)
    return Language(
        words=language.words,
        pairs=language.pairs,
        total=language.total,
        asked=language.asked,
        known=language.known,
        few=language.few,
        usual=usual,
        # In the most uniform tasks a chain that gains half of what is usual is still no salad.
        gain_limit=max(settings.gain, min(usual / 2, usual - settings.spread * spread)),
        rare_limit=max(settings.rare, middle + settings.spread * rare_spread),
    )


def check(
    frame: pl.DataFrame, task: Task, settings: Settings, language: Language | None
) -> pl.DataFrame:
    """Traces whose chain the task's own language makes unlikely, in order or in pairs."""
    if language is None or frame.is_empty():
        return verdicts([None] * frame.height)
    chains = frame["rationale"]
    own = _known(frame, language)
    gains, rares = _measure(tokens_of(frame, "rationale"), own, language, settings)
    said: list[str | None] = [None] * frame.height
    for at in np.flatnonzero((gains < language.gain_limit) | (rares > language.rare_limit)):
        if gains[at] < language.gain_limit:
            said[at] = (
                f"its words stand in no order that this task knows ({gains[at]:.1f} nats a pair; "
                f"usual are {language.usual:.1f}, limit {language.gain_limit:.1f}): "
                f"{excerpt(chains[int(at)])!r}"
            )
        else:
            said[at] = (
                f"{rares[at]:.0%} of its word pairs hardly occur elsewhere in this task "
                f"(limit {language.rare_limit:.0%}): {excerpt(chains[int(at)])!r}"
            )
    return verdicts(said)


def _slices(texts: pl.Series) -> list[pl.Series]:
    return [texts[at : at + _SLICE] for at in range(0, texts.len(), _SLICE)]


def _count(asked: pl.DataFrame, chains: list[Tokens]) -> Language:
    texts = [*(tokens(part) for part in _slices(asked["input"].unique())), *chains]
    words = np.concatenate([_distinct(said.codes, said.owners) for said in texts])
    pairs = np.concatenate([_distinct(*_pairs(said)) for said in texts])
    slots = min(1 << max(int(4 * pairs.size).bit_length(), 10), _MOST_SLOTS)
    mask = np.int64(slots - 1)
    counted = np.bincount(words & mask, minlength=slots).astype(np.uint32)
    together = np.bincount(pairs & mask, minlength=slots).astype(np.uint32)
    return Language(
        words=counted,
        pairs=together,
        total=int(words.size),
        asked=np.unique(text_codes(asked["input"])),
        known=np.unique(_codes(asked)),
        few=max(1.0, _FEW * asked.height),
    )


def _codes(frame: pl.DataFrame) -> Words64:
    """The same code for traces that were asked and reasoned the same."""
    both: Words64 = mix(text_codes(frame["input"])) ^ text_codes(frame["rationale"])
    return both


def _known(frame: pl.DataFrame, language: Language) -> npt.NDArray[np.bool_]:
    """Which traces are of the sample, (N,)."""
    found = _among(text_codes(frame["input"]), language.asked)
    likely = np.flatnonzero(found)
    found[likely] = _among(_codes(frame.select("input", "rationale")[likely]), language.known)
    return found


def _among(codes: Words64, known: Words64) -> npt.NDArray[np.bool_]:
    """Whether each of `codes` is one of the `known`, which are in order, (N,)."""
    place = np.minimum(np.searchsorted(known, codes), known.size - 1)
    found: npt.NDArray[np.bool_] = known[place] == codes
    return found


def _pairs(said: Tokens) -> tuple[Words64, Places]:
    """The code of each pair of neighbours, and the text that it stands in."""
    inside = said.owners[1:] == said.owners[:-1]
    return _joined(said.codes[:-1], said.codes[1:])[inside], said.owners[1:][inside]


def _joined(first: Words64, second: Words64) -> Words64:
    return mix(first * np.uint64(3) ^ second)


def _distinct(codes: Words64, owners: Places) -> Places:
    """The slots of the codes of each text, each code once, out of more slots than are ever used."""
    # Of each code as many bits as its owner leaves, so that one array of numbers is put in order.
    tagged = (mix(codes) & _KEPT) | (owners.astype(np.uint64) << _OWNER)
    tagged.sort()
    fresh = np.ones(tagged.size, dtype=np.bool_)
    fresh[1:] = tagged[1:] != tagged[:-1]
    return (tagged[fresh] & _KEPT).astype(np.int64)


def _slots(codes: Words64, slots: int) -> Places:
    # The low bits of a word code are letters; mixed, all slots are as likely.
    return (mix(codes) & np.uint64(slots - 1)).astype(np.int64)


def _measure(
    said: Tokens, known: npt.NDArray[np.bool_], language: Language, settings: Settings
) -> tuple[Floats, Floats]:
    """The gain and the share of rare pairs of each chain, (N,); NaN for one that is too short."""
    own = np.repeat(known.astype(np.float64), said.counts)
    slots = language.words.size
    counts = language.words[_slots(said.codes, slots)].astype(np.float64)
    expected = _PRIOR * np.maximum(counts, 1.0) / max(language.total, 1)
    before = np.log(np.maximum(counts - own, 0) + _PRIOR)

    def together(second: Words64) -> Floats:
        pairs = _joined(said.codes[: second.size], second)
        return language.pairs[_slots(pairs, slots)].astype(np.float64)

    # Every token with the next; that of the last of a text, which has none, is not counted.
    ends = (said.starts + said.counts - 1)[said.counts > 0]
    others = np.maximum(together(said.codes[1:]) - own[1:], 0.0)
    near = np.zeros(said.codes.size)
    near[:-1] = np.log(others + expected[1:]) - before[:-1]
    rare = np.zeros(said.codes.size)
    rare[:-1] = others <= language.few - 1
    near[ends] = rare[ends] = 0.0
    number = np.maximum(said.counts - 1, 1)
    gains = said.sums(near) / number
    rares = said.sums(rare) / number
    for step in _APART:
        further = said.further(step)
        apart = np.log(together(said.codes[further]) + expected[further]) - before
        gains -= said.sums(apart) / np.maximum(said.counts, 1) / len(_APART)
    short = said.counts < settings.shortest
    gains[short] = rares[short] = np.nan
    return gains, rares


def _middle(values: Floats, floor: float) -> tuple[float, float]:
    """The median and the robust standard deviation, no less than `floor`."""
    known = values[~np.isnan(values)]
    if not known.size:
        return 0.0, floor
    middle = float(np.median(known))
    return middle, max(1.4826 * float(np.median(np.abs(known - middle))), floor)
