"""The traces of a task as what an assessment counts: a few numbers of every call, and the text of a
sample of the inputs.

Memory is about 100 bytes a call, and the sample. An input is in the sample by the hash of itself, so
that all calls that ask the same are in it or none, and the same traces give the same sample.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from itertools import islice
from typing import Any

import polars as pl

from limbeck.curate.assess.settings import AssessSettings
from limbeck.curate.frame import NO_RATIONALES, read_frame
from limbeck.models.prices import cost_usd
from limbeck.types import Outcome, PostHoc, Task, Trace, Usage

Told = Callable[[str, int], None]
"""Called with what is being done, and how much of it is done."""

BATCH = 2000
LONGEST = 4000
"""Characters of an input or chain that are looked at."""
CHARACTERS_PER_TOKEN = 4
NAMED = 2000
"""Different answers whose text is kept."""

CALLS = pl.Schema(
    {
        "key": pl.UInt64(),
        "at": pl.Datetime("us", "UTC"),
        "cost": pl.Float64(),
        "priced_by": pl.UInt8(),
        "skeleton": pl.Int32(),
        "generator": pl.Int32(),
        "answer": pl.UInt64(),
        "truth": pl.UInt64(),
        "outcome": pl.Int32(),
        "correct": pl.Boolean(),
        "length": pl.Int32(),
        "chain": pl.Boolean(),
        "failed": pl.Boolean(),
        "context": pl.Boolean(),
        "choices": pl.Int32(),
    }
)
"""One row a call of the teacher. `key` names its input; `answer` and `truth` (by outcome) are hashes of
normalized answers; `skeleton`, `generator` and `outcome` (its source) are places in lists of names;
`priced_by` is one of `PRICED`; `choices` is how many were given with the call."""

PRICED = ("unknown", "recorded", "priced", "estimated")

TEXTS = pl.Schema(
    {
        "key": pl.UInt64(),
        "group": pl.String(),
        "input": pl.String(),
        "chain": pl.String(),
        "answer": pl.String(),
        "truth": pl.String(),
    }
)
"""One row an input of the sample, of the first of its calls that has an outcome, else of the first."""


@dataclass
class Names:
    """Texts by number, each once."""

    texts: list[str | None] = field(default_factory=list)
    places: dict[str | None, int] = field(default_factory=dict)

    def place(self, text: str | None) -> int:
        if text not in self.places:
            self.places[text] = len(self.texts)
            self.texts.append(text)
        return self.places[text]


@dataclass(frozen=True)
class Intake:
    """What was read. `calls` has `CALLS`, `texts` has `TEXTS`; `answers` are texts by their hash."""

    calls: pl.DataFrame
    texts: pl.DataFrame
    students: int
    skeletons: tuple[str | None, ...]
    sources: tuple[str | None, ...]
    answers: Mapping[int, str]


def read_calls(
    traces: Iterable[Trace],
    truths: Mapping[str, Outcome],
    task: Task,
    settings: AssessSettings,
    told: Told = lambda what, done: None,
    post_hoc: Mapping[str, PostHoc] = NO_RATIONALES,
) -> Intake:
    """Read `traces` once, in batches; replies of students are counted and left out."""
    names = {column: Names() for column in ("skeleton", "generator", "outcome")}
    answers: dict[int, str] = {}
    parts, sample = [CALLS.to_frame()], Sample(settings.sample)
    seen: set[int] = set()
    students = done = 0
    for batch in _batches(traces):
        by_id = {trace.id: trace for trace in batch if _is_new(trace.id, seen)}
        done += len(batch)
        mine = [one for one in by_id.values() if one.provenance.source != "student"]
        students += len(by_id) - len(mine)
        frame = _with_hashes(read_frame(mine, truths, task, None, post_hoc))
        ordered = [by_id[name] for name in frame["trace_id"]]
        parts.append(_numbers(frame, ordered, task, names))
        for text in (*frame["answer"].to_list(), *frame["truth"].to_list()):
            if text is not None and len(answers) < NAMED:
                answers.setdefault(_hash(text), text)
        sample.add(frame)
        told("reading traces", done)
    return Intake(
        calls=pl.concat(parts),
        texts=sample.rows(),
        students=students,
        skeletons=tuple(names["skeleton"].texts),
        sources=tuple(names["outcome"].texts),
        answers=answers,
    )


class Sample:
    """The inputs with the least hashes, at most so many of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept = TEXTS.to_frame()
        self._bound = 2**64 - 1

    def add(self, frame: pl.DataFrame) -> None:
        some = frame.filter(pl.col("key_hash") <= self._bound).select(
            pl.col("key_hash").alias("key"),
            "group",
            pl.col("input").str.slice(0, LONGEST),
            pl.col("rationale").str.slice(0, LONGEST).alias("chain"),
            pl.col("answer").str.slice(0, LONGEST),
            pl.col("truth").str.slice(0, LONGEST),
        )
        both = pl.concat([self._kept, some]).with_row_index("row")
        # Of the calls of one input the first with an outcome speaks for it.
        both = both.sort(pl.col("truth").is_null(), "row").unique("key", keep="first")
        self._kept = both.sort("key").drop("row").head(self._size)
        if self._kept.height == self._size:
            self._bound = int(self._kept["key"][-1])

    def rows(self) -> pl.DataFrame:
        return self._kept


