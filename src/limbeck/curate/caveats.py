"""What a reader of a dataset should be warned of before trusting it."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
from scipy.stats import binomtest

from limbeck.curate.structure import Structure
from limbeck.curate.summary import Summary
from limbeck.types import Task
from limbeck.verify.wording import fold

SHARE = 0.2
"""A check that drops more than this share of the training traces may be wrong about the task."""
TIMES = 2.0
"""A check that drops one label this many times as often as the rest changes what is learned."""
NEAR = 0.2
"""A share of near-duplicates above this means that there is less data than it seems."""
TEMPLATE = 0.5
"""A reasoning template with more than this share of the chains leaves little to learn beside it."""
_CHAINS_AT_LEAST = 100
_DROPS_AT_LEAST = 10
_ROWS_AT_LEAST = 20
_GROUPS_AT_LEAST = 50
"""With fewer groups than this a split may well get none."""
_SURE = 0.001
"""The p-value below which an uneven drop is no accident; small, since every label is tested."""


def find_caveats(rows: pl.DataFrame, summary: Summary, task: Task) -> tuple[str, ...]:
    """Sentences for a person, the gravest first."""
    wanted = ("reason", "characters", "origin", "truth", "answer")
    train = rows.lazy().filter(pl.col("split") == "train").select(wanted).collect()
    return (
        *_about_provenance(summary),
        *_about_truth(rows, summary),
        *_about_rationales(train),
        *_about_splits(rows, summary, task),
        *_about_sames(train, summary),
        *_about_checks(train, summary),
        *_about_labels(train, summary, task),
    )


def about_templates(structure: Structure | None) -> Iterator[str]:
    """Whether one reasoning template stands for too many of the training chains."""
    if structure is None or structure.chains < _CHAINS_AT_LEAST:
        return
    first = structure.top[0]
    share = first.chains / structure.chains
    if share > TEMPLATE:
        right = f", {first.right:,} of {first.known:,} right" if first.known else ""
        yield (
            f"One of {structure.templates:,} reasoning templates has {share:.0%} of the "
            f"{structure.chains:,} training chains that were read{right}: a student learns little "
            f"else, and inputs that need another way suffer first. One reads: {first.example!r}"
        )


def _about_provenance(summary: Summary) -> Iterator[str]:
    simulated = sum(generator.simulated for generator in summary.generators)
    if simulated:
        yield (
            f"{simulated:,} of {summary.traces:,} traces are simulated: results say nothing "
            f"about real calls."
        )


def _about_truth(rows: pl.DataFrame, summary: Summary) -> Iterator[str]:
    for split, sources in summary.truth_sources.items():
        agreed = sources.get("teacher_agreement", 0)
        if agreed and split != "train":
            yield (
                f"For {agreed:,} of {summary.splits[split]:,} rows of {split} the truth is the "
                f"teacher's own answer: scores on them measure agreement, not correctness."
            )
    unknown = (pl.col("reason") == "unknown_truth") & pl.col("correct").eq(False)
    lost = rows.select(((pl.col("split") != "train") & unknown).sum()).item()
    if lost:
        yield (
            f"{lost:,} rows for judging were lost because their outcome says that the answer was "
            f"wrong, but not what is right: what is left is easier, and the teacher looks better "
            f"than it is. Attach outcomes with a value."
        )


def _about_rationales(train: pl.DataFrame) -> Iterator[str]:
    kept = train.filter(pl.col("reason").is_null() & pl.col("characters").is_not_null())
    asked = kept.filter(pl.col("origin") == "post_hoc").height
    if asked:
        yield (
            f"{asked:,} of {kept.height:,} training rationales ({asked / kept.height:.0%}) were "
            f"asked for after the answer was recorded: they explain it, and did not lead to it."
        )


def _about_splits(rows: pl.DataFrame, summary: Summary, task: Task) -> Iterator[str]:
    groups = rows["group"].n_unique() if rows["group"].null_count() < rows.height else 0
    why = "no trace fell into it"
    if 0 < groups < _GROUPS_AT_LEAST:
        why += f": a group stands in one split as a whole, and there are only {groups:,}"
    for split in ("validation", "calibration", "test"):
        if not summary.splits.get(split):
            planned = getattr(task.splits, split)
            said = why if planned else "its share in the task file is 0"
            yield f"The split {split} is empty: {said}."


def _about_sames(train: pl.DataFrame, summary: Summary) -> Iterator[str]:
    apart = summary.conflicts.set_apart
    if apart:
        yield (
            f"{apart:,} inputs were answered in different ways, and no outcome tells which answer "
            f"is right: all their traces were set apart. Attach outcomes to win them back."
        )
    near = summary.near
    dropped = "near_duplicate" in summary.drops
    kept = train.filter(pl.col("reason").is_null()).height
    extra = near.inputs - near.clusters
    if not dropped and extra > NEAR * max(kept, 1):
        yield (
            f"{extra:,} of {kept:,} training inputs nearly repeat another with the same answer: "
            f"there is less variety than the count says. To keep one of each: "
            f"limbeck curate --set duplicates.near=true"
        )


def _about_checks(train: pl.DataFrame, summary: Summary) -> Iterator[str]:
    for reason, by_split in summary.drops.items():
        count = by_split.get("train", 0)
        share = count / max(train.height, 1)
        if share > SHARE and reason == "duplicate":
            yield (
                f"{count:,} training traces ({share:.0%}) are further chains or copies of an input, of "
                f"which one is kept; to keep more: --set duplicates.per_input=N"
            )
        elif share > SHARE and reason != "over_budget":
            yield (
                f"{reason} dropped {share:.0%} of the training traces: read its examples before "
                f"you trust it."
            )


def _about_labels(train: pl.DataFrame, summary: Summary, task: Task) -> Iterator[str]:
    for same in _colliding(task):
        yield (
            f"The labels {', '.join(map(repr, same))} differ in nothing that matters: a reply that "
            f"writes them in any other way cannot be told apart, and is dropped as malformed."
        )
    if task.answer.kind == "choice":
        known = train.with_columns(pl.coalesce("truth", "answer").alias("label"))
        yield from _uneven(known.filter(pl.col("label").is_not_null()))
    learned = summary.labels.get("train", {})
    for split in ("test", "shifted"):
        unseen = [label for label in summary.labels.get(split, {}) if label not in learned]
        if unseen and learned and task.answer.kind == "choice":
            listed = ", ".join(repr(label) for label in unseen[:5])
            yield f"No training example has the answer {listed}, which {split} asks for."


def _colliding(task: Task) -> Iterator[list[str]]:
    """Labels of the task that are the same but for case, articles and punctuation."""
    by_form: dict[str, list[str]] = {}
    for label in task.answer.choices:
        by_form.setdefault(fold(label), []).append(label)
    yield from (same for same in by_form.values() if len(same) > 1)


def _uneven(train: pl.DataFrame) -> Iterator[str]:
    labels = train["label"].unique().sort().to_list()
    for reason in train["reason"].drop_nulls().unique().sort().to_list():
        hit = pl.col("reason").eq_missing(pl.lit(reason))
        if train.select(hit.sum()).item() < _DROPS_AT_LEAST:
            continue
        for label in labels:
            own = train.filter(pl.col("label") == label)
            rest = train.filter(pl.col("label") != label)
            if min(own.height, rest.height) < _ROWS_AT_LEAST:
                continue
            dropped = own.select(hit.sum()).item()
            # Half a drop more keeps a rest without any drop from making every rate infinite.
            usual = (rest.select(hit.sum()).item() + 0.5) / (rest.height + 1)
            rate = dropped / own.height
            unlikely = binomtest(dropped, own.height, usual, alternative="greater").pvalue < _SURE
            if rate > TIMES * usual and unlikely:
                yield (
                    f"{reason} falls unevenly: it dropped {rate:.0%} of the training traces with "
                    f"the answer {label!r}, and {usual:.0%} of the others."
                )
