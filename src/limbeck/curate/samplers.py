"""Which chains of an input are kept where there are more than the budget allows.

Every sampler is a pure function from the chains of one input to the places of those that are kept, at
most `budget` of them, in ascending order. Which is best differs from task to task; random is a strong
baseline and always worth reporting (Li et al. 2023, Symbolic Chain-of-Thought Distillation, section 4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from limbeck.curate.chain import sentences, words
from limbeck.errors import ConfigError
from limbeck.types import Noun


class Candidate(Noun):
    """One chain of an input. `correct` is None where no outcome tells; `log_likelihood` is the mean
    over its tokens (nats), where the teacher gave one."""

    text: str
    correct: bool | None = None
    log_likelihood: float | None = None


Sampler = Callable[[Sequence[Candidate], int, int], list[int]]
"""`(chains, budget, seed) -> places`."""


def random(chains: Sequence[Candidate], budget: int, seed: int = 0) -> list[int]:
    """Any of them: by a hash of seed and text, so that the order in which they stand tells nothing."""
    return _first(_shuffled(chains, seed), budget)


def diverse(chains: Sequence[Candidate], budget: int, seed: int = 0) -> list[int]:
    """Those least alike: beginning with a random one, each next is the one whose words and pairs of
    words have least in common with any that is kept (farthest-point traversal)."""
    if not chains or budget < 1:
        return []
    parts = [_parts(chain.text) for chain in chains]
    order = _shuffled(chains, seed)
    kept = order[:1]
    near = np.full(len(chains), -1.0)
    while len(kept) < min(budget, len(chains)):
        last = parts[kept[-1]]
        near = np.maximum(near, [_alike(last, own) for own in parts])
        near[kept] = np.inf
        kept.append(min(order, key=lambda place: near[place]))
    return sorted(kept)


def likeliest(chains: Sequence[Candidate], budget: int, seed: int = 0) -> list[int]:
    """Those that the teacher held most likely; chains of unknown likelihood come last, at random."""
    luck = {place: at for at, place in enumerate(_shuffled(chains, seed))}

    def key(place: int) -> tuple[float, int]:
        said = chains[place].log_likelihood
        return (-said if said is not None else float("inf"), luck[place])

    return _first(sorted(range(len(chains)), key=key), budget)


def shortest_correct(chains: Sequence[Candidate], budget: int, seed: int = 0) -> list[int]:
    """The shortest of those that are right, then of those of which nobody knows. A chain that is known
    to be wrong is never kept."""
    there = [place for place, chain in enumerate(chains) if chain.correct is not False]
    there.sort(
        key=lambda p: (chains[p].correct is None, len(words(chains[p].text)), chains[p].text)
    )
    return _first(there, budget)


def mixed_levels(chains: Sequence[Candidate], budget: int, seed: int = 0) -> list[int]:
    """Of every level of detail alike: ordered by their number of steps and words, at even distances,
    the shortest and the longest among them. Small students learn more from short chains, and some long
    ones help."""
    order = sorted(
        range(len(chains)),
        key=lambda p: (len(sentences(chains[p].text)), len(words(chains[p].text)), chains[p].text),
    )
    if budget < 1 or not order:
        return []
    if budget >= len(order):
        return sorted(order)
    if budget == 1:
        return [order[(len(order) - 1) // 2]]
    step = (len(order) - 1) / (budget - 1)
    return sorted(order[round(step * nth)] for nth in range(budget))


SAMPLERS: dict[str, Sampler] = {
    "random": random,
    "diverse": diverse,
    "likeliest": likeliest,
    "shortest_correct": shortest_correct,
    "mixed_levels": mixed_levels,
}


def sample(name: str, chains: Sequence[Candidate], budget: int, seed: int = 0) -> list[int]:
    """The places of the chains that the sampler `name` keeps; raises ConfigError where there is no such
    sampler or the budget is negative."""
    if name not in SAMPLERS:
        raise ConfigError(f"there is no sampler {name!r}; wanted one of {', '.join(SAMPLERS)}")
    if budget < 0:
        raise ConfigError(f"the budget is {budget!r} chains an input; wanted 0 or more")
    return SAMPLERS[name](chains, budget, seed)


def _shuffled(chains: Sequence[Candidate], seed: int) -> list[int]:
    def drawn(place: int) -> str:
        text = f"{seed}\x1f{chains[place].text}".encode("utf-8", "surrogatepass")
        return hashlib.sha256(text).hexdigest()

    return sorted(range(len(chains)), key=drawn)


def _first(order: Sequence[int], budget: int) -> list[int]:
    return sorted(order[: max(budget, 0)])


def _parts(text: str) -> frozenset[tuple[str, ...]]:
    said = words(text)
    return frozenset({*((word,) for word in said), *pairwise(said)})


def _alike(first: frozenset[tuple[str, ...]], second: frozenset[tuple[str, ...]]) -> float:
    either = len(first | second)
    return len(first & second) / either if either else 1.0
