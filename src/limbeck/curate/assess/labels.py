"""What a student would learn to answer, and whose word that is."""

from __future__ import annotations

import json
from collections.abc import Mapping

import polars as pl

from limbeck.curate.assess.chance import entropy_bits, proportion
from limbeck.curate.assess.findings import Labels, TeacherWord
from limbeck.curate.assess.intake import Intake
from limbeck.curate.assess.settings import AssessSettings

SHOWN = 8


def whose_word(read: Intake, settings: AssessSettings) -> str:
    """The column of the labels: `truth` by outcome where there are enough, else the teacher's `answer`."""
    known = read.calls["truth"].drop_nulls().len()
    return "truth" if known >= settings.min_outcomes else "answer"


def labelled_inputs(read: Intake, column: str) -> pl.DataFrame:
    """`key` and `label` of each input that has one: that of the first of its calls."""
    there = read.calls.filter(pl.col(column).is_not_null())
    return there.unique("key", keep="first", maintain_order=True).select(
        "key", pl.col(column).alias("label")
    )


def find_labels(read: Intake, column: str) -> Labels:
    """The balance of the labels, each input once."""
    counts = (
        labelled_inputs(read, column)["label"]
        .value_counts(name="inputs")
        .sort(["inputs", "label"], descending=[True, False])
    )
    inputs = int(counts["inputs"].sum())
    top = {_name(read.answers, row[0]): int(row[1]) for row in counts.head(SHOWN).rows()}
    return Labels(
        source="outcome" if column == "truth" else "teacher",
        inputs=inputs,
        distinct=counts.height,
        entropy_bits=entropy_bits(counts["inputs"].to_numpy()),
        majority=proportion(counts["inputs"][0] if inputs else 0, inputs),
        in_input=_standing_in_input(read.texts, column),
        top=top,
    )


def _name(answers: Mapping[int, str], hashed: int) -> str:
    text = answers.get(hashed, f"#{hashed:016x}")
    return text if len(text) <= 60 else f"{text[:59]}…"


def _standing_in_input(texts: pl.DataFrame, column: str) -> float:
    there = texts.filter(pl.col(column).is_not_null())
    if there.is_empty():
        return 0.0
    folded = zip(there["input"].str.to_lowercase(), there[column].str.to_lowercase(), strict=True)
    return sum(stands_in(label, asked) for asked, label in folded) / there.height


def stands_in(label: str, asked: str) -> bool:
    """Whether an answer stands in the input word for word; of a JSON object, all of its values."""
    try:
        fields = json.loads(label) if label.startswith("{") else None
    except ValueError:
        fields = None
    values = list(fields.values()) if isinstance(fields, dict) and fields else [label]
    return all(str(value) in asked for value in values)


def find_teacher_word(read: Intake) -> TeacherWord:
    """The teacher's answers against outcomes, and against each other."""
    calls = read.calls
    judged = calls.filter(pl.col("outcome").is_not_null())
    known = judged.filter(pl.col("correct").is_not_null())
    # A source that repeats the teacher's own word says nothing about it.
    independent = [place for place, name in enumerate(read.sources) if name != "teacher_agreement"]
    counted = known.filter(pl.col("outcome").is_in(independent))
    by_source = {
        str(read.sources[place]): part
        for (place,), part in sorted(judged.partition_by("outcome", as_dict=True).items())
        if isinstance(place, int)
    }
    right_by_source = {
        name: found
        for name, part in by_source.items()
        if (found := proportion(int(part["correct"].sum()), part["correct"].drop_nulls().len()))
    }
    mean, repeated = agreement(calls)
    return TeacherWord(
        with_outcome=judged.height,
        by_source={name: part.height for name, part in by_source.items()},
        right=proportion(int(counted["correct"].sum()), counted.height),
        right_by_source=right_by_source,
        repeated=repeated,
        agreement=proportion(mean * repeated, repeated),
    )


def agreement(calls: pl.DataFrame) -> tuple[float, int]:
    """How often two answers of one model to one input are the same, in the mean over the inputs that
    it was asked more than once, and how many those are."""
    counts = (
        calls.filter(pl.col("answer").is_not_null())
        .group_by("key", "generator", "answer")
        .agg(pl.len().cast(pl.Float64).alias("same"))
        .group_by("key", "generator")
        .agg(
            (pl.col("same") * (pl.col("same") - 1)).sum().alias("pairs"),
            pl.col("same").sum().alias("asked"),
        )
        .filter(pl.col("asked") > 1)
        .select(pl.col("pairs") / (pl.col("asked") * (pl.col("asked") - 1)))["pairs"]
    )
    mean = counts.mean()
    return (float(mean) if isinstance(mean, float) else 0.0), counts.len()
