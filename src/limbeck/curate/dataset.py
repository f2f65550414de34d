"""A dataset on disk: an immutable folder that is whole or not there, and says what is in it.

train.parquet validation.parquet calibration.parquet test.parquet [shifted.parquet]
dropped.parquet   every trace that is in none of them, with the reason
manifest.json     task, settings, numbers, hashes; no time and no place
card.md card.html the same for people
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

import limbeck
from limbeck.curate.card import read_structure, write_cards
from limbeck.curate.caveats import about_templates
from limbeck.curate.checks.wrong_answer import weights
from limbeck.curate.examination import Examination
from limbeck.curate.originals import TEXTS
from limbeck.curate.parts import Spill, disk
from limbeck.curate.settings import CurateSettings
from limbeck.curate.summary import Summary
from limbeck.errors import DatasetError
from limbeck.types import Example, Noun, Task, content_hash

FORMAT = 1
MANIFEST = "manifest.json"

ROWS = pl.Schema(
    {
        "trace_id": pl.String(),
        "input": pl.String(),
        "choices": pl.List(pl.String()),
        "rationale": pl.String(),
        "rationale_origin": pl.String(),
        "answer": pl.String(),
        "truth": pl.String(),
        "truth_source": pl.String(),
        "group": pl.String(),
        "weight": pl.Float64(),
        "teacher_answer": pl.String(),
        "teacher_correct": pl.Boolean(),
        "teacher_wrote": pl.String(),
    }
)
"""Columns of a split: the fields of an `Example`, and what the teacher said.

