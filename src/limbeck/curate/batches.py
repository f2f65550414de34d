"""What is done to one batch of traces, whoever does it and wherever.

Each function here is pure but for the files that it writes under names of their own: done twice, it
gives the same. Nothing that it says of a trace depends on what else is in the batch.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from limbeck.curate import splits
from limbeck.curate.checks.table import Check
from limbeck.curate.contamination import Hits, Wanted, find_hits
from limbeck.curate.frame import read_records
from limbeck.curate.index import index
from limbeck.curate.measures import measure
from limbeck.curate.near import Sketches, sketch
from limbeck.curate.parts import Part, keep
from limbeck.curate.settings import CurateSettings
from limbeck.store.records import Record
from limbeck.types import Task

RAW = pl.Schema(
    {
        "trace_id": pl.String(),
        "content": pl.String(),
        "outcomes": pl.List(pl.String()),
        "rationale": pl.String(),
    }
)
"""Records as a table."""

_AT_ONCE = 2048
"""Traces that the checks see at once: some take a hundred times the memory of the texts, and what they
look up again and again stays in the processor's cache."""

SETTLED = ("truth", "truth_source", "conflict", "correct")
"""What is settled among all traces before the checks see one."""

SKETCHED = ("sketch_input", "sketch_chain")
"""Whether a trace has what may be near to a text of another."""


# ---- reading ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """A batch of records to be read, and where the frame goes."""

    number: int
    raw: Part
    task: Task
    folder: Path | None


@dataclass(frozen=True)
class Read:
    """The frame of a batch, and its rows of the index."""

    part: Part
    rows: pl.DataFrame


def read_batch(given: Reading) -> Read:
    """Records to a frame with the columns of a frame and `split`."""
    raw = given.raw.load()
    frame = read_records((Record(*row) for row in raw.iter_rows()), given.task)
    frame = frame.with_columns(splits.assign(frame, given.task))
    part = keep(given.folder, f"part-{given.number:06}", frame)
    return Read(part, index(frame, given.number))


# ---- checking -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What the checks must know beside the batch: the same for all batches."""

    task: Task
    settings: CurateSettings
    checks: tuple[tuple[Check, Any], ...]
    """The active checks with what each has learned of the task."""
    wanted: Wanted | None


@dataclass(frozen=True)
class Checking:
    """A part to be checked. `rows` has `row`, `at`, `SKETCHED` and `SETTLED`: which rows of the part
    are looked at, in which order, where they stand in the index, and whether their input and their
    chain are sketched. The plan is a file where the work is done elsewhere."""

    number: int
    part: Part
    rows: Part
    plan: Plan | Path
    folder: Path | None


@dataclass(frozen=True)
class Checked:
    """What was found in a part. `rows` has `at`, `failed_check`, `failed_evidence` (the first failure)
    and the measures; `failures` has `at`, `check` and `evidence` of all failures."""

    rows: pl.DataFrame
    failures: pl.DataFrame
    inputs: Sketches
    chains: Sketches | None
    hits: Hits | None


def check_batch(given: Checking) -> Checked:
    """Every check, every measure and the sketches of a part."""
    plan = _plan(given.plan) if isinstance(given.plan, Path) else given.plan
    chosen = given.rows.load()
    frame = given.part.load()[chosen["row"]]
    frame = frame.with_columns(chosen[name] for name in SETTLED)
    failures, measures = _looked_at(frame, plan)
    first = failures.unique("row", keep="first", maintain_order=True)
    rows = chosen.select("at").with_row_index("row")
    rows = rows.join(first, on="row", how="left", maintain_order="left")
    rows = rows.rename({"check": "failed_check", "evidence": "failed_evidence"}).drop("row")
    chains = None
    if plan.settings.duplicates.per_input > 1:
        said = frame["rationale"].filter(chosen["sketch_chain"])
        chains = _sketched(given, "chains", said.str.to_lowercase(), plan)
    return Checked(
        rows=rows.hstack(measures),
        failures=failures.select(chosen["at"].gather(failures["row"]), "check", "evidence"),
        inputs=_sketched(given, "inputs", frame["key"].filter(chosen["sketch_input"]), plan),
        chains=chains,
        hits=None if plan.wanted is None else find_hits(frame, plan.wanted, chosen["at"]),
    )


def _looked_at(frame: pl.DataFrame, plan: Plan) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`row`, `check` and `evidence` of every failure, in the order of the checks; and the measures of
    every row."""
    found = [pl.DataFrame(schema={"row": pl.UInt32, "check": pl.String, "evidence": pl.String})]
    said: list[list[pl.DataFrame]] = [[] for _ in plan.checks]
    measured = []
    # All checks of one slice after the other: what one finds in its texts the next has at hand.
    for part in frame.iter_slices(_AT_ONCE) if frame.height else [frame]:
        for (check, state), results in zip(plan.checks, said, strict=True):
            results.append(check.run(part, plan.task, state))
        measured.append(measure(part))
    for (check, _), results in zip(plan.checks, said, strict=True):
        failed = pl.concat(results).with_row_index("row").filter(~pl.col("verdict"))
        found.append(failed.select("row", pl.lit(check.name).alias("check"), "evidence"))
    return pl.concat(found), pl.concat(measured)


def _sketched(given: Checking, name: str, texts: pl.Series, plan: Plan) -> Sketches:
    settings = plan.settings.duplicates
    made = sketch(texts, settings.shingle, settings.similarity, settings.numbers)
    return made if given.folder is None else made.filed(given.folder / f"{name}-{given.number:06}")


@lru_cache(maxsize=1)
def _plan(path: Path) -> Plan:
    plan: Plan = pickle.loads(path.read_bytes())
    return plan


# ---- putting in order ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Placing:
    """A part whose rows go to the tables that they belong to. `rows` has `row`, `rank` (the place in
    the order of the dataset) and what was decided; a table has `size` ranks."""

    number: int
    part: Part
    rows: Part
    columns: tuple[str, ...]
    size: int
    folder: Path | None


def place_batch(given: Placing) -> dict[int, Part]:
    """The rows of a part, with what was decided of them, by the number of their table."""
    chosen = given.rows.load().sort("rank")
    frame = given.part.load(given.columns)[chosen["row"]].hstack(chosen.drop("row"))
    frame = frame.with_columns((pl.col("rank") // given.size).alias("table"))
    tables = frame.partition_by("table", maintain_order=True, as_dict=True, include_key=False)
    return {
        int(number): keep(given.folder, f"table-{number:06}-{given.number:06}", table)
        for (number,), table in tables.items()
    }
