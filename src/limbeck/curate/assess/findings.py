"""What an assessment finds: numbers with 95 % intervals, and the decision that they lead to."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from limbeck.curate.assess.settings import AssessSettings
from limbeck.types import Noun


class Estimate(Noun):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


class Volume(Noun):
    """Calls of the task. `weeks` are the calls of each whole week up to the last call, oldest first.

    `calls` leaves out the `students`' replies. `month` is the rate of the last 28 days for a month of
    30.4 days, None without times; `stated` says that it was set by hand. `trend` is the growth a month
    (0.1 is 10 %).
    """

    calls: int
    students: int
    failed: int
    with_context: int
    without_time: int
    first: datetime | None
    last: datetime | None
    days: float
    weeks: tuple[int, ...]
    month: float | None
    stated: bool
    trend: Estimate | None


class Cost(Noun):
    """USD of a call and of a month, and how many calls have their cost from where.

    `recorded` came with the trace, `priced` is by the counted tokens and the price library,
    `estimated` by the length of the text.
    """

    a_call: Estimate | None
    a_month: Estimate | None
    recorded: int
    priced: int
    estimated: int
    unknown: int


class BreakEven(Noun):
    """When the one-off cost has come back. USD a month; `months` is None where it never does.

    `months_high` is for the low end of the cost of a call. `calls_needed` is the calls a month from
    which it comes back within the longest time that is set.
    """

    saved: float
    net: float
    months: float | None
    months_high: float | None
    calls_needed: float


class Labels(Noun):
    """The answers that a student would learn.

    `source` says whose word they are: `outcome`, or `teacher` where too few outcomes are there.
    `inputs` are distinct ones. `in_input` is the share of answers that stand in their input word for
    word. `top` are the most frequent answers with their counts.
    """

    source: Literal["outcome", "teacher"]
    inputs: int
    distinct: int
    entropy_bits: float
    majority: Estimate | None
    in_input: float
    top: dict[str, int]


class TeacherWord(Noun):
    """How far the teacher's answers can be believed.

    `agreement` is how often two answers to the same input are the same, over the `repeated` inputs.
    """

    with_outcome: int
    by_source: dict[str, int]
    right: Estimate | None
    right_by_source: dict[str, Estimate]
    repeated: int
    agreement: Estimate | None


class CurvePoint(Noun):
    """Accuracy of the linear model, learned from so many labelled inputs."""

    labelled: int
    accuracy: Estimate


class Needed(Noun):
    """So many more labelled inputs until the linear model reaches `accuracy`; None where the value lies
    past what the curve can carry. `reached` is the share of the fits in which it ever does."""

    accuracy: float
    more: int | None
    low: int | None
    high: int | None
    reached: float


class Baseline(Noun):
    """What a model over word counts gets, by cross-validation; `why_not` says why it was not fitted.

    `ceiling` is where its learning curve ends. `doubling` is what twice the labels would gain, and
    `flat_after` the labelled inputs from which that is at most `max_doubling_gain`. `missed` is how far
    the same curve, fitted without the largest size, misses the accuracy there.
    """

    why_not: str | None = None
    inputs: int = 0
    labels: int = 0
    accuracy: Estimate | None = None
    points: tuple[CurvePoint, ...] = ()
    ceiling: Estimate | None = None
    doubling: Estimate | None = None
    flat_after: int | None = None
    needed: Needed | None = None
    missed: float | None = None


class Week(Noun):
    """How far the inputs of a week differ from those since the last change (PSI), and how large a PSI
    chance alone makes, once in a hundred weeks."""

    start: datetime
    calls: int
    length: float
    length_chance: float
    topics: float
    topics_chance: float
    drifted: bool


class Version(Noun):
    """A skeleton with its calls."""

    skeleton: str
    calls: int
    first: datetime | None
    last: datetime | None


class Stability(Noun):
    """What changed over time. `changed` is the start of the last week with other inputs.

    `skeletons` counts them all, `versions` are the most used ones, and `current` is that of most of
    the last calls. `usable` are the labelled inputs asked under it and since the change.
    """

    weeks: tuple[Week, ...]
    changed: datetime | None
    skeletons: int
    versions: tuple[Version, ...]
    current: str | None
    scattered: bool
    usable: int


class Chains(Noun):
    """How much of the rationales a program could have written.

    `numbers_from_input` is the share of their numbers that stand in the input or that a checkable step
    yields; `words_from_input` the share of their words that stand in the input. `steps` are checkable
    arithmetic steps a chain. A sentence is a template where it recurs once what comes from the input
    is left out; `half` templates make half of all sentences. `program` is the share of sentences that
    are a template, or right arithmetic over known numbers.
    """

    with_chain: int
    read: int
    sentences: int
    numbers_from_input: float | None
    words_from_input: float
    steps: float
    steps_right: float | None
    templated: float
    half: int
    program: Estimate


class Decision(Noun):
    """What to do. `more` is how many labelled inputs to wait for.

    `labels_needed` is what the promise takes, or `min_labelled`. `reasons` led to the verdict; `notes`
    are worth knowing and changed nothing.
    """

    verdict: Literal["go", "wait", "dont"]
    more: int | None
    target: float | None
    labels_needed: int
    reasons: tuple[str, ...]
    notes: tuple[str, ...]


class Findings(Noun):
    """All that was found of a task, before anything is decided."""

    task: str
    kind: str
    volume: Volume
    cost: Cost
    break_even: BreakEven | None
    labels: Labels
    teacher: TeacherWord
    baseline: Baseline
    stability: Stability
    chains: Chains | None
    calibration_share: float


class Assessment(Noun):
    """The findings, the settings that they were made with, and the decision."""

    findings: Findings
    settings: AssessSettings
    decision: Decision
