"""A hundred thousand chains of about 600 characters, the same for the same seed.

Each is the reply of the simulated teacher to a question of a sandbox task, with its faults at the
usual rates, and before it some sentences as people write them when they think aloud, so that it has
the length of a real chain. A few are copies of another chain, and a few nearly so.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from typing import Any

from limbeck.capture.sandbox.faults import FaultRates, draw, rng_of, spoil
from limbeck.capture.sandbox.tasks import Item, SandboxTask, load
from limbeck.types import Noun, Outcome, Provenance, Task, Trace

LENGTH = 600
COPIES = 0.03
NEARLY = 0.05
_ITEMS = 20_000
"""Different questions that are generated; more traces ask them again in other words."""

_OPENINGS = (
    "Let me read the {noun} again before I decide anything about it.",
    "First I want to know which of the {noun}s are said to matter here, and which are not.",
    "The question mentions a {noun}, and that is where I should begin.",
    "It would be easy to overlook the {noun}, so I write down what is known of it.",
)
_MIDDLES = (
    "I keep the {noun} apart from the {other}, because they are easily taken for each other.",
    "Nothing is said about {adjective} {noun}s, so I leave them out.",
    "If the {noun} were {adjective}, the {other} would change too, but that is not the case.",
    "One might think of the {other} first; the {noun} comes before it, though.",
    "This is the {adjective} part: every {noun} counts once, and no {other} counts twice.",
    "There were {number} {noun}s in an earlier case like this one, and {small} of them were {adjective}.",
    "I check the {other} against what was given, and it fits the {adjective} {noun}.",
)
_NOUNS = re.findall(
    r"\w+",
    "invoice amount entry rule balance sum receipt order customer date parcel refund step total "
    "account transfer payment figure line note message detail claim condition exception period",
)
_ADJECTIVES = re.findall(
    r"\w+",
    "late early plain odd simple final second earlier usual separate clear certain open missing "
    "doubtful ordinary careful short long partial",
)


def sandbox(name: str) -> Task:
    """The sandbox task of that name as a task file would say it."""
    return load(name).task()


class Row(Noun):
    """A trace as any pipeline could have it: the question, the whole reply, and the truth."""

    input: str
    reply: str
    truth: str


def rows(name: str, count: int, seed: int) -> Iterator[Row]:
    """`count` rows of the sandbox task `name`."""
    task = load(name)
    rng = random.Random(f"chains/{name}/{seed}")
    items = task.generate(min(count, _ITEMS), seed)
    recent: list[Row] = []
    for number in range(count):
        drawn = rng.random()
        if recent and drawn < COPIES:
            yield rng.choice(recent)
            continue
        if recent and drawn < COPIES + NEARLY:
            yield _nearly(rng.choice(recent), rng)
            continue
        made = _row(items[number % len(items)], number, rng, task, seed)
        recent = [*recent[-50:], made]
        yield made


def traces(name: str, given: Iterator[Row]) -> Iterator[tuple[Trace, Outcome]]:
    """The rows as traces of the gateway, each with the truth as its outcome."""
    for number, row in enumerate(given):
        trace = Trace(
            task=name,
            input=row.input,
            raw=row.reply,
            provenance=Provenance(
                source="gateway", generator="bench", simulated=True, row=str(number)
            ),
        )
        yield trace, Outcome(trace_id=trace.id, value=row.truth, source="gold")


def _row(item: Item, number: int, rng: random.Random, task: SandboxTask[Any], seed: int) -> Row:
    again = number // _ITEMS
    asked = item.input if not again else f"Case {number}: {item.input}"
    fault = draw(FaultRates(), f"{number}", seed)
    reply = spoil(item, fault, rng_of(f"{number}", seed), task).text
    thinking = [_sentence(rng, _OPENINGS)]
    while sum(map(len, thinking)) + len(reply) < LENGTH:
        thinking.append(_sentence(rng, _MIDDLES))
    return Row(input=asked, reply=f"{' '.join(thinking)}\n{reply}", truth=item.truth)


def _nearly(row: Row, rng: random.Random) -> Row:
    """The same with one word of the thinking changed."""
    head, line, rest = row.reply.partition("\n")
    words = head.split(" ")
    words[rng.randrange(len(words))] = rng.choice(_NOUNS)
    return row.model_copy(update={"reply": " ".join(words) + line + rest})


def _sentence(rng: random.Random, of: tuple[str, ...]) -> str:
    noun, other = rng.sample(_NOUNS, 2)
    return rng.choice(of).format(
        noun=noun,
        other=other,
        adjective=rng.choice(_ADJECTIVES),
        number=rng.randrange(30, 999),
        small=rng.randrange(2, 30),
    )