`rationale_origin` is as in a `Rationale`. `answer` is what a student learns to write: the teacher's
answer in `train`, the truth elsewhere. `teacher_answer` is null where the teacher gave none in form;
`teacher_correct` is null where only the teacher's own answer is known. `teacher_wrote` is what stood in
the reply where the answer had to be repaired to be in form ("(b)", "$4.00"), and null elsewhere.
"""

DROPPED = (
    "trace_id", "split", "reason", "evidence", "input", "rationale", "answer", "truth",
)  # fmt: skip

DECIDED = (
    "split", "group", "origin", "answer", "correct", "truth", "truth_source", "reason", "evidence",
)  # fmt: skip
"""Columns of an examination that go into the files, beside the texts."""

ROW_GROUP = 16_384
"""Rows that a reader of a file takes at once."""


class Manifest(Noun):
    """What a dataset is made of. `hash` covers all of it but the two cards."""

    format: int = FORMAT
    code: str
    task: Task
    settings: CurateSettings
    summary: Summary
    caveats: tuple[str, ...]
    files: dict[str, str]
    hash: str = ""

    def derived_hash(self) -> str:
        """The hash as the content gives it."""
        return _hash_of(self.model_dump(mode="json"))


class DatasetInfo(Noun):
    """Where a dataset is and what is in it. `reused` says that it was there already."""

    path: Path
    name: str
    hash: str
    splits: dict[str, int]
    summary: Summary
    caveats: tuple[str, ...]
    reused: bool


@dataclass(frozen=True)
class Dataset:
    """A dataset whose files are what its manifest says."""

    path: Path
    manifest: Manifest

    @property
    def hash(self) -> str:
        return self.manifest.hash

    @property
    def task(self) -> Task:
        """The task as it was when the dataset was made."""
        return self.manifest.task

    @cached_property
    def splits(self) -> tuple[str, ...]:
        """The names of the splits; one of them may be empty."""
        return tuple(self.manifest.summary.splits)

    @property
    def simulated(self) -> bool:
        """Whether any of the replies came from a simulated teacher."""
        return any(generator.simulated for generator in self.manifest.summary.generators)

    def teacher_correct(self, split: str) -> list[bool]:
        """Whether the teacher was right, for each item of a split whose truth another source tells.

        A teacher that gave no answer in form was wrong. Raises DatasetError if there is no such
        split.
        """
        return [bool(said) for said in self.rows(split)["teacher_correct"].drop_nulls()]

    def rows(self, split: str) -> pl.DataFrame:
        """A split as a table with the columns `ROWS`, in the order of the trace ids.

        Raises DatasetError if the dataset has no such split.
        """
        if split not in self.splits:
            raise DatasetError(
                f"the dataset {self.path.name} has no split {split!r}; "
                f"wanted one of {', '.join(self.splits)}"
            )
        return pl.read_parquet(self.path / f"{split}.parquet")

    def split(self, split: str) -> list[Example]:
        """The examples of a split, one for each input; an empty list where nothing fell into it.

        Raises DatasetError if the dataset has no such split.
        """
        rows = self.rows(split)
        found = rows.select(name for name in Example.model_fields if name in rows.columns)
        return _by_input([Example.model_validate(row) for row in found.iter_rows(named=True)])

    def dropped(self) -> pl.DataFrame:
        """Every trace that is in no split, with `split`, `reason` and `evidence`."""
        return pl.read_parquet(self.path / "dropped.parquet")


def write_dataset(out_dir: Path, examined: Examination) -> DatasetInfo:
    """Write what was examined as a dataset; one with the same content is left as it is.

    Nothing is visible under its name before all of it is on disk. Raises DatasetError if the
    folder cannot be written.
    """
    task, settings, summary = examined.task, examined.settings, examined.summary
    with disk(out_dir), _half_written(out_dir) as folder:
        _write_tables(folder, examined)
        structure = read_structure(folder, task)
        caveats = (*examined.caveats, *about_templates(structure))
        manifest = Manifest(
            code=limbeck.__version__,
            task=task,
            settings=settings,
            summary=summary,
            caveats=caveats,
            files=_hashes(folder),
        )
        manifest = manifest.model_copy(update={"hash": manifest.derived_hash()})
        name = f"{task.name}-{manifest.hash.removeprefix('sha256:')[:8]}"
        write_cards(
            folder, name, manifest.hash, task, settings, examined.rows, summary,
            caveats, structure, examined.texts,
        )  # fmt: skip
        manifest = manifest.model_copy(update={"files": _hashes(folder)})
        (folder / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", "utf-8")
        reused = _publish(folder, out_dir / name)
    return DatasetInfo(
        path=out_dir / name,
        name=name,
        hash=manifest.hash,
        splits=summary.splits,
        summary=summary,
        caveats=caveats,
        reused=reused,
    )


def read_dataset(path: Path | str) -> Dataset:
    """The dataset in the folder `path`, after every file was held against its hash.

    Raises DatasetError, in one sentence, if it is missing, damaged or empty.
    """
    path = Path(path)
    try:
        text = (path / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise DatasetError(
            f"{path} is no dataset: it has no {MANIFEST}; wanted a folder that was written by: "
            f"limbeck curate --task NAME"
        ) from None
    except OSError as error:
        raise DatasetError(f"the dataset {path} cannot be read: {error.strerror}") from error
    try:
        manifest = Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise _damaged(path, f"{MANIFEST} is not one ({place}: {first['msg']})") from None
    if manifest.format != FORMAT:
        raise DatasetError(
            f"the dataset {path} has format {manifest.format!r}; this version of limbeck reads "
            f"{FORMAT}; curate it again"
        )
    # As it was written: what this version adds to a manifest is no damage to an older one.
    if _hash_of(json.loads(text)) != manifest.hash:
        raise _damaged(path, f"{MANIFEST} does not match its own hash")
    for name, wanted in manifest.files.items():
        try:
            got = _hash(path / name)
        except OSError as error:
            raise _damaged(path, f"{name} cannot be read ({error.strerror})") from None
        if got != wanted:
            raise _damaged(path, f"{name} is not what was written")
    if not manifest.summary.splits.get("train"):
        raise DatasetError(f"the dataset {path} is empty: no example to train on; curate it again")
    return Dataset(path, manifest)


def _by_input(examples: list[Example]) -> list[Example]:
    """Several traces of one input (`per_input` of the curation) as one example with its chains.

    The best comes first, as in the curation: the right answer, a rationale, the shorter one.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[Example]] = {}
    for example in examples:
        groups.setdefault((example.input, example.choices), []).append(example)
    if len(groups) == len(examples):
        return examples
    folded = []
    for group in groups.values():
        best, *rest = sorted(
            group,
            key=lambda one: (
                one.answer != one.truth,
                not one.rationale,
                len(one.rationale or ""),
                one.trace_id,
            ),
        )
        others = tuple(chain for one in rest for chain in one.chains)
        folded.append(best.model_copy(update={"others": others}) if others else best)
    return folded


