"""What the chains of a dataset are built like: their steps, their shapes and their templates.

A step is a sentence or line. Its template has `#` for a number and `_` for words that stand in the input;
the template of a chain is those of its steps, with repeats told once. Chains whose steps are mostly the
same are one cluster. A task of few templates is program-like, and one template that has most of the
chains teaches a student little else.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

import polars as pl

from limbeck.curate.chain import excerpt, sentences, words
from limbeck.curate.checks.support import from_nowhere
from limbeck.types import Noun

SAMPLE = 2_000
"""Chains that are read; the rows of a dataset stand in an order of chance, so the first ones are one."""
TRACED = 500
"""Of those, the chains whose numbers are looked for in their inputs and steps."""
SHOWN = 10
"""Templates and shapes that are shown; the rest are counted."""
ALIKE = 0.6
"""Share of their steps that the chains of a cluster have in common with its first."""
_HEADS = 200
_LONGEST = 20_000
_PIECE = re.compile(r"\d[\d,.:/%]*|\w+(?:['’]\w+)*")
_CONCLUDES = re.compile(
    r"\b(?:so|therefore|thus|hence|answer|conclude|in total|altogether)\b", re.I
)
_PLANS = re.compile(r"\b(?:first|next|then|second|finally|we need|let|to find|step)\b", re.I)
_DIGIT = re.compile(r"\d")
_SOLVES = re.compile(r"[-+*/×÷−]\s*[$(]?\d[^=]*=|\d\s*[<>≤≥]=?\s*\d")


class Template(Noun):
    """A way to reason: the steps of its first chain, how many chains have it, how many of those with
    an outcome are right, and a chain."""

    steps: str
    chains: int
    right: int
    known: int
    example: str


class Structure(Noun):
    """Of the `chains` that were read; `templates` counts all clusters, `effective` those that would be
    as many if all were equally frequent. `steps` is how many chains have so many steps, and
    `from_nowhere` the middle share of a chain's numbers that nothing accounts for, among `TRACED`."""

    chains: int
    templates: int
    effective: float
    top: tuple[Template, ...]
    shapes: dict[str, int]
    steps: dict[int, int]
    words_a_step: float
    from_nowhere: float | None


@dataclass
class _Cluster:
    first: tuple[str, ...]
    example: str
    chains: int = 0
    right: int = 0
    known: int = 0
    parts: frozenset[str] = field(default_factory=frozenset)


def find_structure(rows: pl.DataFrame, instruction: str = "") -> Structure | None:
    """The structure of the chains of `rows`, which has `input`, `rationale` and `teacher_correct`;
    None where there is no chain. A number of the `instruction` does not come from nowhere."""
    there = rows.filter(pl.col("rationale").is_not_null()).head(SAMPLE)
    if there.is_empty():
        return None
    clusters: list[_Cluster] = []
    heads: dict[str, list[int]] = {}
    known: dict[tuple[str, ...], _Cluster] = {}
    shapes: Counter[str] = Counter()
    steps: Counter[int] = Counter()
    shares = []
    said = 0
    columns = there.select("input", "rationale", "teacher_correct")
    for asked, chain, correct in columns.iter_rows():
        chain = chain[:_LONGEST]
        lines = sentences(chain)
        given = set(words(asked))
        told = tuple(once for once, _ in groupby(template_of(line, given) for line in lines))
        cluster = known.get(told) or _join(told, chain, clusters, heads)
        known[told] = cluster
        cluster.chains += 1
        if correct is not None:
            cluster.known, cluster.right = cluster.known + 1, cluster.right + bool(correct)
        shapes[" → ".join(shape_of(lines, given))] += 1
        steps[len(lines)] += 1
        said += sum(len(line.split()) for line in lines)
        if steps.total() <= TRACED:
            numbers, strange = from_nowhere(f"{instruction}\n{asked}", chain)
            shares += [len(strange) / numbers] if numbers else []
    clusters.sort(key=lambda one: (-one.chains, one.first))
    return Structure(
        chains=there.height,
        templates=len(clusters),
        effective=round(_effective(one.chains for one in clusters), 1),
        top=tuple(_template(one) for one in clusters[:SHOWN]),
        shapes=dict(sorted(shapes.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]),
        steps=dict(sorted(steps.items())),
        words_a_step=round(said / max(sum(n * m for n, m in steps.items()), 1), 1),
        from_nowhere=round(sorted(shares)[len(shares) // 2], 3) if shares else None,
    )


def template_of(sentence: str, given: set[str]) -> str:
    """`sentence` with `#` for numbers and `_` for runs of words that stand in the input."""
    marks = [
        "#" if piece[0].isdigit() else "_" if piece in given else piece
        for piece in _PIECE.findall(sentence.casefold())
    ]
    told = zip(["", *marks], marks, strict=False)
    return " ".join(mark for before, mark in told if mark != "_" or before != "_")


def shape_of(lines: list[str], given: set[str]) -> Iterator[str]:
    """What the steps of a chain do, in their order, each told once in a row: `restates` the input,
    `plans`, `solves`, `concludes`, or `argues`."""
    kinds = (_kind(line, given) for line in lines)
    yield from (kind for kind, _ in groupby(kinds))


def _kind(line: str, given: set[str]) -> str:
    if _DIGIT.search(line) and _SOLVES.search(line):
        return "solves"
    if _CONCLUDES.search(line):
        return "concludes"
    said = words(line)
    if said and sum(word in given for word in said) >= 0.7 * len(said):
        return "restates"
    return "plans" if _PLANS.search(line) else "argues"


def _join(
    told: tuple[str, ...], chain: str, clusters: list[_Cluster], heads: dict[str, list[int]]
) -> _Cluster:
    """The first cluster whose first chain has most of the same steps, or a new one. `heads` are the
    places of the first clusters by the steps of their first chains."""
    parts = frozenset(told)
    both = Counter(itertools.chain.from_iterable(heads.get(part, ()) for part in parts))
    for place in sorted(both):
        all_parts = len(parts) + len(clusters[place].parts) - both[place]
        if both[place] >= ALIKE * all_parts:
            return clusters[place]
    if len(clusters) < _HEADS:
        for part in parts:
            heads.setdefault(part, []).append(len(clusters))
    clusters.append(_Cluster(told, chain, parts=parts))
    return clusters[-1]


def _effective(counts: Iterable[int]) -> float:
    """The exponential of the entropy of `counts`."""
    given = list(counts)
    total = sum(given)
    return math.exp(-sum(n / total * math.log(n / total) for n in given))


def _template(cluster: _Cluster) -> Template:
    return Template(
        steps=excerpt(" / ".join(cluster.first), 240),
        chains=cluster.chains,
        right=cluster.right,
        known=cluster.known,
        example=excerpt(cluster.example, 240),
    )
