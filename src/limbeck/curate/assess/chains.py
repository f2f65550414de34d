"""How program-like the rationales are: facts from the input, steps that can be checked, templates."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

import polars as pl

from limbeck.curate.assess.chance import proportion
from limbeck.curate.assess.findings import Chains
from limbeck.curate.assess.intake import Intake
from limbeck.curate.assess.settings import AssessSettings
from limbeck.curate.chain import numbers, sentences, words
from limbeck.curate.equations import equations, show
from limbeck.curate.structure import template_of

RECURS = 0.01
"""Share of the chains that a template must stand in, and in three of them at least."""


@dataclass(frozen=True)
class Line:
    """A sentence of a chain: what it looks like without what comes from the input, and whether its
    arithmetic accounts for it."""

    template: str
    computed: bool


@dataclass(frozen=True)
class Read:
    """One chain: its lines, and the counts that shares are made of."""

    lines: list[Line]
    numbers: int
    known_numbers: int
    words: int
    known_words: int
    steps: int
    right_steps: int


def find_chains(read: Intake, settings: AssessSettings) -> Chains | None:
    """What a sample of the chains is like; None where there are none."""
    there = read.texts.filter(pl.col("chain").is_not_null())
    if there.is_empty():
        return None
    rows = list(zip(there["input"], there["chain"], strict=True))
    picked = random.Random(settings.seed).sample(rows, min(len(rows), settings.chains))
    chains = [read_chain(asked, chain) for asked, chain in picked]
    recurring = _recurring(chains)
    lines = [line for chain in chains for line in chain.lines]
    if not lines:
        return None
    templated = sum(line.template in recurring for line in lines)
    program = sum(line.computed or line.template in recurring for line in lines)
    steps = sum(chain.steps for chain in chains)
    said = sum(chain.numbers for chain in chains)
    share = proportion(program, len(lines))
    assert share is not None
    return Chains(
        with_chain=int(read.calls["chain"].sum()),
        read=len(chains),
        sentences=len(lines),
        numbers_from_input=sum(c.known_numbers for c in chains) / said if said else None,
        words_from_input=sum(c.known_words for c in chains) / max(1, sum(c.words for c in chains)),
        steps=steps / len(chains),
        steps_right=sum(c.right_steps for c in chains) / steps if steps else None,
        templated=templated / len(lines),
        half=_half(Counter(line.template for line in lines)),
        program=share,
    )


def read_chain(asked: str, chain: str) -> Read:
    """One chain against the input that it is about."""
    given_words, known = set(words(asked)), set(numbers(asked))
    said = words(chain)
    lines, all_numbers, known_numbers, steps, right = [], 0, 0, 0, 0
    for sentence in sentences(chain):
        found = [step for step in equations(sentence) if step.relation == "="]
        # What a step yields may be used from there on, and stands in the step itself.
        known |= {
            show(value) for step in found for value in (step.value, step.claimed) if step.right
        }
        here = numbers(sentence)
        from_somewhere = [number for number in here if number in known]
        all_numbers, known_numbers = all_numbers + len(here), known_numbers + len(from_somewhere)
        steps, right = steps + len(found), right + sum(step.right for step in found)
        computed = bool(found) and all(s.right for s in found) and len(here) == len(from_somewhere)
        lines.append(Line(template_of(sentence, given_words), computed))
    from_input = sum(word in given_words for word in said)
    return Read(lines, all_numbers, known_numbers, len(said), from_input, steps, right)


def _recurring(chains: list[Read]) -> set[str]:
    least = max(3, round(RECURS * len(chains)))
    counts = Counter(one for chain in chains for one in {line.template for line in chain.lines})
    return {template for template, n in counts.items() if n >= least}


def _half(counts: Counter[str]) -> int:
    """The fewest templates that make half of the sentences."""
    total, seen = counts.total(), 0
    for place, (_, n) in enumerate(counts.most_common(), start=1):
        seen += n
        if 2 * seen >= total:
            return place
    return 0
