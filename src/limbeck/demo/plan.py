"""What a run of the loop does: tasks, recipes, numbers of calls, settings of the students."""

from __future__ import annotations

from typing import Literal

from limbeck.distill.recipes.table import TABLE as RECIPES
from limbeck.distill.settings import DistillSettings
from limbeck.errors import UsageError
from limbeck.types import Noun, content_hash

Size = Literal["quick", "default", "full"]


class ShiftPlan(Noun):
    """What happens after the fresh calls, where a task says what becomes of its inputs one day.

    At most `most` changed calls are asked until the alarm; then the teacher answers `recorded` more, and
    a student learns from those. It decides a `share` of the calls as a canary, of `most` at most, until
    `canary_audits` of its answers were audited, and then all of `after` more. Audited is a share of
    `audit_rate` of the answers of a student that is new.
    """

    most: int = 1200
    recorded: int = 2400
    share: float = 0.5
    canary_audits: int = 40
    audit_rate: float = 0.25
    after: int = 300
    stretch: int = 25
    """Calls between two looks at the promise."""
    steps: int = 400

    @property
    def calls(self) -> int:
        """All of them, if every part takes as long as it may."""
        return 2 * self.most + self.recorded + self.after


class TaskPlan(Noun):
    """One task of the run. `calls` are recorded for training and evaluation, `fresh` come after."""

    name: str
    recipes: tuple[str, ...]
    calls: int
    fresh: int
    settings: DistillSettings
    shift: ShiftPlan | None = None


class Plan(Noun):
    """One run; what it makes is a function of this, the code and the teacher."""

    size: Size
    tasks: tuple[TaskPlan, ...]
    seed: int = 0
    seeds: int = 1
    """Students an arm."""
    max_risk: float = 0.05
    confidence: float = 0.95
    audit_rate: float = 0.05
    """Share of local answers that are checked."""
    fault_rate: float = 0.30
    """Share of the simulated teacher's replies that go wrong on purpose."""
    latency_s: float = 0.02
    """How long the simulated teacher takes to answer, on purpose, in seconds."""
    teacher: str | None = None
    """`PROVIDER:MODEL` of a real teacher; None for the simulated one."""

    @property
    def id(self) -> str:
        # A run without the shift has the same first stages as one with it, and may go on to it.
        made = self.model_dump(mode="json", exclude={"tasks": {"__all__": {"shift"}}})
        return content_hash(made).removeprefix("sha256:")[:8]


ALL = ("label", "multitask", "think-first", "answer-first")
"""One training each; `--recipes` names any other."""
_TASKS: dict[Size, dict[str, tuple[str, ...]]] = {
    "quick": {"refunds": ALL},
    "default": {"refunds": ALL, "ledger": ("label", "think-first")},
    "full": {"refunds": ALL, "ledger": ALL, "routes": ALL},
}
_CALLS: dict[str, int] = {"refunds": 3200, "ledger": 2600, "routes": 2600}
_FRESH = 300
_SETTINGS: dict[str, DistillSettings] = {
    "refunds": DistillSettings(steps=400, batch=32),
    "ledger": DistillSettings(steps=320, batch=32, learning_rate=0.01),
    "routes": DistillSettings(steps=320, batch=32, learning_rate=0.01),
}
_SHIFTED = ("refunds",)
# Enough to see every stage work within a minute, and too little to learn the task.
_QUICK_CALLS, _QUICK_FRESH, _QUICK_STEPS = 1000, 100, 48


def make_plan(
    size: Size,
    *,
    seed: int = 0,
    seeds: int = 1,
    tasks: tuple[str, ...] = (),
    recipes: tuple[str, ...] = (),
    calls: int | None = None,
    teacher: str | None = None,
    shift: bool = True,
) -> Plan:
    """The plan of a size, with the caller's choice of tasks and recipes; raises `UsageError`."""
    known = _TASKS["full"]
    for name in tasks:
        if name not in known:
            raise UsageError(f"--tasks names {name!r}; wanted some of {', '.join(known)}")
    for name in recipes:
        if name not in RECIPES:
            raise UsageError(f"--recipes names {name!r}; wanted some of {', '.join(RECIPES)}")
    if calls is not None and calls < 400:
        raise UsageError(f"--calls is {calls}; wanted at least 400, or no number means anything")
    chosen = {name: _TASKS[size].get(name, known[name]) for name in tasks} or _TASKS[size]
    quick = size == "quick"
    return Plan(
        size=size,
        seed=seed,
        seeds=seeds,
        teacher=teacher,
        tasks=tuple(
            TaskPlan(
                name=name,
                recipes=recipes or default_recipes,
                calls=calls or (_QUICK_CALLS if quick else _CALLS[name]),
                fresh=_QUICK_FRESH if quick else _FRESH,
                settings=_settings(name, size, seed),
                shift=ShiftPlan() if shift and not quick and name in _SHIFTED else None,
            )
            for name, default_recipes in chosen.items()
        ),
    )


def _settings(name: str, size: Size, seed: int) -> DistillSettings:
    settings = _SETTINGS[name]
    changes: dict[str, object] = {"seed": seed}
    if size == "quick":
        changes["steps"] = _QUICK_STEPS
    return settings.model_copy(update=changes)
