"""The policy: who may answer a call, and what became of a promotion."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from limbeck.types.noun import Noun, content_hash
from limbeck.types.trace import OutcomeSource

PolicyAim = Literal["risk", "regret", "accuracy", "budget"]


class Steps(Noun):
    """One signal's part of a boosted rule: `values[i]` counts where `i` of the `cuts` lie below the
    signal, so that there is one value more than cuts."""

    cuts: tuple[float, ...]
    values: tuple[float, ...]


class GroupRule(Noun):
    """The rule for one group of calls, tested by itself; `threshold` is None where none passed."""

    name: str
    threshold: float | None
    n_bound: int
    n_accepted: int
    n_errors: int
    p_value: float | None


class Policy(Noun):
    """The fitted rule for who answers. `threshold` is None where no threshold passed.

    `max_risk` is the promised error rate among the calls that the student answers, whatever the aim
    was; `goal` is what was aimed at: a regret against the teacher, an accuracy of all calls, or USD
    for a thousand of them. `kind` says how the signals become a score: `weights` over standardized
    signals, or `steps` added up; `knots` take that score to a probability. `novelty` is what the
    student's training inputs were like, where a signal needs it. With `grouped_by`, each of `groups`
    has a threshold of its own, `threshold` is the lowest of them, and a call of any other group goes
    to the teacher. `audit_rate` is the share of local answers that are drawn to be checked.
    """

    task: str
    student: str
    skeleton: str
    max_risk: float
    confidence: float
    signals: tuple[str, ...]
    center: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    threshold: float | None
    truth_source: OutcomeSource
    n_fit: int
    n_bound: int
    n_accepted: int
    n_errors: int
    p_value: float | None
    calibration_hash: str
    aim: PolicyAim = "risk"
    goal: float | None = None
    kind: Literal["logistic", "boosted"] = "logistic"
    steps: tuple[Steps, ...] = ()
    knots: tuple[tuple[float, float], ...] = ()
    novelty: str | None = None
    samples: int = 0
    grouped_by: Literal["label", "group"] | None = None
    groups: tuple[GroupRule, ...] = ()
    audit_rate: Annotated[float, Field(ge=0, le=1)] = 0.05

    @cached_property
    def id(self) -> str:
        return content_hash(self.model_dump(mode="json", exclude_defaults=True))


class Closing(Noun):
    """Why a policy may answer no more. `audits` were seen, `errors` of them wrong."""

    reason: str
    audits: int
    errors: int
    at: datetime


class Promotion(Noun):
    """Which student serves a task, under which policy. One file a task; it is replaced whole.

    A policy that is `closed` answers nothing until another one is promoted. One that is a canary decides
    a `share` of the calls, drawn at random; the one `before` it decides the others. `withdrawn` says why
    a canary was taken back.
    """

    student_folder: str
    policy: Policy
    at: datetime | None = None
    closed: Closing | None = None
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    before: Promotion | None = None
    withdrawn: Closing | None = None
