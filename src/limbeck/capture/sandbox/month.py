"""A simulated month of mixed calls: five jobs that no task file knows yet, and conversation between
them. What `limbeck discover` is tried on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from limbeck.capture.sandbox.tasks import Item, load, render
from limbeck.capture.skeleton import divide
from limbeck.models.dialects import anthropic
from limbeck.models.prices import cost_usd
from limbeck.store.store import Store
from limbeck.types import Outcome, Provenance, Trace, Usage

START = datetime(2026, 7, 1, tzinfo=UTC)
DAYS = 30
MODEL = "claude-sonnet-4-5"
HELPFUL = "You are a helpful assistant."
MINUTES = (
    "You write one line about a meeting for people who were not there. Name the decision first, "
    "then who does what. Leave out greetings, jokes and whatever was not decided."
)
CHARACTERS_PER_TOKEN = 4
BATCH = 500
_VOCABULARY = (
    "order arrived broken late refund card login crash slow invoice payment wrong item size colour "
    "shipping address account password parcel courier delay charge twice cancel plan meeting team"
)
_WORDS = _VOCABULARY.split()


class Said(NamedTuple):
    """A call and its reply. `varies` is what a task would take from it as its input."""

    job: str | None
    system: str
    turns: tuple[str, ...]
    reply: str
    varies: str = ""
    thinking: str | None = None
    truth: str | None = None

    @property
    def body(self) -> dict[str, Any]:
        """The request that makes the call."""
        roles = ("user", "assistant")
        messages = [{"role": roles[n % 2], "content": turn} for n, turn in enumerate(self.turns)]
        return {"model": MODEL, "max_tokens": 500, "system": self.system, "messages": messages}


def record_month(store: Store, scale: float = 1.0, seed: int = 0) -> dict[str, Said]:
    """Record the month's calls in `store`, without a task; by the ids of their traces.

    With a `scale` of 1 there are about 1,500 of them.
    """
    made = [(_trace(at, one), one) for at, one in calls(scale, seed)]
    for start in range(0, len(made), BATCH):
        some = made[start : start + BATCH]
        blobs = {name: data for (_, kept), _ in some for name, data in kept.items()}
        outcomes = [
            Outcome(trace_id=trace.id, value=one.truth, source="gold")
            for (trace, _), one in some
            if one.truth is not None
        ]
        store.record([trace for (trace, _), _ in some], outcomes, blobs)
    return {trace.id: one for (trace, _), one in made}


def _trace(at: datetime, one: Said) -> tuple[Trace, Mapping[str, bytes]]:
    """The trace of a call as the gateway would make it, and its blobs."""
    body = one.body
    divided = divide(None, anthropic.read_request(body), body)
    text = "".join((one.system, *one.turns))
    usage = Usage(
        input=len(text) // CHARACTERS_PER_TOKEN,
        output=len(one.reply + (one.thinking or "")) // CHARACTERS_PER_TOKEN,
    )
    trace = Trace(
        task=None,
        input=divided.input,
        context=divided.context,
        raw=one.reply,
        thinking=one.thinking,
        stop_reason="end_turn",
        provenance=Provenance(
            source="gateway",
            generator=MODEL,
            simulated=True,
            skeleton=divided.skeleton,
            dialect="anthropic",
        ),
        usage=usage,
        cost_usd=cost_usd(MODEL, usage),
        created_at=at,
    )
    return trace, divided.blobs


def calls(scale: float = 1.0, seed: int = 0) -> Iterator[tuple[datetime, Said]]:
    """The calls of the month with their times, each job's in their order."""
    rng = random.Random(seed)
    for job, (make, a_month) in JOBS.items():
        n = max(1, round(a_month * scale))
        items = make(rng, n, seed)
        for number, one in enumerate(items):
            # Two calls are never of one moment, so that no two are the same call.
            at = START + timedelta(days=DAYS * number / n, microseconds=number)
            yield at, one(at)._replace(job=job if job in NARROW else None)


At = Callable[[datetime], Said]
Make = Callable[[random.Random, int, int], Iterator[At]]


def _refunds(rng: random.Random, n: int, seed: int) -> Iterator[At]:
    """Instructions in the system prompt, and steps before the answer."""
    return (_asked(item, load("refunds").task().instruction) for item in _items("refunds", n, seed))


