"""The data card: what is in a dataset and what is not, for people, as Markdown and as a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from limbeck.curate.chain import excerpt
from limbeck.curate.conflicts import Conflict
from limbeck.curate.privacy import find_private
from limbeck.curate.settings import CurateSettings
from limbeck.curate.structure import SAMPLE, Structure, find_structure
from limbeck.curate.summary import Summary
from limbeck.curate.terms import clause
from limbeck.rendering import render
from limbeck.types import Task

EXAMPLES = 3
"""Readable examples a reason."""
REPAIRS = 5
"""Repaired answers that are shown, those that were written most often."""
STEPS = 12
"""From so many steps on, chains are one bar."""
LABELS = 30
"""Labels shown by name; the rest are one line."""


def write_cards(
    folder: Path,
    name: str,
    dataset_hash: str,
    task: Task,
    settings: CurateSettings,
    rows: pl.DataFrame,
    summary: Summary,
    caveats: tuple[str, ...],
    structure: Structure | None,
    texts: Callable[[pl.DataFrame], pl.DataFrame],
) -> None:
    """Write `card.md` and `card.html` into `folder`; the same content gives the same bytes.

    `texts` gives the texts of some of `rows`, as an examination does.
    """
    view = {
        "name": name,
        "hash": dataset_hash,
        "task": task,
        "settings": _settings(settings),
        "summary": summary,
        "caveats": caveats,
        "splits": list(summary.splits),
        "funnel": _funnel(summary),
        "drops": _drops(rows, summary, texts),
        "labels": _labels(summary),
        "sames": _sames(summary, settings),
        "conflicts": [_conflict(one) for one in summary.conflicts.examples],
        **_reading(folder, task, rows, summary, structure),
        "repairs": _repairs(folder, summary),
        "clauses": {generator.name: clause(generator.name) for generator in summary.generators},
    }
    for file in ("card.md", "card.html"):
        text = render("limbeck.curate", f"{file}.j2", (_cell, _percent, _count), **view)
        (folder / file).write_text(text, "utf-8")


def read_structure(folder: Path, task: Task) -> Structure | None:
    """The structure of the training chains of the finished tables in `folder`."""
    columns = ["input", "rationale", "teacher_correct"]
    train = pl.read_parquet(folder / "train.parquet", columns=columns, n_rows=SAMPLE)
    return find_structure(train, task.instruction)


def _reading(
    folder: Path, task: Task, rows: pl.DataFrame, summary: Summary, structure: Structure | None
) -> dict[str, Any]:
    """What the texts of the finished dataset tell."""
    return {
        "structure": structure,
        "lengths": _bars(_length_bins(rows)),
        "steps": _bars(_step_bins(structure)),
        "privacy": find_private([folder / f"{split}.parquet" for split in summary.splits], task),
    }


def _repairs(folder: Path, summary: Summary) -> dict[str, Any]:
    """How many answers of each split were repaired, and what was most often read as what."""
    columns = ["teacher_wrote", "teacher_answer"]
    splits = {
        split: pl.read_parquet(folder / f"{split}.parquet", columns=columns)
        .filter(pl.col("teacher_wrote").is_not_null())
        .with_columns(pl.col("teacher_wrote").str.slice(0, 120))
        for split in summary.splits
    }
    counted = pl.concat(splits.values()).group_by(columns).len()
    shown = counted.sort("len", *columns, descending=[True, False, False]).head(REPAIRS)
    return {
        "splits": {split: rows.height for split, rows in splits.items() if rows.height},
        "shown": [
            {"wrote": excerpt(wrote, 80), "read": excerpt(read, 80), "count": count}
            for wrote, read, count in shown.iter_rows()
        ],
    }


def _length_bins(rows: pl.DataFrame) -> dict[str, int]:
    """How many training chains have so many words, in bins that double."""
    train = rows.filter((pl.col("split") == "train") & pl.col("reason").is_null())
    bins = [max(count, 1).bit_length() for count in train["words"].drop_nulls().to_list()]
    spans = range(min(bins, default=0), max(bins, default=-1) + 1)
    return {f"{1 << span - 1} to {(1 << span) - 1}": bins.count(span) for span in spans}


def _step_bins(structure: Structure | None) -> dict[str, int]:
    """How many of the chains that were read have so many steps; long ones are one bin."""
    if structure is None:
        return {}
    long = sum(count for steps, count in structure.steps.items() if steps >= STEPS)
    few = {f"{n}": structure.steps[n] for n in structure.steps if n < STEPS}
    return few | ({f"{STEPS} and more": long} if long else {})


def _bars(bins: Mapping[str, int]) -> list[dict[str, Any]]:
    most, total = max(bins.values(), default=1), max(sum(bins.values()), 1)
    return [
        {"name": name, "count": count, "share": count / total, "width": count / most}
        for name, count in bins.items()
    ]


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _count(number: int) -> str:
    return f"{number:,}"


def _cell(text: str) -> str:
    """Text that can stand inside a Markdown table or list without becoming markup."""
    line = " ".join(str(text).split())
    for mark in "\\`*_{}[]<>#|~":
        line = line.replace(mark, f"\\{mark}")
    return line


def _settings(settings: CurateSettings) -> dict[str, dict[str, str]]:
    """Every setting by its check, as the task file would have it; the rubric of no judge is left out."""
    given = {**settings.checks, **settings.model_dump(include={"duplicates", "contamination"})}
    if not given["judge"]["opinions"]:
        given["judge"] = {"enabled": given["judge"]["enabled"]}
    return {
        name: {
            key: json.dumps(value, ensure_ascii=False)
            for key, value in values.items()
            if value is not None
        }
        for name, values in given.items()
    }


def _funnel(summary: Summary) -> list[dict[str, Any]]:
    total = max(summary.traces, 1)
    return [
        {"name": stage.name, "left": stage.left, "share": stage.left / total}
        for stage in summary.funnel
    ]


def _drops(
    rows: pl.DataFrame, summary: Summary, texts: Callable[[pl.DataFrame], pl.DataFrame]
) -> list[dict[str, Any]]:
    dropped = rows.filter(pl.col("reason").is_not_null())
    shown = dropped.filter(pl.int_range(pl.len()).over("reason") < EXAMPLES)
    shown = shown.hstack(texts(shown).drop("trace_id"))
    return [
        {
            "reason": reason,
            "splits": by_split,
            "total": sum(by_split.values()),
            "share": sum(by_split.values()) / max(summary.traces, 1),
            "examples": [
                _example(row)
                for row in shown.filter(pl.col("reason") == reason).iter_rows(named=True)
            ],
        }
        for reason, by_split in summary.drops.items()
    ]


def _example(row: Mapping[str, Any]) -> dict[str, str]:
    answer = row["answer"] if row["answer"] is not None else row["answer_raw"]
    return {
        "trace": str(row["trace_id"]).removeprefix("sha256:")[:12],
        "split": str(row["split"]),
        "evidence": excerpt(row["evidence"] or "", 300),
        "input": excerpt(row["input"], 300),
        "chain": excerpt(row["rationale"] or "", 400),
        "answer": excerpt(answer, 120) if answer is not None else "",
        "truth": excerpt(row["truth"], 120) if row["truth"] is not None else "",
    }


def _sames(summary: Summary, settings: CurateSettings) -> list[str]:
    """What was found of near-duplicates, conflicts and evaluation texts; a sentence each."""
    given, near, conflicts = settings.duplicates, summary.near, summary.conflicts
    leaked = sum(summary.drops.get("near_leakage", {}).values())
    wanted = f"{given.similarity:.0%} of their pieces of {given.shingle} bytes in common" + (
        " and the same numbers" if given.numbers else ""
    )
    fate = "one of each was kept" if given.near else "all were kept (duplicates.near is off)"
    said = [
        f"Near-duplicates across splits (inputs with at least {wanted}): {leaked:,} traces were "
        f"dropped from the less trusted split.",
        f"Near-duplicates within train: {near.inputs:,} inputs with the same answer form "
        f"{near.clusters:,} clusters, the largest of {near.largest:,}; {fate}."
        if near.clusters
        else "Near-duplicates within train: none with the same answer.",
    ]
    passed_over = sum(summary.drops.get("over_budget", {}).values())
    if given.sampler != "best":
        said.append(
            f"Of different chains of an input at most {given.per_input:,} train, chosen by "
            f"{given.sampler}; {passed_over:,} were left out."
            + (
                ""
                if given.sampler == "random"
                else " Train once with duplicates.sampler=random too: choosing may not pay."
            )
        )
    if conflicts.inputs:
        said.append(
            f"{conflicts.inputs:,} inputs ({conflicts.traces:,} traces) were answered in different "
            f"ways. For {conflicts.by_outcome:,} an outcome tells which answer is right, for "
            f"{conflicts.by_checks:,} the other replies failed a check, and "
            f"{conflicts.set_apart:,} were set apart."
        )
    else:
        said.append("No input was answered in different ways.")
    found = summary.contamination
    said += [
        f"Held against {source.texts:,} texts of {source.name} ({source.hash[:19]}…), of which "
        f"nothing may be trained on."
        for source in found.sources
    ]
    if found.sources:
        said.append(
            f"{found.exact:,} traces had an evaluation text as their input, and {found.phrases:,} "
            f"had {settings.contamination.words} words in a row in common with one; "
            f"{found.template:,} such runs of words were taken for the template of the inputs, "
            f"because more than {settings.contamination.common} different inputs have them."
        )
    return said


def _conflict(one: Conflict) -> dict[str, str]:
    answers = ", ".join(f"{answer!r} {count} times" for answer, count in one.answers.items())
    source = (one.truth_source or "").replace("_", " ")
    known = f"{one.truth!r} stands ({source})" if one.truth is not None else "set apart"
    return {"input": one.input, "answers": answers, "known": known}


def _labels(summary: Summary) -> list[dict[str, Any]]:
    """One row a label: how many and what share of each split has it."""
    total: dict[str, int] = {}
    for counts in summary.labels.values():
        for label, count in counts.items():
            total[label] = total.get(label, 0) + count
    names = sorted(total, key=lambda label: (-total[label], label))[:LABELS]
    return [
        {
            "label": label,
            "counts": [counts.get(label, 0) for counts in summary.labels.values()],
            "shares": [
                counts.get(label, 0) / max(sum(counts.values()), 1)
                for counts in summary.labels.values()
            ],
        }
        for label in names
    ]
