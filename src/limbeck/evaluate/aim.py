"""What a policy is to promise, as it was asked for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from limbeck.types import Noun, PolicyAim

Share = Annotated[float, Field(gt=0, lt=1)]


class Aim(Noun):
    """One of four promises, with probability `confidence` over the calibration data.

    `risk`: at most `value` of the answers that the student gives are wrong. `regret`: they are wrong
    at most `value` more often than the teacher's would be. `accuracy`: at least `value` of all answers
    are right, whoever gives them. `budget`: a thousand calls cost `value` USD at most, where a call of
    the teacher costs `teacher_usd`; the risk is then what it is, and bounded.

    `by` promises it for each label that the student gives, or each group of callers, by itself: each
    has its own threshold, and together they are wrong with probability 1 − `confidence` at most.
    `audit_rate` is the share of local answers that will be checked.
    """

    kind: PolicyAim = "risk"
    value: Annotated[float, Field(gt=0)] = 0.05
    confidence: Share = 0.95
    by: Literal["label", "group"] | None = None
    teacher_usd: Annotated[float, Field(gt=0)] | None = None
    audit_rate: Annotated[float, Field(ge=0, le=1)] = 0.05

    @model_validator(mode="after")
    def _can_be_kept(self) -> Aim:
        if self.kind != "budget" and self.value >= 1:
            raise ValueError(f"the {self.kind} is {self.value!r}; wanted a share between 0 and 1")
        if self.kind == "budget" and self.teacher_usd is None:
            raise ValueError("a budget is given without what a call of the teacher costs")
        if self.by is not None and self.kind != "risk":
            raise ValueError(f"groups are asked for with a {self.kind}; wanted a risk")
        return self

    @property
    def delta(self) -> float:
        return 1 - self.confidence