def _routes(rng: random.Random, n: int, seed: int) -> Iterator[At]:
    """A system prompt with the day's date, and a thinking block."""
    told = load("routes").task().instruction

    def dated(item: Item) -> At:
        return lambda at: Said(
            None,
            f"Today is {at:%A, %d %B %Y}.\n{told}",
            (item.input,),
            item.truth,
            item.input,
            thinking="\n".join(item.steps),
            truth=item.truth,
        )

    return map(dated, _items("routes", n, seed))


def _ledger(rng: random.Random, n: int, seed: int) -> Iterator[At]:
    """Instructions in the user message, around what varies."""

    def framed(item: Item) -> At:
        asked = (
            "Work out how many things the person has in the end, step by step.\n\n"
            f'Story: {item.input}\n\nThen write "Answer: " and the number.'
        )
        return lambda at: Said(None, "", (asked,), render(item), item.input, truth=item.truth)

    return map(framed, _items("ledger", n, seed))


def _invoices(rng: random.Random, n: int, seed: int) -> Iterator[At]:
    """Two fields in the user message, under a prompt that conversations have too; JSON comes back."""
    for _ in range(n):
        supplier, text = _words(rng, 2, 3), _words(rng, 8, 30)
        asked = (
            "Extract the total from this invoice as JSON with the keys currency and total.\n"
            f"Supplier: {supplier}\nText: {text}"
        )
        total = (
            f'{{"currency": "{rng.choice(["EUR", "USD"])}", "total": {rng.randint(1, 9999) / 10}}}'
        )
        yield _always(Said(None, HELPFUL, (asked,), total, f"supplier: {supplier}\ntext: {text}"))


def _minutes(rng: random.Random, n: int, seed: int) -> Iterator[At]:
    """Free text, under a prompt that somebody changed in the middle of the month."""

    def minuted(text: str, line: str) -> At:
        def said(at: datetime) -> Said:
            new = at >= START + timedelta(days=18)
            system = MINUTES.replace("one line", "one short line") if new else MINUTES
            return Said(None, system, (text,), line, text)

        return said

    for _ in range(n):
        yield minuted(_words(rng, 30, 60), _words(rng, 6, 20))


def _conversations(rng: random.Random, n: int, seed: int) -> Iterator[At]:
    for _ in range(n):
        turns = tuple(_words(rng, 3, 20) for _ in range(rng.choice([1, 3, 3, 5, 7])))
        yield _always(Said(None, HELPFUL, turns, _words(rng, 5, 60)))


def _questions(rng: random.Random, n: int, seed: int) -> Iterator[At]:
    for _ in range(n):
        yield _always(Said(None, "", (_words(rng, 4, 30),), _words(rng, 5, 60)))


def _seldom(rng: random.Random, n: int, seed: int) -> Iterator[At]:
    """Prompts that are used three times each."""
    system = ""
    for number in range(n):
        system = system if number % 3 else f"{_words(rng, 15, 30)}."
        yield _always(Said(None, system, (_words(rng, 4, 9),), _words(rng, 2, 9)))


JOBS: dict[str, tuple[Make, int]] = {
    "refunds": (_refunds, 480),
    "routes": (_routes, 240),
    "ledger": (_ledger, 180),
    "invoices": (_invoices, 120),
    "minutes": (_minutes, 150),
    "conversations": (_conversations, 240),
    "questions": (_questions, 80),
    "seldom": (_seldom, 30),
}
"""What the calls are about, and how many there are in a month of scale 1."""
NARROW = ("refunds", "routes", "ledger", "invoices", "minutes")
"""The jobs that a task could be made of."""


def _items(name: str, n: int, seed: int) -> list[Item]:
    return load(name).generate(n, seed=seed)


def _asked(item: Item, system: str) -> At:
    return _always(Said(None, system, (item.input,), render(item), item.input, truth=item.truth))


def _always(said: Said) -> At:
    return lambda at: said


def _words(rng: random.Random, least: int, most: int) -> str:
    return " ".join(rng.choice(_WORDS) for _ in range(rng.randint(least, most)))
