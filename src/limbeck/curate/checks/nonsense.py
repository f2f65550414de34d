"""The chain is not language of this task: word salad, or characters without words.

Catches the words of a good chain in random order, words that no other chain and no input of the
task has, and keyboard noise. Lets pass names, numbers and rare words in otherwise usual sentences.
Where the task's own chains are so varied that most word pairs are new anyway, it lets everything
pass: what is unusual is measured against the batch, not against a fixed idea of good prose.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

import polars as pl
from pydantic import Field

from limbeck.curate.chain import excerpt
from limbeck.curate.checks.verdict import CheckSettings, verdicts
from limbeck.types import Task

_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+(?:['’_][^\W\d_]+)*|[^\w\s]")


_Item = str | tuple[str, str]


class Settings(CheckSettings):
    spread: float = Field(5.0, gt=0)
    """How many robust standard deviations above the median a share must lie."""
    least: float = Field(0.4, gt=0, le=1)
    """A share of unknown words or word pairs below this is never nonsense."""
    at_least: int = Field(50, ge=2)
    """With fewer chains than this nothing is known about the task's language; all pass."""
    shortest: int = Field(5, ge=2)
    """A chain of fewer words and marks than this has no statistics."""


def check(frame: pl.DataFrame, task: Task, settings: Settings) -> pl.DataFrame:
    """Traces whose chain has far more unknown words or word pairs than the task's chains have."""
    chains = [_tokens(text) if text else [] for text in frame["rationale"].to_list()]
    inputs = [_tokens(text) for text in frame["input"].to_list()]
    if sum(1 for chain in chains if chain) < settings.at_least:
        return verdicts(None for _ in chains)
    # A trace that was recorded twice counts once, or nonsense would vouch for itself; a chain that
    # several inputs share is a template, and each of them counts.
    asked = list(dict.fromkeys(zip(map(tuple, inputs), map(tuple, chains), strict=True)))
    words = _counts({*given, *chain} for given, chain in asked)
    pairs = _counts(_pairs(chain) for _, chain in asked)
    long = [len(chain) >= settings.shortest for chain in chains]
    new_words = [
        _share(set(chain), words, known=set(given)) if enough else None
        for chain, given, enough in zip(chains, inputs, long, strict=True)
    ]
    new_pairs = [
        _share(_pairs(chain), pairs) if enough else None
        for chain, enough in zip(chains, long, strict=True)
    ]
    word_limit = _limit(new_words, settings)
    pair_limit = _limit(new_pairs, settings)

    def find(place: int, text: str | None) -> str | None:
        for shares, limit, what in (
            (new_words, word_limit, "words"),
            (new_pairs, pair_limit, "word pairs"),
        ):
            share = shares[place]
            if share is not None and share > limit:
                return (
                    f"{share:.0%} of its {what} stand nowhere else in this task "
                    f"(limit {limit:.0%}): {excerpt(text or '')!r}"
                )
        return None

    return verdicts(find(i, text) for i, text in enumerate(frame["rationale"].to_list()))


def _tokens(text: str) -> list[str]:
    """Words and marks; every number is the same token, since numbers are new all the time."""
    return ["0" if found[0].isdigit() else found for found in _TOKEN.findall(text.casefold())]


def _pairs(tokens: Sequence[str]) -> set[_Item]:
    return set(pairwise(tokens))


def _counts(texts: Iterable[set[_Item]]) -> Counter[_Item]:
    """In how many of the texts each word or pair occurs."""
    count: Counter[_Item] = Counter()
    for text in texts:
        count.update(text)
    return count


def _share(
    items: set[_Item], counts: Counter[_Item], known: Collection[_Item] = ()
) -> float | None:
    """The share of `items` that no other text and nothing `known` has."""
    new = sum(1 for item in items if counts[item] <= 1 and item not in known)
    return new / len(items) if items else None


def _limit(shares: list[float | None], settings: Settings) -> float:
    known = sorted(share for share in shares if share is not None)
    if not known:
        return 1.0
    middle = known[len(known) // 2]
    deviation = sorted(abs(share - middle) for share in known)[len(known) // 2]
    return max(settings.least, middle + settings.spread * max(1.4826 * deviation, 0.02))
