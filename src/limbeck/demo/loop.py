"""The loop: capture, curate, distill, evaluate, calibrate, serve a cascade, report."""

from __future__ import annotations

import platform
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import limbeck
from limbeck.capture.sandbox.tasks import SandboxTask, load
from limbeck.curate.curate import curate
from limbeck.curate.dataset import Dataset, read_dataset
from limbeck.demo.asking import (
    SIMULATED,
    ask_all,
    attach_outcomes,
    client,
    through,
)
from limbeck.demo.fresh import ask_fresh
from limbeck.demo.measure import (
    capture_numbers,
    flagging,
    readable_drops,
    task_findings,
    thinned,
)
from limbeck.demo.plan import Plan, TaskPlan
from limbeck.demo.run import Run
from limbeck.demo.shift import plant_shift
from limbeck.demo.stages import Stages, Watcher
from limbeck.demo.students import make_students, specs_of
from limbeck.distill.recipes.table import CONTROL
from limbeck.distill.workers import cores
from limbeck.evaluate.aim import Aim
from limbeck.evaluate.answers import answers_of
from limbeck.evaluate.calibrate import fit_policy, more_calls_needed
from limbeck.evaluate.evaluate import Evaluation, evaluate
from limbeck.evaluate.promotion import promote
from limbeck.evaluate.risk import aurc, curve
from limbeck.evaluate.rule import confidence_of
from limbeck.models.local import read_card
from limbeck.report.page import write_report
from limbeck.report.summary import Calibration, Capture, Summary, TaskSummary
from limbeck.store.store import Store
from limbeck.types import Noun, Task
from limbeck.workspace import Workspace


class _Path(Noun):
    path: str


class _Paths(Noun):
    paths: tuple[str, ...]


def run(plan: Plan, out: Path, watcher: Watcher, command: str) -> tuple[Summary, Path]:
    """Runs the plan in a workspace under `out`, writes the report there, and returns both.

    The same plan in the same place continues where it was interrupted. Raises any `LimbeckError`.
    """
    began = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    workspace = Workspace.create(out / f"workspace-{plan.id}")
    stages = Stages(workspace.home / "demo", watcher)
    truth_log = workspace.home / "simulated-truth.jsonl"
    sandboxes = {task.name: load(task.name) for task in plan.tasks}
    for name, sandbox in sandboxes.items():
        workspace.write_task(_task(plan, sandbox))
        assert workspace.task(name).skeleton == _task(plan, sandbox).skeleton
    captures: dict[str, Capture] = {}
    with through(plan, workspace, truth_log) as url:
        for task in plan.tasks:
            captures[task.name] = _capture(plan, task, sandboxes[task.name], url, workspace, stages)
    datasets = {task.name: _curate(task, workspace, stages) for task in plan.tasks}
    students = _distill(plan, datasets, workspace, stages, watcher)
    summaries = []
    for task in plan.tasks:
        dataset, folders = datasets[task.name], students[task.name]
        evaluation = _evaluate(task, dataset, folders, stages)
        calibration = _calibrate(plan, task, dataset, folders, workspace, stages)
        loop = Run(plan, task, sandboxes[task.name], workspace, stages, watcher, truth_log)
        cascade, before = ask_fresh(loop, calibration)
        shift = (
            plant_shift(loop, calibration, dataset, before) if cascade and cascade.local else None
        )
        summaries.append(
            TaskSummary(
                task=task.name,
                instruction=sandboxes[task.name].instruction,
                dataset=dataset.path.name,
                capture=captures[task.name],
                data=dataset.manifest.summary,
                data_caveats=dataset.manifest.caveats,
                drops=readable_drops(dataset),
                flagging=flagging(dataset, truth_log) if plan.teacher is None else None,
                evaluation=evaluation,
                calibration=calibration,
                cascade=cascade,
                shift=shift,
                findings=task_findings(
                    evaluation,
                    calibration,
                    cascade,
                    quick=plan.size == "quick",
                    shift_planned=task.shift is not None,
                ),
            )
        )
    summary = Summary(
        version=limbeck.__version__,
        title="Limbeck demo",
        simulated=plan.teacher is None,
        seed=plan.seed,
        command=command,
        machine=machine(),
        seconds=round(time.monotonic() - began, 1),
        peak_memory_mb=peak_memory_mb(),
        stages=tuple(stages.times),
        tasks=tuple(summaries),
    )
    return summary, write_report(summary, out)


def machine() -> dict[str, str]:
    """What the numbers of speed depend on; nothing that names the machine."""
    return {
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": str(cores()),
        "python": platform.python_version(),
        "torch": version("torch"),
        "transformers": version("transformers"),
    }


