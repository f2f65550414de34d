"""Which recipe wins on which task, with nano students from scratch and three seeds of each?

Makes a workspace, fills it with simulated calls (refunds, ledger) and with real completions of large
teachers (e-SNLI, CommonsenseQA, SVAMP; only with --data), curates, and runs `limbeck study` on each. Every
number is from the study's own JSON: accuracy over three seeds, the paired difference to the label-only
control, and its interval. It then runs the studies of `STUDIES`, and the recipes that take several trainings on
`refunds`. docs/results.md shows what came of it.

    python bench/recipes.py --data FOLDER    three hours on two cores; goes on where it was stopped
    python bench/recipes.py --only refunds   one task

Writes bench/results/recipes.json after every study and prints the table of docs/results.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

import limbeck
from limbeck.capture.sandbox.faults import FaultRates, draw, rng_of, spoil
from limbeck.capture.sandbox.tasks import load
from limbeck.workspace import Workspace

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "bench" / "results" / "recipes.json"
SINGLE = ("multitask", "think-first", "answer-first", "outline", "socratic", "adaptive")
"""Recipes that need one chain an input."""
SEVERAL = ("sampled", "mix")
"""Recipes that differ from think-first only where an input has several chains."""


@dataclass(frozen=True)
class Subject:
    """A task, where its calls come from, and how its students are trained."""

    name: str
    settings: tuple[str, ...]
    recipes: tuple[str, ...]
    source: str
    calls: int = 0
    """Simulated calls; 0 takes the files."""
    files: tuple[tuple[str, str | None, int], ...] = ()
    """(file below --data, split, rows at most)."""
    chains: tuple[str, ...] = ("teacher.0.raw",)
    """Where a row has its completions; each becomes a call of its own."""


FEWER_CHECKS = "evaluate_items=64"
"""Validation decides nothing here, and students that have not learned to stop write for long."""
REFUNDS = ("steps=200",)
LEDGER = ("steps=320", "learning_rate=0.01", FEWER_CHECKS)
ESNLI = ("steps=240", FEWER_CHECKS)
CQA = ("steps=200", FEWER_CHECKS)
SVAMP = ("steps=120", FEWER_CHECKS)
SUBJECTS = (
    Subject("refunds", REFUNDS, SINGLE, "simulated teacher", calls=3200),
    Subject("ledger", LEDGER, SINGLE, "simulated teacher", calls=2600),
    Subject(
        "esnli",
        ESNLI,
        SINGLE,
        "PaLM 540B",
        files=(
            ("esnli_palm/valid.jsonl.gz", None, 5000),
            ("esnli_palm/test.jsonl.gz", "test", 600),
        ),
    ),
    Subject(
        "cqa",
        CQA,
        SINGLE,
        "PaLM 540B",
        files=(("cqa_palm/train.jsonl.gz", None, 5000), ("cqa_palm/test.jsonl.gz", "test", 600)),
    ),
    Subject(
        "svamp",
        SVAMP,
        (*SINGLE, *SEVERAL),
        "GPT-4o and Gemini, several levels of detail",
        files=(("svamp_multi_teacher/train.jsonl.gz", None, 700),),
        chains=tuple(f"teacher.{n}.raw" for n in range(4)),
    ),
)
STUDIES = (
    ("refunds", "structure", REFUNDS, ("kinds=digits,shuffle,other-item", "doses=1")),
    ("ledger", "structure", LEDGER, ("kinds=digits,shuffle,other-item", "doses=1")),
    ("refunds", "sample-efficiency", REFUNDS, ("sizes=400,2000",)),
    ("ledger", "sample-efficiency", LEDGER, ("sizes=400,2000",)),
)
"""Task, study, settings of the training, settings of the study."""
ELDER = ("steps=600", "seed=7")
"""Of the student that teaches `on-policy`: trained three times as long, on the same data."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder with esnli_palm, cqa_palm, ...")
    parser.add_argument("--workspace", type=Path, default=Path("limbeck-recipes"))
    parser.add_argument("--only", nargs="+", help="tasks, or TASK:STUDY")
    parser.add_argument("--jobs", default="0", help="students side by side; 0: one a core")
    given = parser.parse_args()
    workspace = Workspace.create(given.workspace.resolve())
    wanted: list[tuple[Subject, str, tuple[str, ...], tuple[str, ...]]] = [
        (subject, "recipes", subject.settings, (f"recipes={','.join(subject.recipes)}",))
        for subject in SUBJECTS
        if given.data or subject.calls
    ]
    named = {subject.name: subject for subject in SUBJECTS}
    wanted += [(named[task], study, settings, arms) for task, study, settings, arms in STUDIES]
    wanted.append((named["refunds"], "several", REFUNDS, ()))
    for subject, study, settings, arms in wanted:
        key = subject.name if study == "recipes" else f"{subject.name}:{study}"
        if given.only and key not in given.only:
            continue
        fill(workspace, subject, given.data)
        began = time.monotonic()
        if study == "several":
            study, arms = "recipes", (f"recipes=bootstrap,on-policy+teacher={elder(workspace)}",)
        args = [study, "--task", subject.name, "--jobs", given.jobs]
        args += [part for one in settings for part in ("--set", one)]
        args += [part for one in arms for part in ("--with", one)]
        found = limbeck_says(workspace, "study", *args)
        keep(key, shortened(found, subject, study, args, time.monotonic() - began))
    print(table(json.loads(RESULT.read_text())))
    return 0


