"""The tutorial's commands on real completions of a large teacher, with few rows and few steps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from limbeck.cli.app import main
from limbeck.workspace import Workspace

EXAMPLES = Path(__file__).parent.parent / "examples" / "tasks"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "folder", "train", "seeds"),
    [
        ("esnli", "esnli_palm", "valid", 3),
        ("svamp", "svamp_palm", "train", 1),
        ("cqa", "cqa_palm", "train", 1),
    ],
)
def test_the_tutorial_runs_from_raw_completions_to_a_comparison_with_the_control(
    task: str,
    folder: str,
    train: str,
    seeds: int,
    shared_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    workspace = Workspace.create(tmp_path / "tutorial")
    shutil.copy(EXAMPLES / f"{task}.toml", workspace.tasks_folder)
    monkeypatch.chdir(workspace.root)

    def limbeck(*args: str) -> Any:
        capsys.readouterr()
        assert main([*args, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    data = shared_data / folder
    for _ in range(2):
        found = limbeck("import", str(data / f"{train}.jsonl.gz"), "--task", task, "--limit", "500")
    assert (found["added"], found["already"]) == (0, 500)
    limbeck(
        "import", str(data / "test.jsonl.gz"), "--task", task, "--split", "test", "--limit", "120"
    )
    curated = limbeck("curate", "--task", task)
    assert curated["summary"]["ran_on"] > 0.9 * curated["summary"]["traces"]
    assert curated["summary"]["splits"]["test"] == pytest.approx(120, abs=5)

    recipes = [arg for r in ("label", "multitask", "think-first") for arg in ("--recipe", r)]
    quick = ["--set", "steps=4", "--set", "evaluate_items=8", "--set", "batch=8"]
    limbeck("distill", task, *recipes, "--seeds", str(seeds), *quick)
    evaluation = limbeck("evaluate", "--task", task)["outcome"]["evaluation"]
    arms = {arm["recipe"]: arm for arm in evaluation["arms"]}
    assert set(arms) == {"label", "multitask", "think-first"}
    for recipe, arm in arms.items():
        assert len(arm["seeds"]) == seeds
        assert 0 <= arm["interval"]["low"] <= arm["accuracy"] <= arm["interval"]["high"] <= 1
        assert (arm["versus_control"] is None) == (recipe == "label")
    assert evaluation["teacher"]["n"] == evaluation["n"]
    assert evaluation["truth_sources"] == {"gold": evaluation["n"]}
