"""Chains that were falsified in one step, and chains that people voted on: what is told without a judge.

Little is to be expected: the falsified step is as fluent as the one that stood there, and the votes are
about whether an explanation is good, not whether it has a fault of form.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from limbeck.curate.checks.table import CHECKS
from limbeck.types import AnswerForm, Provenance, ReplyForm, Task, Trace
from quality.checked import checked
from quality.data import rows
from quality.ranking import ranking

VOTED = ("cqa_test", "cqa_train", "snli_train")
TASK = Task(name="voted", answer=AnswerForm(kind="choice"), reply=ReplyForm(answer_markers=()))


def corrupted(folder: Path) -> dict[str, Any]:
    """Of a chain and the same with one step falsified: which one more checks fail for, and the length."""
    traces, false = [], []
    for row in rows(folder, "corrupted_chains_obqa/test"):
        for said in row["teacher"]:
            if said["rationale"]:
                traces.append(_trace(row, said, said["rationale"], None))
                false.append(said["model"].endswith("one-step-corrupted"))
    made = _scored(traces).with_columns(pl.Series("false", false))
    wrong = made["false"].to_numpy()
    return {
        "chains": made.height,
        "checks": ranking(made["score"].to_numpy(), wrong),
        "length": ranking(made["words"].to_numpy().astype(float), wrong),
        "fails": _fails(made, "false"),
    }


def votes(folder: Path) -> dict[str, Any]:
    """Of explanations: those that at most one of three people accepted, against the others."""
    out = {}
    for name in VOTED:
        traces, refused, surprise = [], [], []
        for row in rows(folder, f"rationale_quality_gpt3/{name}"):
            accepted, nll = row["meta"]["accept_votes"], row["meta"].get("nll") or {}
            for said in row["teacher"]:
                if said["rationale"] and said["model"] in accepted:
                    traces.append(_trace(row, said, said["rationale"], said["answer"]))
                    refused.append(accepted[said["model"]] < 2)
                    surprise.append(float(nll.get(said["model"]) or 0.0))
        made = _scored(traces).with_columns(pl.Series("refused", refused))
        bad = made["refused"].to_numpy()
        out[name] = {
            "explanations": made.height,
            "refused": round(float(bad.mean()), 4),
            "checks": ranking(made["score"].to_numpy(), bad),
            "brevity": ranking(-made["words"].to_numpy().astype(float), bad),
            "likelihood_by_its_author": ranking(np.array(surprise), bad),
            "fails": _fails(made, "refused"),
        }
    return out


def _trace(row: dict[str, Any], said: dict[str, Any], chain: str, answer: str | None) -> Trace:
    # A thinking block is a chain as it stands, and the text beside it the answer.
    return Trace(
        task="voted",
        input=row["input"],
        choices=tuple(dict.fromkeys(row["choices"] or ())),
        raw=answer or "none",
        thinking=chain,
        provenance=Provenance(source="import", generator=said["model"], row=row["id"]),
    )


def _scored(traces: list[Trace]) -> pl.DataFrame:
    """How many checks fail for each trace, in their order; those of the answer are not asked."""
    order = pl.DataFrame({"trace_id": [trace.id for trace in traces]})
    frame = checked(traces, TASK).unique("trace_id")
    names = [name for name in CHECKS if name not in _OF_THE_ANSWER]
    failed = pl.sum_horizontal(
        pl.col(f"check:{name}").is_not_null().cast(pl.Int32) for name in names
    )
    words = pl.col("rationale").fill_null("").str.count_matches(r"\w+")
    frame = frame.select(
        "trace_id",
        failed.cast(pl.Float64).alias("score"),
        words.alias("words"),
        *(f"check:{name}" for name in names),
    )
    return order.join(frame, on="trace_id", how="left", maintain_order="left")


_OF_THE_ANSWER = ("missing_answer", "malformed_answer", "wrong_answer", "cut_off")


def _fails(made: pl.DataFrame, bad: str) -> dict[str, dict[str, float]]:
    found = {}
    for name in [column for column in made.columns if column.startswith("check:")]:
        failed = made.filter(pl.col(name).is_not_null())
        if failed.height:
            share = float(failed[bad].cast(pl.Float64).mean() or 0.0)  # type: ignore[arg-type]
            found[name.removeprefix("check:")] = {
                "chains": failed.height,
                "of_them_bad": round(share, 4),
            }
    return found