def _batches(traces: Iterable[Trace]) -> Iterator[list[Trace]]:
    left = iter(traces)
    while batch := list(islice(left, BATCH)):
        yield batch


def _is_new(trace_id: str, seen: set[int]) -> bool:
    short = int(trace_id[-16:], 16)
    if short in seen:
        return False
    seen.add(short)
    return True


def _hash(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def _with_hashes(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with `truth` by outcome, and the hashes of key, answer and truth."""
    right = pl.when(pl.col("correct")).then("answer")
    frame = frame.with_columns(pl.coalesce("outcome", right).alias("truth"))
    hashed = {
        f"{column}_hash": [None if text is None else _hash(text) for text in frame[column]]
        for column in ("key", "answer", "truth")
    }
    return frame.with_columns(
        pl.Series(name, values, dtype=pl.UInt64) for name, values in hashed.items()
    )


def _numbers(
    frame: pl.DataFrame, traces: list[Trace], task: Task, names: Mapping[str, Names]
) -> pl.DataFrame:
    sources: list[str | None] = frame["outcome_source"].to_list()
    rows: list[dict[str, Any]] = []
    for trace, source in zip(traces, sources, strict=True):
        cost, priced_by = _cost(trace, task)
        made_at = trace.created_at
        if made_at is not None:
            # A time without a zone is taken as UTC: shifted by hours, it changes no week.
            made_at = made_at.replace(tzinfo=made_at.tzinfo or UTC).astimezone(UTC)
        rows.append(
            {
                "at": made_at,
                "cost": cost,
                "priced_by": priced_by,
                "skeleton": names["skeleton"].place(trace.provenance.skeleton),
                "generator": names["generator"].place(trace.provenance.generator),
                "outcome": None if source is None else names["outcome"].place(source),
                "context": trace.context is not None,
                "choices": len(trace.choices),
            }
        )
    own = pl.DataFrame(rows, schema={name: CALLS[name] for name in _OWN}, orient="row")
    read = frame.select(
        pl.col("key_hash").alias("key"),
        pl.col("answer_hash").alias("answer"),
        pl.col("truth_hash").alias("truth"),
        "correct",
        pl.col("input").str.len_chars().cast(pl.Int32).alias("length"),
        pl.col("rationale").is_not_null().alias("chain"),
        ((pl.col("status") == "error") & pl.col("answer").is_null()).alias("failed"),
    )
    return pl.concat([own, read], how="horizontal").select(CALLS.names())


_OWN = ("at", "cost", "priced_by", "skeleton", "generator", "outcome", "context", "choices")


def _cost(trace: Trace, task: Task) -> tuple[float | None, int]:
    """USD of a call, and where that is from."""
    if trace.cost_usd is not None:
        return trace.cost_usd, PRICED.index("recorded")
    price, models = task.teacher.price, (trace.provenance.generator, task.teacher.model)
    counted = trace.usage.input + trace.usage.output > 0
    usage = trace.usage if counted else _guess(trace, task)
    for model in models:
        cost = cost_usd(model, usage, price, at=trace.created_at)
        if cost is not None:
            return cost, PRICED.index("priced" if counted else "estimated")
    return None, PRICED.index("unknown")


def _guess(trace: Trace, task: Task) -> Usage:
    chain = trace.rationale.text if trace.rationale is not None else ""
    said = (trace.raw or "") + (trace.thinking or "") or chain + (trace.answer or "")
    asked = len(trace.input) + len(task.instruction)
    return Usage(
        input=asked // CHARACTERS_PER_TOKEN + 1, output=len(said) // CHARACTERS_PER_TOKEN + 1
    )
