"""A workspace with a dataset and two students, trained by the command line itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from limbeck.capture.sandbox.tasks import Item, load, render
from limbeck.cli.app import main
from limbeck.store.store import Store
from limbeck.types import Outcome, Provenance, SplitPlan, Task, Trace
from limbeck.workspace import Workspace

# One thread: several that wait for each other on busy cores are slower than one.
QUICK = "[distill]\nsteps = 5\nbatch = 4\nvocabulary = 400\nevaluate_items = 2\nthreads = 1\n"


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = Workspace.create(tmp_path_factory.mktemp("trained"))
    sandbox = load("refunds")
    # Few calls in all, and enough of them for a promise.
    plan = SplitPlan(train=0.35, validation=0.1, calibration=0.4, test=0.15)
    task = sandbox.task().model_copy(update={"splits": plan})
    _answer(workspace, task, sandbox.generate(240, seed=3))
    workspace.write_task(task)
    (workspace.root / "limbeck.toml").write_text(QUICK)
    before = Path.cwd()
    os.chdir(workspace.root)
    try:
        assert main(["curate", "--task", "refunds"]) == 0
        recipes = ["--recipe", "label", "--recipe", "think-first"]
        assert main(["distill", "refunds", *recipes, "--jobs", "1"]) == 0
    finally:
        os.chdir(before)
    return workspace.root


Answer = Callable[[Workspace, Task, Sequence[Item]], None]


def _answer(workspace: Workspace, task: Task, items: Sequence[Item]) -> None:
    with Store(workspace.store_url) as store:
        for item in items:
            trace = Trace(
                task=task.name,
                input=item.input,
                raw=render(item),
                stop_reason="end_turn",
                provenance=Provenance(source="gateway", generator="simulated", simulated=True),
            )
            store.record([trace], [Outcome(trace_id=trace.id, value=item.truth, source="gold")])


@pytest.fixture
def answer() -> Answer:
    """`answer(workspace, task, items)`: the teacher answers these now, rightly, and that is known."""
    return _answer


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A copy of that workspace, which is also the current folder."""
    torch.set_num_threads(1)
    root = tmp_path / "trained"
    shutil.copytree(trained_once, root)
    monkeypatch.chdir(root)
    return Workspace(root)
