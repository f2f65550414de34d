"""A dataset with another training split, written beside the first: what an arm of a study learns from.

The other splits are those of the first, file by file, so that all arms answer the same questions.
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from pathlib import Path

import polars as pl

from limbeck.curate.budget import FITTED, LIKELIEST, Pairs, choose
from limbeck.curate.dataset import MANIFEST, ROWS, Dataset, read_dataset
from limbeck.errors import DatasetError
from limbeck.evaluate.study.arms import Cut
from limbeck.types import Task
from limbeck.verify.table import normalize

NOT_OF_QUALITY = (
    "failed_call", "student_reply", "contamination", "leakage", "near_leakage",
    "duplicate", "over_budget", "near_duplicate", "same_meaning", "conflicting_truth", "unknown_truth",
)  # fmt: skip
"""Reasons of the curation that say nothing about how good a reply is."""


def cut(dataset: Dataset, wanted: Cut, seed: int, out: Path) -> Dataset:
    """`dataset` with `wanted` as its training split, in a folder of `out` that its content names.

    Inputs are drawn by a hash of `seed` and input: of one seed, more are always a superset of fewer.
    The seed is also that of a sampler of chains that draws. Raises DatasetError where there are too few
    inputs, or the folder cannot be written.
    """
    if wanted == Cut():
        return dataset
    rows = _pool(dataset, wanted, seed)
    there = rows["input"].n_unique()
    if wanted.inputs is not None:
        if wanted.inputs > there:
            raise DatasetError(
                f"an arm wants {wanted.inputs:,} inputs to train on and the dataset "
                f"{dataset.path.name!r} has {there:,}; name fewer, or curate more traces"
            )
        if wanted.inputs == there and wanted.pool == "checked" and wanted.chains is None:
            return dataset
        rows = _drawn(rows, wanted.inputs, seed)
    if wanted.chains is not None:
        rows = _sampled(rows, wanted.chains, wanted.sampler, seed)
    # Without defaults: what a later version adds to a cut must not make earlier ones anew.
    how = wanted.model_dump_json(exclude_defaults=True)
    said = f"derived from {dataset.hash} by a study: {how}, seed {seed}"
    return _write(dataset, rows, said, out)


def dropped_for_quality(dataset: Dataset) -> pl.DataFrame:
    """Training replies that a check dropped and that could be learned from all the same, as rows of a
    split. A reply without an answer in the task's form is none of them."""
    task = dataset.task
    # A table of dropped traces does not say which choices a call had.
    if task.answer.kind == "choice" and not task.answer.choices:
        return pl.DataFrame(schema=ROWS)
    rows = dataset.dropped().filter(
        (pl.col("split") == "train")
        & pl.col("reason").is_in(NOT_OF_QUALITY).not_()
        & pl.col("input").is_not_null()
        & pl.col("answer").is_not_null()
    )
    others = pl.concat(
        [dataset.rows(name).select("input") for name in dataset.splits], how="vertical"
    )
    rows = rows.join(others, on="input", how="anti").unique("input", keep="first")
    usable = [_in_form(task, answer) for answer in rows["answer"]]
    rows = rows.with_columns(pl.Series("answer", usable, dtype=pl.String)).drop_nulls("answer")
    return rows.select(
        "trace_id",
        "input",
        pl.lit([], dtype=pl.List(pl.String())).alias("choices"),
        "rationale",
        pl.when(pl.col("rationale").is_not_null())
        .then(pl.lit("elicited"))
        .alias("rationale_origin"),
        "answer",
        pl.coalesce("truth", "answer").alias("truth"),
        pl.lit("teacher_agreement").alias("truth_source"),
        pl.lit(None, dtype=pl.String).alias("group"),
        pl.lit(1.0).alias("weight"),
        pl.col("answer").alias("teacher_answer"),
        (pl.col("answer") == pl.col("truth")).alias("teacher_correct"),
        pl.lit(None, dtype=pl.String).alias("teacher_wrote"),
    ).cast(ROWS)


def _in_form(task: Task, answer: str) -> str | None:
    return normalize(task, answer, task.answer.choices)


def _pool(dataset: Dataset, wanted: Cut, seed: int) -> pl.DataFrame:
    checked = dataset.rows("train")
    if wanted.pool == "checked":
        return checked
    everything = pl.concat([checked, dropped_for_quality(dataset).select(checked.columns)])
    if wanted.pool == "everything":
        return everything
    return _drawn(everything, checked["input"].n_unique(), seed)


def _drawn(rows: pl.DataFrame, count: int, seed: int) -> pl.DataFrame:
    """The rows of so many inputs, whatever the order of the rows."""
    inputs = sorted(
        rows["input"].unique().to_list(),
        key=lambda text: hashlib.sha256(
            f"{seed}\n{text}".encode("utf-8", "surrogatepass")
        ).digest(),
    )
    return rows.filter(pl.col("input").is_in(inputs[:count]))


def _sampled(rows: pl.DataFrame, budget: int, sampler: str, seed: int) -> pl.DataFrame:
    """The rows without the chains that `sampler` does not choose; a row without a chain stays."""
    rows = rows.sort("trace_id").with_row_index("place")
    told = rows.drop_nulls("rationale")
    likely = Pairs(told["rationale"].head(FITTED)) if sampler == LIKELIEST else None
    lost: list[int] = []
    for own in told.partition_by("input", "choices", maintain_order=True):
        chains, right = own["rationale"].to_list(), own["teacher_correct"].to_list()
        kept = set(choose(sampler, chains, right, budget, likely, seed))
        lost += [place for nth, place in enumerate(own["place"]) if nth not in kept]
    return rows.filter(pl.col("place").is_in(lost).not_()).drop("place")


def _write(dataset: Dataset, train: pl.DataFrame, said: str, out: Path) -> Dataset:
    partial = out / f".writing-{uuid.uuid4().hex}"
    try:
        partial.mkdir(parents=True)
        for name in dataset.splits:
            if name != "train":
                shutil.copyfile(dataset.path / f"{name}.parquet", partial / f"{name}.parquet")
        train.sort("trace_id").write_parquet(partial / "train.parquet", statistics=False)
        files = {file.name: _hash(file) for file in sorted(partial.iterdir())}
        summary = dataset.manifest.summary
        summary = summary.model_copy(update={"splits": {**summary.splits, "train": train.height}})
        manifest = dataset.manifest.model_copy(
            update={
                "summary": summary,
                "caveats": (*dataset.manifest.caveats, said),
                "files": files,
                "hash": "",
            }
        )
        manifest = manifest.model_copy(update={"hash": manifest.derived_hash()})
        (partial / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n", "utf-8")
        target = out / f"{dataset.task.name}-{manifest.hash.removeprefix('sha256:')[:16]}"
        if not target.exists():
            partial.rename(target)
    except OSError as error:
        raise DatasetError(
            f"the data of a study cannot be written into {out}: {error.strerror or error}; "
            "make room and run the same command again"
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return read_dataset(target)


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
