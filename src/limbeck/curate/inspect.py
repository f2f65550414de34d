"""All traces of a task, read, checked and decided upon."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import polars as pl

from limbeck.curate import contamination
from limbeck.curate.batches import (
    RAW,
    SETTLED,
    SKETCHED,
    Checked,
    Checking,
    Plan,
    Reading,
    check_batch,
    read_batch,
)
from limbeck.curate.caveats import find_caveats
from limbeck.curate.checks.table import SAMPLE, Check
from limbeck.curate.contamination import Evaluation, Hits
from limbeck.curate.decide import Found, decide
from limbeck.curate.engine import Engine, Here
from limbeck.curate.examination import Examination
from limbeck.curate.frame import Progress
from limbeck.curate.index import INDEX, in_order
from limbeck.curate.near import Sketches, joined
from limbeck.curate.originals import Originals, by_part
from limbeck.curate.parts import Part, Spill, disk
from limbeck.curate.settings import CurateSettings
from limbeck.curate.sources import tables
from limbeck.curate.summary import summarize
from limbeck.curate.truth import settle
from limbeck.store.records import Record
from limbeck.types import Task

MANY = 24
"""With more batches than this the other processes end while traces are compared: their memory is worth
more than the seconds that new ones take to start."""
FEW = 3
"""So many batches stay in memory and in this process: other processes take longer to start."""


def inspect(
    records: Iterable[Sequence[Record]],
    task: Task,
    settings: CurateSettings,
    progress: Progress | None,
    evaluation: Evaluation | None,
    spill_to: Path | None,
    engine: Engine,
) -> Examination:
    """Decide about every trace of `records`; see `limbeck.curate.curate.examine_records`."""
    batches = tables(records)
    first = list(islice(batches, FEW))
    if len(first) == FEW:
        # There are most likely more, and the engine starts while they are read.
        engine.prepare()
    first += islice(batches, 1)
    first = first or [RAW.to_frame()]
    few = len(first) <= FEW and not engine.always
    place = spill_to or Path(tempfile.gettempdir())
    with disk(place):
        spill = Spill(None if few else place)
    work = _Inspection(task, settings, spill, Here() if few else engine, progress)
    try:
        with disk(place):
            rows = settle(work.read(chain(first, batches)), task)
            rows, found, failures = work.check(rows, evaluation)
        work.rest()
        work.tell("looking for duplicates", rows.height)
        decided = decide(rows, found, task, settings, lambda at: work.originals.texts(rows[at]))
        summary = summarize(decided, task, work.originals.texts)
        caveats = find_caveats(decided.rows, summary, task)
    except BaseException:
        engine.close()
        spill.close()
        raise
    return Examination(task, settings, decided.rows, failures, summary, caveats, work.originals)


class _Inspection:
    """The two passes over the texts."""

    def __init__(
        self,
        task: Task,
        settings: CurateSettings,
        spill: Spill,
        engine: Engine,
        progress: Progress | None,
    ) -> None:
        self._task = task
        self._settings = settings
        self._spill = spill
        self._engine = engine
        self._progress = progress
        self._parts: list[Part] = []
        self.originals = Originals(self._parts, spill, engine)

    def rest(self) -> None:
        """All is read: what compares many traces with each other has the memory for itself."""
        if len(self._parts) > MANY:
            self._engine.rest()

    def tell(self, what: str, count: int) -> None:
        if self._progress is not None:
            self._progress(what, count)

    def read(self, batches: Iterable[pl.DataFrame]) -> pl.DataFrame:
        """The index of all traces, in order."""
        raws: list[Part] = []

        def items() -> Iterator[Reading]:
            for number, batch in enumerate(batches):
                raws.append(self._spill.keep(f"raw-{number:06}", batch))
                yield Reading(number, raws[-1], self._task, self._spill.folder)

        rows = [INDEX.to_frame()]
        done = 0
        for number, read in enumerate(self._engine.map(read_batch, items())):
            self._parts.append(read.part)
            raws[number].drop()
            rows.append(read.rows)
            done += read.rows.height
            self.tell("reading traces", done)
        return in_order(rows)

    def check(
        self, rows: pl.DataFrame, evaluation: Evaluation | None
    ) -> tuple[pl.DataFrame, Found, pl.DataFrame]:
        """The index with what the texts say; what else they say; and all failures."""
        rows = rows.with_row_index("at").with_columns(self._sketched())
        gathered = _Gathered()
        for checked in self._checked(rows, self._planned(rows, evaluation)):
            gathered.add(checked)
        del checked
        said = pl.concat(gathered.rows).sort("at")
        failures = pl.concat(gathered.failures)
        names = rows["trace_id"].gather(failures["at"])
        inputs = _numbered(rows, "sketch_input", "key").rename({"number": "text"})
        texts = rows.select("key").join(inputs, on="key", how="left", maintain_order="left")
        chains = _numbered(rows, "sketch_chain", "at").rename({"number": "looked"})
        looked = rows.select("at").join(chains, on="at", how="left", maintain_order="left")
        rows = rows.drop("at", "numbers", *SKETCHED)
        rows = rows.hstack([texts["text"], looked["looked"], *said.drop("at")])
        found = gathered.found(evaluation)
        return rows, found, failures.select(names, "check", "evidence")

    def _sketched(self) -> tuple[pl.Expr, pl.Expr]:
        """The columns `SKETCHED` of an index: whether an input, where it stands first, may be near
        another, and whether a chain has another beside it."""
        first = pl.col("key").is_first_distinct()
        if self._settings.duplicates.numbers:
            # Most inputs that have numbers have them alone, and are near no other.
            first &= pl.when(first).then("numbers").is_duplicated()
        return first.alias("sketch_input"), pl.col("key").is_duplicated().alias("sketch_chain")

    def _planned(self, rows: pl.DataFrame, evaluation: Evaluation | None) -> Plan | Path:
        """What every check must know; in a file where the texts are in files too."""
        sought = None
        if evaluation is not None:
            sought = contamination.wanted(evaluation, self._settings.contamination)
        plan = Plan(self._task, self._settings, self._learned(rows), sought)
        if self._spill.folder is None:
            return plan
        path = self._spill.folder / "plan.pickle"
        with path.open("wb") as opened:
            pickle.dump(plan, opened)
        return path

    def _learned(self, rows: pl.DataFrame) -> tuple[tuple[Check, Any], ...]:
        """The active checks, each with what it learned of a sample of the task."""
        checks = self._settings.active()
        if all(check.fit is None for check in checks):
            return tuple((check, None) for check in checks)
        self.tell("learning the task's language", min(rows.height, SAMPLE))
        chosen = rows.head(SAMPLE)
        sample = self.originals.frame(chosen).with_columns(chosen[name] for name in SETTLED)
        return tuple((check, check.learn(sample, self._task)) for check in checks)

    def _checked(self, rows: pl.DataFrame, plan: Plan | Path) -> Iterator[Checked]:
        """What was found in each part, in the order of the parts."""
        chosen = rows.select("part", "row", "at", *SKETCHED, *SETTLED)
        items = [
            Checking(
                number=part,
                part=self._parts[part],
                rows=self._spill.keep(f"settled-{part:06}", some),
                plan=plan,
                folder=self._spill.folder,
            )
            for part, some in by_part(chosen)
        ]
        if not items:
            items = [Checking(0, self._parts[0], Part(chosen.drop("part")), plan, None)]
        del chosen
        done = 0
        for checked in self._engine.map(check_batch, items):
            done += checked.rows.height
            self.tell("checking", done)
            yield checked


def _numbered(rows: pl.DataFrame, sketched: str, column: str) -> pl.DataFrame:
    """`column` of the rows that were `sketched`, and the `number` of the sketch of each: sketches stand part by
    part, and in a part in the order of the index."""
    chosen = rows.lazy().filter(sketched).sort("part", "at").select(column).collect()
    return chosen.with_row_index("number")


class _Gathered:
    """What was found in all parts, by kind."""

    def __init__(self) -> None:
        self.rows: list[pl.DataFrame] = []
        self.failures: list[pl.DataFrame] = []
        self._inputs: list[Sketches] = []
        self._chains: list[Sketches] = []
        self._hits: list[Hits] = []

    def add(self, checked: Checked) -> None:
        self.rows.append(checked.rows)
        self.failures.append(checked.failures)
        self._inputs.append(checked.inputs)
        self._chains += [checked.chains] if checked.chains is not None else []
        self._hits += [checked.hits] if checked.hits is not None else []

    def found(self, evaluation: Evaluation | None) -> Found:
        return Found(
            inputs=joined(self._inputs),
            chains=joined(self._chains) if self._chains else None,
            hits=contamination.joined(self._hits) if self._hits else None,
            evaluation=evaluation,
        )
