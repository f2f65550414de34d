"""The student after the one that serves: made as that one was, from what is known by now."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import Any, NamedTuple

from limbeck.cli.calibrate import OPTIONS
from limbeck.cli.find import find_dataset
from limbeck.cli.given import settle
from limbeck.distill.recipes.table import CONTROL, load_recipe
from limbeck.distill.settings import DistillSettings
from limbeck.evaluate.calibrate import fewest_examples
from limbeck.evaluate.signals.table import USUAL
from limbeck.models.local import read_card
from limbeck.monitor.monitor import Monitoring
from limbeck.types import Policy, StudentCard, Task
from limbeck.workspace import Workspace


class Made(NamedTuple):
    """The name of the student and what to do with it, or why there is none; `failed` where a step was
    tried and did not work."""

    said: str
    failed: bool = False


def next_student(workspace: Workspace, task: Task, found: Monitoring, policy: Policy) -> Made:
    """Curates, distills as the last student was, with its control, evaluates, and calibrates for the
    promise of `policy`.

    It is not promoted: whoever reads the evaluation does that. Where the error rate rose, what was
    recorded before only trains, and the new promise rests on the calls since: it is not begun with too
    few of them.
    """
    card = read_card(workspace.students / found.student)
    before = {path.name for path in workspace.students.iterdir()}
    since = found.audits.rose_at
    fresh = ["--judge-since", since.isoformat()] if since is not None else []
    recipes = dict.fromkeys([CONTROL, card.recipe])
    again = [part for name in recipes for part in ("--recipe", name)]
    if not _run("curate", "--task", task.name, *fresh):
        return _failed("curate")
    there = _to_calibrate_on(workspace, task)
    wanted = fewest_examples(policy.max_risk, 1 - policy.confidence)
    if there < wanted:
        after = f" since {since:%Y-%m-%d %H:%M}" if since is not None else ""
        return Made(
            f"none yet: {there:,} calls{after} are there to calibrate on, and a promise needs {wanted:,} "
            "at the least; let the teacher answer more, and run the same command again"
        )
    same = _as_it_was(workspace, card)
    if not _run("distill", task.name, *again, "--student", card.base, *same):
        return _failed("distill")
    made = [
        path.name
        for path in sorted(workspace.students.iterdir())
        if path.name not in before and read_card(path).recipe == card.recipe
    ]
    if not made:
        return Made("none: the data are those of the student that is there")
    for verb, options in (("evaluate", []), ("calibrate", _promised(policy))):
        if not _run(verb, made[0], *options):
            return _failed(verb, f"{made[0]}, but ")
    return Made(f"{made[0]}; to let it answer some calls: limbeck promote {made[0]} --canary 0.1")


def _to_calibrate_on(workspace: Workspace, task: Task) -> int:
    return find_dataset(workspace, task.name).manifest.summary.splits.get("calibration", 0)


def _run(*step: str) -> bool:
    """One command of the product; what it prints goes where notes go. Whether it worked."""
    from limbeck.cli.app import main

    with redirect_stdout(sys.stderr):
        print(f"> limbeck {' '.join(step)}")
        return main(list(step)) == 0


def _failed(verb: str, made: str = "none: ") -> Made:
    return Made(
        f"{made}limbeck {verb} failed, as it says above; run it again when that is mended", True
    )


def _promised(policy: Policy) -> list[str]:
    """The options of `limbeck calibrate` that ask for the promise of this policy."""
    goal = policy.max_risk if policy.goal is None else policy.goal
    options = [OPTIONS[policy.aim], f"{goal:g}", "--confidence", f"{policy.confidence:g}"]
    options += ["--audit-rate", f"{policy.audit_rate:g}"]
    options += ["--by", policy.grouped_by] if policy.grouped_by else []
    options += ["--signals", ",".join(policy.signals)] if policy.signals != USUAL else []
    return [*options, *(["--samples", str(policy.samples)] if policy.samples else [])]


def _as_it_was(workspace: Workspace, card: StudentCard) -> list[str]:
    """The options of `limbeck distill` that train a student with the settings of this one."""
    usual = settle(DistillSettings, workspace, "distill", []).model_dump(mode="json")
    of_recipe = load_recipe(card.recipe).Settings().model_dump(mode="json")
    return [
        *_options("--set", "", card.settings, usual),
        *_options("--recipe-set", f"{card.recipe}.", card.recipe_settings, of_recipe),
    ]


def _options(option: str, of: str, had: dict[str, Any], usual: dict[str, Any]) -> list[str]:
    """`option` for each setting that a student had and that is not the usual one."""
    # A setting of an earlier version may be gone, and one that is None has no word on a command line.
    return [
        part
        for name, value in had.items()
        if name in usual and value is not None and value != usual[name]
        for part in (option, f"{of}{name}={value}")
    ]
