"""Answers as we read them from a reply, against the published parse of the same replies."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from limbeck.capture.reply import read_reply
from limbeck.types import AnswerForm, ReplyForm, Task
from limbeck.verify.table import judge, normalize
from limbeck.workspace import read_task
from quality.data import rows

EXAMPLES = Path(__file__).parents[2] / "examples" / "tasks"
SETS = {
    "mmlu_pro": "mmlu_pro_multi_teacher/test_part",
    "cqa": "cqa_palm/train",
    "esnli": "esnli_palm/valid",
    "svamp": "svamp_palm/train",
}
READ = 100
"""Differences that are kept, to be read by eye."""


def extraction(folder: Path, read: int = READ) -> dict[str, Any]:
    """By data set: how often both readings say the same, and the first differences."""
    return {name: _compared(folder, name, file, read) for name, file in SETS.items()}


def _compared(folder: Path, name: str, file: str, read: int) -> dict[str, Any]:
    task = _task(name)
    counts: Counter[str] = Counter()
    differences: list[dict[str, Any]] = []
    for row in rows(folder, file):
        choices = tuple(row["choices"] or ())
        for said in row["teacher"]:
            if not _of_this_form(name, said["model"]):
                continue
            ours, theirs = _ours(task, said["raw"], choices), said["answer"]
            kind = _kind(task, ours, theirs, choices)
            counts[kind] += 1
            if kind != "same" and len(differences) < 20 * read:
                differences.append(
                    {
                        "kind": kind,
                        "ours": ours,
                        "published": theirs,
                        "gold": row["answer"],
                        "model": said["model"],
                        "reply_ends": said["raw"][-300:]
                        if name == "mmlu_pro"
                        else said["raw"][:400],
                    }
                )
    total = counts.total()
    step = max(1, len(differences) // read)
    return {
        "replies": total,
        "same": round(counts["same"] / total, 5),
        "counts": dict(sorted(counts.items())),
        "differences": differences[::step][:read],
    }


def _ours(task: Task, raw: str, choices: tuple[str, ...]) -> str | None:
    found = read_reply(task, raw, choices=choices).answer
    return None if found is None else normalize(task, found, choices)


def _kind(task: Task, ours: str | None, theirs: str | None, choices: tuple[str, ...]) -> str:
    if ours is None or theirs is None:
        if ours is theirs:
            return "same"
        return "only_published" if ours is None else "only_ours"
    return "same" if judge(task, ours, theirs, choices).score >= 0.5 else "different"


def _of_this_form(name: str, model: str) -> bool:
    return name == "mmlu_pro" or model.startswith("palm")


def _task(name: str) -> Task:
    if name != "mmlu_pro":
        return read_task(EXAMPLES / f"{name}.toml")
    reply = ReplyForm(answer_markers=("The answer is", "answer is:", "correct answer is"))
    return Task(name="mmlu-pro", answer=AnswerForm(kind="choice"), reply=reply)
