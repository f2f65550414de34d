"""lm-evaluation-harness scores a served student, by the task files of the documentation."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from limbeck.cli.app import main
from limbeck.curate.dataset import read_dataset
from limbeck.models.local import Student
from limbeck.workspace import Workspace

HARNESS = os.environ.get("LM_EVAL") or shutil.which("lm_eval")
DOC = Path(__file__).parents[2] / "docs" / "evaluate-with-lm-eval.md"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        HARNESS is None,
        reason="lm-evaluation-harness is not installed: pip install 'lm-eval[api]' transformers, or "
        "name its program in LM_EVAL",
    ),
]


@pytest.fixture
def student(trained: Workspace, capsys: pytest.CaptureFixture[str]) -> Path:
    """One that is right now and then, so that two scores that agree say something."""
    settings = ["--set", "steps=120", "--set", "batch=16"]
    assert main(["distill", "refunds", "--recipe", "label", *settings, "--jobs", "1"]) == 0
    capsys.readouterr()
    return max(trained.students.glob("refunds-label-*"), key=lambda path: path.stat().st_mtime)


@pytest.fixture
def address(student: Path) -> Iterator[str]:
    program = "import sys; from limbeck.cli.app import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["serve", student.name, "--port", "0", "--threads", "1", "--json"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield str(json.loads(process.stdout.readline())["url"])
        process.terminate()
        assert process.wait(60) == 0


def _scored(
    workspace: Workspace, name: str, metric: str, model: str, arguments: dict[str, str], *more: str
) -> float:
    """What the harness says of the task file `name` of the documentation."""
    found = re.search(rf"```yaml {name}\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    [dataset] = workspace.datasets.glob("refunds-*")
    tasks = workspace.root / "tasks-of-the-harness"
    tasks.mkdir()
    text = re.sub(r"\.limbeck/datasets/\S+", str(dataset / "test.parquet"), found[1])
    (tasks / f"{name}.yaml").write_text(text, encoding="utf-8")
    [task] = re.findall(r"^task: (\S+)$", text, re.MULTILINE)
    given = ",".join(f"{key}={value}" for key, value in arguments.items())
    quiet = {"OPENAI_API_KEY": "none", "HF_HUB_OFFLINE": "1", "HF_HOME": str(tasks / "cache")}
    out = workspace.root / "scored"
    command = [str(HARNESS), "run", "--model", model, "--model_args", given, *more]
    where = ["--include_path", str(tasks), "--tasks", task, "--output_path", str(out)]
    subprocess.run([*command, *where], env={**os.environ, **quiet}, check=True, capture_output=True)
    [path] = out.rglob("results_*.json")
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return float(result["results"][task][f"{metric},none"])


def test_the_harness_finds_right_what_limbeck_finds_right(
    trained: Workspace, student: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", student.name, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    scores = [seed for arm in result["outcome"]["evaluation"]["arms"] for seed in arm["seeds"]]
    [ours] = [seed["accuracy"] for seed in scores if seed["student"] == student.name]
    arguments = {"model": student.name, "base_url": f"{address}/chat/completions"}
    theirs = _scored(
        trained,
        "written",
        "exact_match",
        "local-chat-completions",
        arguments,
        "--apply_chat_template",
    )
    assert theirs == pytest.approx(ours)
    assert ours > 0


def test_the_harness_finds_likeliest_what_the_student_finds_likeliest(
    trained: Workspace, student: Path, address: str
) -> None:
    [dataset] = trained.datasets.glob("refunds-*")
    data = read_dataset(dataset)
    examples = data.split("test")
    choices = list(data.task.answer.choices)
    scores = Student.load(student, threads=1).score_choices(
        [one.input for one in examples], [choices for _ in examples]
    )
    likeliest = [choices[max(range(len(own)), key=own.__getitem__)] for own in scores]
    ours = sum(
        one == example.truth for one, example in zip(likeliest, examples, strict=True)
    ) / len(examples)
    arguments = {
        "model": student.name,
        "base_url": f"{address}/completions",
        "tokenizer": str(student),
    }
    theirs = _scored(trained, "likeliest", "acc", "local-completions", arguments)
    assert theirs == pytest.approx(ours)