def fill(workspace: Workspace, subject: Subject, data: Path | None) -> None:
    """Brings the calls in and curates them, unless that is done."""
    if list((workspace.home / "datasets").glob(f"{subject.name}-*")):
        return
    if subject.calls:
        workspace.write_task(load(subject.name).task())
        rows = workspace.root / f"{subject.name}.jsonl"
        rows.write_text("\n".join(simulated(subject.name, subject.calls)) + "\n")
        limbeck_says(
            workspace,
            *("import", str(rows), "--task", subject.name),
            *("--map", "input={input}", "--map", "reply=reply", "--map", "truth=truth"),
        )
    else:
        assert data is not None
        source = ROOT / "examples" / "tasks" / f"{subject.name}.toml"
        target = workspace.tasks_folder / source.name
        shutil.copy(source, target)
        if len(subject.chains) > 1:
            # Several teachers wrote for each question, and this source has no file of test rows.
            text = target.read_text().replace("test = 0\n", "test = 0.2\n")
            text = text.replace("train = 0.8\n", "train = 0.6\n")
            target.write_text(f"{text}\n[checks.duplicates]\nper_input = {len(subject.chains)}\n")
        for file, split, limit in subject.files:
            for chain in subject.chains:
                limbeck_says(
                    workspace,
                    *("import", str(data / file), "--task", subject.name, "--limit", str(limit)),
                    *(("--split", split) if split else ()),
                    *("--map", f"reply={chain}", "--map", f"generator={chain[:-3]}model"),
                    *(("--map", "id=") if len(subject.chains) > 1 else ()),
                )
    limbeck_says(workspace, "curate", "--task", subject.name)


def elder(workspace: Workspace) -> str:
    """The teacher of `on-policy`, as a path from the workspace."""
    settings = [part for one in ELDER for part in ("--set", one)]
    made = limbeck_says(workspace, "distill", "refunds", "--recipe", "think-first", *settings)
    return str(Path(made["students"][0]["folder"]).relative_to(workspace.root))


def simulated(name: str, n: int) -> list[str]:
    """Rows as a log would have them: about a third of the replies is spoiled."""
    sandbox, rates = load(name), FaultRates()
    lines = []
    for item in sandbox.generate(n, 0):
        reply = spoil(item, draw(rates, item.input, 0), rng_of(item.input, 0), sandbox)
        lines.append(json.dumps({"input": item.input, "reply": reply.text, "truth": item.truth}))
    return lines


def limbeck_says(workspace: Workspace, *args: str) -> Any:
    print("limbeck", *args, file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "limbeck", *args, "--json"],
        cwd=workspace.root,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def shortened(
    found: dict[str, Any], subject: Subject, study: str, args: list[str], seconds: float
) -> dict[str, Any]:
    """What the tables need of a study's result."""
    kept = ("name", "x", "series", "panel", "train_inputs", "steps", "epochs", "train_tokens")
    return {
        "command": " ".join(["limbeck", "study", *args]),
        "study": study,
        "teacher_is": subject.source,
        "dataset": found["dataset"],
        "split": found["split"],
        "n": found["n"],
        "parameters": found["parameters"],
        "seeds": found["seeds"],
        "majority": found["majority"],
        "teacher": found["teacher"] and found["teacher"]["accuracy"],
        "arms": [
            {
                **{key: arm[key] for key in kept},
                **{key: arm[key] for key in ("accuracy", "interval", "unanswered", "tokens")},
                "by_seed": [one["accuracy"] for one in arm["seeds"]],
                "versus": arm["versus"],
            }
            for arm in found["arms"]
        ],
        "shown": found["shown"],
        "compute_seconds": found["compute_seconds"],
        "seconds": round(seconds, 1),
    }


def keep(key: str, study: dict[str, Any]) -> None:
    """Adds one study to the result, beside those of earlier runs."""
    result = json.loads(RESULT.read_text()) if RESULT.exists() else {"studies": {}}
    result["studies"][key] = study
    result |= {
        "version": limbeck.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    RESULT.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")


def table(result: dict[str, Any]) -> str:
    """Markdown: a row a recipe, a column a task; the difference to the control where it is seen."""
    there = result["studies"]
    studies = {one.name: there[one.name] for one in SUBJECTS if one.name in there}
    for name, one in studies.items():
        own = {arm["name"] for arm in one["arms"]}
        more = there.get(f"{name}:several", {"arms": []})["arms"]
        studies[name] = one | {"arms": one["arms"] + [a for a in more if a["name"] not in own]}
    names = list(dict.fromkeys(arm["name"] for one in studies.values() for arm in one["arms"]))
    lines = ["| | " + " | ".join(studies) + " |", "|---|" + "---|" * len(studies)]
    for name in names:
        cells = []
        for one in studies.values():
            arm = next((arm for arm in one["arms"] if arm["name"] == name), None)
            cells.append(_cell(arm) if arm else "")
        lines.append(f"| `{name.partition('+')[0]}` | " + " | ".join(cells) + " |")
    for key, title in (("teacher", "teacher"), ("majority", "commonest answer")):
        cells = [f"{one[key]:.1%}" if one[key] else "" for one in studies.values()]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(arm: dict[str, Any]) -> str:
    accuracy, versus = f"{arm['accuracy']:.1%}", arm["versus"]
    if versus is None:
        return accuracy
    low, high = (f"{100 * versus['interval'][end]:+.1f}" for end in ("low", "high"))
    mark = "**" if versus["verdict"] == "better" else ""
    return f"{mark}{accuracy}{mark} ({low} to {high})"


if __name__ == "__main__":
    sys.exit(main())
