"""Should this task be distilled, and how much is missing? From the traces alone, before any money is
spent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from limbeck.curate.assess.baseline import find_baseline
from limbeck.curate.assess.chains import find_chains
from limbeck.curate.assess.decide import decide, target_of
from limbeck.curate.assess.findings import Assessment, Baseline, Findings
from limbeck.curate.assess.intake import Told, read_calls
from limbeck.curate.assess.labels import find_labels, find_teacher_word, whose_word
from limbeck.curate.assess.settings import AssessSettings
from limbeck.curate.assess.stability import find_stability
from limbeck.curate.assess.volume import find_break_even, find_cost, find_volume
from limbeck.curate.frame import NO_RATIONALES
from limbeck.errors import DataError
from limbeck.types import Outcome, PostHoc, Task, Trace

DEFAULTS = AssessSettings()


def assess(
    traces: Iterable[Trace],
    truths: Mapping[str, Outcome],
    task: Task,
    settings: AssessSettings = DEFAULTS,
    told: Told = lambda what, done: None,
    post_hoc: Mapping[str, PostHoc] = NO_RATIONALES,
) -> Assessment:
    """Findings and verdict on the traces of `task`; the same for the same traces in the same order.

    Raises DataError where there is no call of a teacher.
    """
    read = read_calls(traces, truths, task, settings, told, post_hoc)
    if read.calls.is_empty():
        raise DataError(
            f"the task {task.name!r} has no calls of a teacher; wanted some hundreds; record them with "
            f"limbeck gateway, or bring logs in with: limbeck import FILE --task {task.name}"
        )
    told("counting", read.calls.height)
    volume = find_volume(read, settings)
    cost = find_cost(read, volume)
    column = whose_word(read, settings)
    labels = find_labels(read, column)
    shares = task.splits
    found = Findings(
        task=task.name,
        kind=task.answer.kind,
        volume=volume,
        cost=cost,
        break_even=find_break_even(cost, volume, settings),
        labels=labels,
        teacher=find_teacher_word(read),
        baseline=Baseline(),
        stability=find_stability(read, column, settings),
        chains=find_chains(read, settings),
        calibration_share=shares.calibration
        / (shares.train + shares.validation + shares.calibration + shares.test),
    )
    target = target_of(found, settings)
    baseline = find_baseline(read, column, labels, settings, target, told)
    found = found.model_copy(update={"baseline": baseline})
    return Assessment(findings=found, settings=settings, decision=decide(found, settings))
