"""Answers as we read them from a reply, against the published parse of the same replies."""

from __future__ import annotations

import hashlib
import json
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
READ = json.loads((Path(__file__).parent / "read.json").read_text(encoding="utf-8"))
"""Differences that were read by eye: who is right, by data set and the difference's name. `neither` is
where a reply says two things or nothing and both readings are wrong."""


def extraction(folder: Path) -> dict[str, Any]:
    """By data set: how often both readings say the same, and the differences that were read."""
    return {name: compared(folder, name, file)[0] for name, file in SETS.items()}


def compared(folder: Path, name: str, file: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What goes into the result, and every difference."""
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
            if kind != "same":
                differences.append(
                    {
                        "name": _name(said),
                        "kind": kind,
                        "ours": ours,
                        "published": theirs,
                        "gold": row["answer"],
                        "model": said["model"],
                        "reply": said["raw"][-300:] if name == "mmlu_pro" else said["raw"][:400],
                    }
                )
    total = counts.total()
    verdicts = READ.get(name, {})
    # The same reply may stand twice, as its question does.
    by_name = {one["name"]: one for one in differences if one["name"] in verdicts}
    read = [{**one, "right": verdicts[name]} for name, one in by_name.items()]
    result = {
        "replies": total,
        "same": round(counts["same"] / total, 5),
        "counts": dict(sorted(counts.items())),
        "read": dict(sorted(Counter(one["right"] for one in read).items())),
        "differences": read,
    }
    return result, differences


def _name(said: dict[str, Any]) -> str:
    text = f"{said['model']}\x1f{said['raw']}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


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
    markers = ("The answer is", "answer is:", "correct answer is", "\\boxed{")
    reply = ReplyForm(answer_markers=markers)
    return Task(name="mmlu-pro", answer=AnswerForm(kind="choice"), reply=reply)
