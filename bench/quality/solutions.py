"""Solutions of 13 models to grade-school problems, right and wrong: what the checks can tell without the
true answer.

The score of a solution is how many checks fail, and the doubt that its numbers leave. What makes up the
doubt was chosen on every other question; the numbers are of the rest. It is compared with the length of
the chain, with the distance of its logarithm from the model's middle, and with the answer's length.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from limbeck.curate.checks.support import doubt
from limbeck.curate.checks.table import CHECKS
from limbeck.types import AnswerForm, Outcome, Provenance, ReplyForm, Task, Trace
from quality.checked import checked
from quality.data import rows
from quality.ranking import ranking

FILE = "gsm8k_model_solutions/test_part"
_BLIND = [name for name in CHECKS if name != "wrong_answer"]


def solutions(folder: Path) -> dict[str, Any]:
    """Of all models together, of each alone, and of each check."""
    made = pl.concat(_models(folder))
    wrong = made["wrong"].to_numpy()
    answered = made.filter(pl.col("answer").is_not_null())
    return {
        "solutions": made.height,
        "wrong": int(wrong.sum()),
        "share_wrong": round(float(wrong.mean()), 4),
        "all": _ranked(made),
        "within_a_model_mean_auroc": _within(answered),
        "with_an_answer_only": {"solutions": answered.height, **_ranked(answered)},
        "checks": {name: _of_check(made, name) for name in _BLIND},
        "models": {
            str(model): {"share_wrong": round(float(part["wrong"].mean()), 4), **_ranked(part)}  # type: ignore[arg-type]
            for (model,), part in made.partition_by("model", as_dict=True).items()
        },
    }


def _ranked(made: pl.DataFrame) -> dict[str, Any]:
    wrong = made["wrong"].to_numpy()
    words = made["words"].to_numpy().astype(float)
    return {
        "checks": ranking(made["score"].to_numpy(), wrong),
        "length": ranking(words, wrong),
        "log_length_from_the_middle": ranking(made["unusual"].to_numpy(), wrong),
        "answer_length": ranking(made["answer_length"].to_numpy().astype(float), wrong),
    }


def _within(answered: pl.DataFrame) -> dict[str, float]:
    """The mean over the models of each score's AUROC within one: there length tells no models apart."""
    parts = [_ranked(part) for part in answered.partition_by("model")]
    parts = [part for part in parts if part["checks"]]
    return {
        name: round(float(np.mean([part[name]["auroc"] for part in parts])), 4) for name in parts[0]
    }


def _of_check(made: pl.DataFrame, name: str) -> dict[str, Any]:
    failed = made.filter(pl.col(f"check:{name}").is_not_null())
    right = failed.filter(~pl.col("wrong"))
    return {
        "fails": failed.height,
        "of_them_wrong": round(1 - right.height / failed.height, 4) if failed.height else None,
        "right_but_failed": right.select(f"check:{name}", "reply").head(3).rows(),
    }


def _models(folder: Path) -> list[pl.DataFrame]:
    by_model: dict[str, tuple[list[Trace], dict[str, Outcome]]] = {}
    for row in islice(rows(folder, FILE), 1, None, 2):
        for said in row["teacher"]:
            traces, truths = by_model.setdefault(said["model"], ([], {}))
            provenance = Provenance(source="import", generator=said["model"], row=row["id"])
            trace = Trace(task="gsm8k", input=row["input"], raw=said["raw"], provenance=provenance)
            traces.append(trace)
            truths[trace.id] = Outcome(trace_id=trace.id, value=row["answer"], source="gold")
    return [_one(model, *given) for model, given in by_model.items()]


def _one(model: str, traces: list[Trace], truths: dict[str, Outcome]) -> pl.DataFrame:
    frame = checked(traces, _task(model), truths)
    asked = frame.select("input", "rationale", "answer").iter_rows()
    doubts = [doubt(prompt, chain or "", answer) for prompt, chain, answer in asked]
    failed = pl.sum_horizontal(
        pl.col(f"check:{name}").is_not_null().cast(pl.Int32) for name in _BLIND
    )
    words = frame["rationale"].fill_null("").str.count_matches(r"\w+")
    logs = np.log(words.to_numpy() + 1.0)
    return frame.select(
        pl.lit(model).alias("model"),
        "reply",
        "answer",
        *(f"check:{name}" for name in _BLIND),
        (~pl.col("correct").fill_null(False)).alias("wrong"),
        (failed + pl.Series(doubts)).alias("score"),
        words.alias("words"),
        pl.Series(np.abs(logs - np.median(logs))).alias("unusual"),
        pl.col("answer_raw").fill_null("").str.len_chars().alias("answer_length"),
    )


def _task(model: str) -> Task:
    if model.endswith("/json"):
        reply = ReplyForm(answer_field="answer", rationale_field="reasoning", stop=("</s>",))
    elif model.endswith("shot"):
        reply = ReplyForm(answer_markers=("####",))
    else:
        reply = ReplyForm(answer_markers=("\nA:",))
    return Task(name="gsm8k", answer=AnswerForm(kind="number"), reply=reply)
