"""The chain is not language of this task: word salad, or characters without words.

Catches the words of a good chain in random order, words strewn in from elsewhere, and keyboard
noise. Lets pass names, numbers and rare words in otherwise usual sentences. Two measures, both
against the batch itself (its inputs and chains), so that there is no fixed idea of good prose:

- gain: how much likelier a bigram model without this chain finds its words in their order than the
  same words further apart, in nats a pair. Salad gains nothing, whatever its words are.
- rare pairs: the share of neighbouring words that hardly any other text of the task has. It tells
  more where chains are so uniform that order says little ("12 + 7 = 19"), and nothing where they
  are so varied that most pairs are rare anyway.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log

import polars as pl
from pydantic import Field

from limbeck.curate.chain import excerpt
from limbeck.curate.checks.verdict import CheckSettings, verdicts
from limbeck.types import Task

_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’_][^\W\d_]+)*|[^\w\s]")
_APART = (5, 7, 11, 13)
"""How far apart words are taken for comparison: far enough to be strangers, and no one period."""
_PRIOR = 2.0
"""Pairs that a word is taken to have had before any was counted, drawn from all words."""
_LONGEST = 5000
"""Words and marks of a chain that are looked at; more tell nothing new."""


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


def check(frame: pl.DataFrame, task: Task, settings: Settings) -> pl.DataFrame:
    """Traces whose chain the task's own language makes unlikely, in order or in pairs."""
    texts = frame["rationale"].to_list()
    chains = [_tokens(text) if text else () for text in texts]
    if sum(1 for chain in chains if chain) < settings.at_least:
        return verdicts(None for _ in chains)
    language = _fit([_tokens(text) for text in frame["input"].to_list()], chains)
    judged = [chain if len(chain) >= settings.shortest else None for chain in chains]
    gains = [language.gain(chain) if chain else None for chain in judged]
    rares = [language.rare_share(chain) if chain else None for chain in judged]
    usual, spread = _middle(gains, floor=0.25)
    # In the most uniform tasks a chain that gains half of what is usual is still no salad.
    gain_limit = max(settings.gain, min(usual / 2, usual - settings.spread * spread))
    middle, spread = _middle(rares, floor=0.02)
    rare_limit = max(settings.rare, middle + settings.spread * spread)

    def find(gain: float | None, rare: float | None, text: str) -> str | None:
        if gain is None or rare is None:
            return None
        if gain < gain_limit:
            return (
                f"its words stand in no order that this task knows ({gain:.1f} nats a pair; "
                f"usual are {usual:.1f}, limit {gain_limit:.1f}): {excerpt(text)!r}"
            )
        if rare > rare_limit:
            return (
                f"{rare:.0%} of its word pairs hardly occur elsewhere in this task "
                f"(limit {rare_limit:.0%}): {excerpt(text)!r}"
            )
        return None

    found = zip(gains, rares, texts, strict=True)
    return verdicts(find(gain, rare, text or "") for gain, rare, text in found)


Tokens = tuple[str, ...]


@dataclass(frozen=True)
class _Language:
    """Counts over the texts of a task: words, words with a follower, pairs, texts of a pair."""

    words: Counter[str]
    leads: Counter[str]
    pairs: Counter[tuple[str, str]]
    texts: Counter[tuple[str, str]]
    total: int
    few: float

    def gain(self, chain: Tokens) -> float:
        """Nats a pair by which the order of `chain` is likelier than its words further apart."""
        own_pairs, own_leads = Counter(pairwise(chain)), Counter(chain[:-1])

        def log_likelihood(first: str, second: str) -> float:
            prior = _PRIOR * self.words[second] / self.total
            pair = self.pairs[first, second] - own_pairs[first, second]
            return log((pair + prior) / (self.leads[first] - own_leads[first] + _PRIOR))

        near = sum(log_likelihood(*pair) for pair in pairwise(chain)) / (len(chain) - 1)
        steps = [step % len(chain) or 2 for step in _APART]
        apart = [
            log_likelihood(word, chain[(place + step) % len(chain)])
            for step in steps
            for place, word in enumerate(chain)
        ]
        return near - sum(apart) / len(apart)

    def rare_share(self, chain: Tokens) -> float:
        """The share of its different pairs that at most a few texts have, itself included."""
        pairs = set(pairwise(chain))
        return sum(1 for pair in pairs if self.texts[pair] <= self.few) / len(pairs)


def _fit(inputs: Sequence[Tokens], chains: Sequence[Tokens]) -> _Language:
    # A trace that was recorded twice counts once, or nonsense would vouch for itself; a chain that
    # several inputs share is a template, and each of them counts.
    asked = dict.fromkeys(zip(inputs, chains, strict=True))
    texts = [*dict.fromkeys(inputs), *(chain for _, chain in asked)]
    words: Counter[str] = Counter()
    leads: Counter[str] = Counter()
    pairs: Counter[tuple[str, str]] = Counter()
    of_texts: Counter[tuple[str, str]] = Counter()
    for text in texts:
        words.update(text)
        leads.update(text[:-1])
        pairs.update(pairwise(text))
    for given, chain in asked:
        of_texts.update({*pairwise(given), *pairwise(chain)})
    return _Language(words, leads, pairs, of_texts, words.total(), max(1.0, 0.002 * len(asked)))


def _tokens(text: str) -> Tokens:
    """Words and marks; every number is the same token, since numbers are new all the time."""
    found = _TOKEN.findall(text.casefold())[:_LONGEST]
    return tuple("0" if token[0].isdigit() else token for token in found)


def _middle(values: Sequence[float | None], floor: float) -> tuple[float, float]:
    """The median and the robust standard deviation, no less than `floor`."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return 0.0, floor
    middle = known[len(known) // 2]
    deviation = sorted(abs(value - middle) for value in known)[len(known) // 2]
    return middle, max(1.4826 * deviation, floor)
