"""Everything that a report shows, as one JSON-ready value: `summary.json` beside the page."""

from __future__ import annotations

from typing import Literal

from limbeck.curate.summary import Summary as DataSummary
from limbeck.evaluate.evaluate import Evaluation
from limbeck.evaluate.intervals import Interval
from limbeck.evaluate.risk import Point
from limbeck.types import Noun, Policy


class StageTime(Noun):
    """How long a stage of the loop took; `task` is empty for one that serves all tasks."""

    stage: str
    task: str
    seconds: float


class Capture(Noun):
    """The recorded calls of a task. Costs are USD by the task's price; latencies are seconds."""

    teacher: str
    simulated: bool
    calls: int
    refused_by_teacher: int
    """Calls that got no reply after all retries."""
    outcomes: int
    cost_usd: float
    latency_p50: float
    latency_p95: float
    seconds: float


class Drop(Noun):
    """One dropped trace, to be read by a person."""

    reason: str
    evidence: str
    input: str
    rationale: str
    answer: str


class Flagging(Noun):
    """How curation did against the simulated teacher's own log of what it spoiled.

    Over the training split: of `spoiled` replies `caught` were dropped, of `clean` ones `lost`.
    """

    spoiled: int
    caught: int
    clean: int
    lost: int
    by_fault: dict[str, tuple[int, int]]
    """Fault -> (caught, all)."""


class Calibration(Noun):
    """The fitted policy of the chosen student, and what its scores look like."""

    student: str
    recipe: str
    chosen_by: str
    policy: Policy
    more_calls_needed: int | None
    """0 where a threshold passed; None where no number of calls would help at this error rate."""
    curve: tuple[Point, ...]
    """Risk against coverage on the test split, thinned for drawing."""
    aurc: float
    chosen_coverage: float | None
    chosen_risk: float | None
    """Coverage and risk of the threshold on the test split."""


class Cascade(Noun):
    """What happened to fresh calls behind the gateway in `cascade` mode."""

    calls: int
    local: int
    local_errors: int
    local_share: Interval
    local_risk: Interval
    """Clopper-Pearson, 95 %."""
    right: int
    teacher_right: int
    """Right answers had the teacher answered all of these calls."""
    escalation_reasons: dict[str, int]
    """How often the teacher was asked, by reason; empty where the reasons are not known."""
    cost_usd: float
    teacher_only_usd: float
    local_p50: float
    local_p95: float
    escalated_p50: float
    escalated_p95: float
    teacher_p50: float
    """Seconds, measured at the client."""


Phase = Literal["before", "shifted", "fallback", "canary", "after"]
"""The acts of a planted shift: calls as the student learned them; changed ones, until the alarm; those
that the teacher answered since; those of which the new student had a share; and those it had all of."""


class Look(Noun):
    """What monitoring said of the policy in force: all its audits so far, and where their error rate lies,
    however often one looks. The alarm is raised at a `capital` of `alarm_at`: that is when the lower end
    of the interval has passed the promise, whose bets it is made of."""

    audits: int
    errors: int
    interval: Interval
    capital: float
    alarm_at: float


class Stretch(Noun):
    """Calls in a row, and the look at their end; None where no policy was in force."""

    phase: Phase
    calls: int
    right: int
    local: int
    local_errors: int
    look: Look | None


class Alarm(Noun):
    """A promise that was called broken, and why its policy was closed. `audits` and `errors` are those
    since the shift was planted."""

    audits: int
    errors: int
    reason: str


Canary = Literal["confirmed", "taken back", "undecided"]
"""What became of a student that had a share of the calls at first."""


class Retrained(Noun):
    """The student that learned from the calls since the shift, and what could be promised for it.

    `how` says from what and in how many steps. It got `right` of the `n` changed calls of its test split.
    """

    student: str
    recipe: str
    how: str
    train_examples: int
    right: int
    n: int
    interval: Interval
    policy: Policy


class Shift(Noun):
    """What happened when the calls of a task changed: the stretches of the time line in order.

    `what` changed, in a clause. A share of `audit_rate` of the local answers was audited. `share` of the
    calls was the new student's to decide at first, and `canary` is what became of it; None where there
    was none to offer.
    """

    what: str
    stretches: tuple[Stretch, ...]
    alarm: Alarm | None
    retrained: Retrained | None
    share: float
    canary: Canary | None
    audit_rate: float


class TaskSummary(Noun):
    """The whole loop of one task."""

    task: str
    instruction: str
    dataset: str
    capture: Capture
    data: DataSummary
    data_caveats: tuple[str, ...]
    drops: tuple[Drop, ...]
    flagging: Flagging | None
    evaluation: Evaluation
    calibration: Calibration | None
    cascade: Cascade | None
    shift: Shift | None = None
    findings: tuple[str, ...]
    """What the numbers of this task show and what they do not."""


class Summary(Noun):
    """One run of the loop."""

    version: str
    title: str
    simulated: bool
    seed: int
    command: str
    machine: dict[str, str]
    seconds: float
    peak_memory_mb: float
    stages: tuple[StageTime, ...]
    tasks: tuple[TaskSummary, ...]
