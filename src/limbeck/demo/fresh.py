"""Fresh calls, to the teacher alone and through the cascade."""

from __future__ import annotations

from limbeck.demo.asking import Answered, ask_all, client, through
from limbeck.demo.measure import cascade_numbers
from limbeck.demo.run import Run
from limbeck.demo.traffic import open_traffic, seen_of
from limbeck.report.summary import Calibration, Cascade, Stretch
from limbeck.types import Noun

FRESH_SEED = 7919
"""Added to the run's seed for the fresh calls, so that they are other questions than before."""
STRETCH = 50


class _Asked(Noun):
    cascade: Cascade
    stretches: tuple[Stretch, ...]


def ask_fresh(run: Run, calibration: Calibration) -> tuple[Cascade | None, tuple[Stretch, ...]]:
    """What became of the fresh calls, in all and stretch by stretch; None without a policy."""
    if calibration.policy.threshold is None or not run.task.fresh:
        return None, ()

    def work() -> tuple[_Asked, str]:
        found = _ask(run)
        numbers = found.cascade
        risk = numbers.local_errors / numbers.local if numbers.local else 0.0
        return found, (
            f"{numbers.local / max(1, numbers.calls):.0%} of {numbers.calls:,} fresh calls answered "
            f"locally, {risk:.1%} of those wrong"
        )

    try:
        found = run.stages.run("cascade", run.name, _Asked, work, 2 * run.task.fresh)
    finally:
        run.in_mode("record")
    return found.cascade, found.stretches


def _ask(run: Run) -> _Asked:
    plan, fresh = run.plan, run.task.fresh
    seen = {item.input for item in run.sandbox.generate(run.task.calls, plan.seed)}
    items = run.sandbox.generate(fresh, plan.seed + FRESH_SEED, exclude=seen)
    task = run.in_mode("off")
    keys = [f"fresh-off-{run.name}-{plan.seed}-{n}" for n in range(fresh)]
    with through(plan, run.workspace, run.truth_log) as url, client(plan, url) as teacher:
        alone = ask_all(
            teacher, task, items, keys, lambda n: run.stages.advance("calls", n, 2 * fresh)
        )
    keys = [f"fresh-cascade-{run.name}-{plan.seed}-{n}" for n in range(fresh)]
    # The latency is the client's, which no trace has: everything is asked again after an interruption.
    with open_traffic(
        run, lambda n: run.stages.advance("calls", fresh + n, 2 * fresh), again=True
    ) as traffic:
        stretches = [
            traffic.stretch("before", items[at : at + STRETCH], keys[at : at + STRETCH])[0]
            for at in range(0, fresh, STRETCH)
        ]
        traces = seen_of(traffic.store, traffic.task, keys)
    answered: list[Answered | None] = [traffic.answered[key] for key in keys]
    numbers = cascade_numbers(answered, alone, task.teacher.price, traces)
    return _Asked(cascade=numbers, stretches=tuple(stretches))