def _damaged(path: Path, what: str) -> DatasetError:
    return DatasetError(f"the dataset {path} is damaged: {what}; curate again to have it rewritten")


@contextmanager
def _half_written(out_dir: Path) -> Iterator[Path]:
    """A folder for a dataset in the making, which is gone afterwards unless it got its name."""
    out_dir.mkdir(parents=True, exist_ok=True)
    making = Spill(out_dir)
    assert making.folder is not None
    folder = making.folder / "dataset"
    folder.mkdir()
    try:
        yield folder
    finally:
        making.close()


def _write_tables(folder: Path, examined: Examination) -> None:
    """One table after the other is put into order, divided, and laid beside the dataset; then the
    pieces of a split become its file."""
    pieces = folder.parent / "pieces"
    pieces.mkdir()
    names = (*examined.summary.splits, "dropped")
    decided = examined.rows.select("part", "row", *DECIDED)
    weight = weights(examined.settings.checks["wrong_answer"])
    for number, rows in enumerate(examined.originals.in_order(decided, TEXTS)):
        for name in names:
            piece = _dropped(rows) if name == "dropped" else _examples(rows, name, weight)
            piece.write_ipc(pieces / f"{name}-{number:06}.arrow")
    for name in names:
        _write_table(folder, name, sorted(pieces.glob(f"{name}-*.arrow")))
    shutil.rmtree(pieces)


def _examples(rows: pl.DataFrame, split: str, weight: pl.Expr) -> pl.DataFrame:
    answer = pl.col("answer") if split == "train" else pl.col("truth")
    kept = rows.filter((pl.col("split") == split) & pl.col("reason").is_null())
    return kept.select(
        "trace_id",
        "input",
        "choices",
        "rationale",
        pl.col("origin").alias("rationale_origin"),
        answer.alias("answer"),
        "truth",
        "truth_source",
        "group",
        (weight if split == "train" else pl.lit(1.0)).alias("weight"),
        pl.col("answer").alias("teacher_answer"),
        pl.col("correct").alias("teacher_correct"),
        pl.col("repaired").alias("teacher_wrote"),
    ).cast(ROWS)


def _dropped(rows: pl.DataFrame) -> pl.DataFrame:
    answer = pl.coalesce("answer", "answer_raw").alias("answer")
    return rows.filter(pl.col("reason").is_not_null()).with_columns(answer).select(DROPPED)


def _write_table(folder: Path, name: str, pieces: list[Path]) -> None:
    # Streamed from disk however little it is: the bytes must not depend on how it was cut.
    pl.scan_ipc(pieces).sink_parquet(
        folder / f"{name}.parquet",
        compression="zstd",
        statistics=False,
        row_group_size=ROW_GROUP,
        maintain_order=True,
    )


def _hashes(folder: Path) -> dict[str, str]:
    return {file.name: _hash(file) for file in sorted(folder.iterdir()) if file.name != MANIFEST}


def _hash_of(manifest: dict[str, Any]) -> str:
    content = {key: value for key, value in manifest.items() if key != "hash"}
    files = content["files"].items()
    content["files"] = {name: value for name, value in files if name.endswith(".parquet")}
    return content_hash(content)


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def _publish(folder: Path, target: Path) -> bool:
    """Give the finished folder its name; true if an undamaged twin had it already."""
    for file in (*folder.iterdir(), folder):
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    if target.exists():
        try:
            read_dataset(target)
        except DatasetError:
            # The name holds the hash of what was meant to be there, so replacing it loses nothing.
            shutil.rmtree(target)
        else:
            return True
    try:
        folder.rename(target)
    except OSError:
        # Someone else curated the same at the same time and was first.
        if not target.exists():
            raise
        return True
    return False
