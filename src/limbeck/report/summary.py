"""Everything that a report shows, as one JSON-ready value: `summary.json` beside the page."""

from __future__ import annotations

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