def peak_memory_mb() -> float:
    """The largest resident size that this process or one of its ended children had, in MB."""
    unit = 1e6 if sys.platform == "darwin" else 1e3
    sizes = [
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    return round(max(sizes) / unit, 1)


def _task(plan: Plan, sandbox: SandboxTask[Any]) -> Task:
    model = plan.teacher.partition(":")[2] if plan.teacher else SIMULATED
    return sandbox.task(model=model)


def _capture(
    plan: Plan,
    task: TaskPlan,
    sandbox: SandboxTask[Any],
    url: str,
    workspace: Workspace,
    stages: Stages,
) -> Capture:
    def work() -> tuple[Capture, str]:
        began = time.monotonic()
        noun = workspace.task(task.name)
        items = sandbox.generate(task.calls, plan.seed)
        keys = [f"{task.name}-{plan.seed}-{number}" for number in range(len(items))]
        with Store(workspace.store_url) as store:
            todo = [n for n, key in enumerate(keys) if store.find(correlation=key) is None]
        with client(plan, url) as teacher:
            answered = ask_all(
                teacher,
                noun,
                [items[n] for n in todo],
                [keys[n] for n in todo],
                lambda done: stages.advance("calls", done, len(todo)),
            )
        outcomes = attach_outcomes(
            url,
            [
                (keys[n], items[n].truth)
                for n, one in zip(todo, answered, strict=True)
                if one is not None
            ],
            "verifier",
        )
        numbers = capture_numbers(
            answered,
            teacher=noun.teacher.model,
            simulated=plan.teacher is None,
            price=noun.teacher.price,
            outcomes=outcomes,
            seconds=time.monotonic() - began,
        )
        return numbers, f"{numbers.calls:,} calls recorded, {outcomes:,} outcomes attached"

    return stages.run("capture", task.name, Capture, work, task.calls)


def _curate(task: TaskPlan, workspace: Workspace, stages: Stages) -> Dataset:
    def work() -> tuple[_Path, str]:
        noun = workspace.task(task.name)
        with Store(workspace.store_url) as store:
            info = curate(
                store.traces(task.name), store.truths(task.name), noun, workspace.datasets
            )
        kept = sum(info.splits.values())
        note = (
            f"{kept:,} of {info.summary.traces:,} traces kept, {info.splits['train']:,} to train on"
        )
        return _Path(path=str(info.path)), note

    return read_dataset(Path(stages.run("curate", task.name, _Path, work).path))


def _distill(
    plan: Plan,
    datasets: dict[str, Dataset],
    workspace: Workspace,
    stages: Stages,
    watcher: Watcher,
) -> dict[str, list[Path]]:
    """All students of all tasks in one pool, so that no core waits for the last arm of a task."""
    specs = [
        (task.name, spec)
        for task in plan.tasks
        for spec in specs_of(plan, task, datasets[task.name].path, workspace.students)
    ]
    specs.sort(key=lambda one: one[1].recipe == CONTROL)

    def work() -> tuple[_Paths, str]:
        folders = make_students(specs, watcher)
        return _Paths(paths=tuple(map(str, folders))), f"{len(folders)} students"

    found = stages.run("distill", "", _Paths, work).paths
    students: dict[str, list[Path]] = {task.name: [] for task in plan.tasks}
    for (task_name, _), path in zip(specs, found, strict=True):
        students[task_name].append(Path(path))
    return students


def _evaluate(task: TaskPlan, dataset: Dataset, folders: list[Path], stages: Stages) -> Evaluation:
    def work() -> tuple[Evaluation, str]:
        found = evaluate(
            dataset, "test", [answers_of(folder, dataset, "test") for folder in folders]
        )
        said = ", ".join(f"{arm.recipe} {arm.accuracy:.1%}" for arm in found.arms)
        return found, said

    return stages.run("evaluate", task.name, Evaluation, work)


def _calibrate(
    plan: Plan,
    task: TaskPlan,
    dataset: Dataset,
    folders: list[Path],
    workspace: Workspace,
    stages: Stages,
) -> Calibration:
    def work() -> tuple[Calibration, str]:
        # Chosen on validation, so that the test numbers stay honest; a tie goes to the cheaper one.
        chosen = max(
            folders,
            key=lambda folder: (
                (card := read_card(folder)).validation_accuracy or 0.0,
                -card.max_new_tokens,
            ),
        )
        card = read_card(chosen)
        policy = fit_policy(
            answers_of(chosen, dataset, "calibration"),
            aim=Aim(value=plan.max_risk, confidence=plan.confidence, audit_rate=plan.audit_rate),
            seed=plan.seed,
        )
        if policy.threshold is not None:
            promote(workspace, chosen, policy)
        test = answers_of(chosen, dataset, "test")
        score = confidence_of(policy, test.signals)
        accepted = score >= policy.threshold if policy.threshold is not None else None
        points = curve(score, test.right)
        found = Calibration(
            student=chosen.name,
            recipe=card.recipe,
            chosen_by="verified accuracy on the validation split",
            policy=policy,
            more_calls_needed=more_calls_needed(policy),
            curve=thinned(points),
            aurc=aurc(score, test.right),
            chosen_coverage=float(accepted.mean()) if accepted is not None else None,
            chosen_risk=float((~test.right[accepted]).mean())
            if accepted is not None and accepted.any()
            else None,
        )
        note = (
            f"{card.recipe}: no threshold keeps {plan.max_risk:.0%}; the teacher answers everything"
            if policy.threshold is None
            else f"{card.recipe}: at most {plan.max_risk:.0%} errors promised, "
            f"{policy.n_accepted / policy.n_bound:.0%} of calls answered"
        )
        return found, note

    return stages.run("calibrate", task.name, Calibration, work)
