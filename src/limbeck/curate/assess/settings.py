"""What can be set of an assessment: every threshold that its verdict rests on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from limbeck.types import Noun, Usd

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class AssessSettings(Noun):
    """Every setting of an assessment with its value; printed with the result."""

    coverage: Annotated[float, Field(gt=0, le=1)] = 0.7
    """Share of the calls that the student is assumed to answer; the teacher answers the others."""
    one_off_cost: Usd = 500.0
    """USD that it takes once: labels, training, the hours of whoever does it."""
    monthly_cost: Usd = 50.0
    """USD a month that it takes to serve the student."""
    max_months: Annotated[float, Field(gt=0)] = 12.0
    """Don't, where the one-off cost takes longer than this to come back."""
    monthly_calls: Annotated[float, Field(gt=0)] | None = None
    """Calls a month; None counts them from the times of the traces."""
    target: Share | None = None
    """Accuracy that a student must reach; None takes the teacher's own, less `margin`."""
    margin: Share = 0.03
    """What a student may be worse than the teacher, in share of the calls."""
    max_risk: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Share of errors that the policy is to promise, as in `limbeck calibrate`."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Confidence of that promise."""
    min_labelled: Count = 300
    """Wait below so many labelled inputs, whatever the promise needs."""
    min_outcomes: Count = 200
    """With fewer outcomes than this the teacher's own answers stand in as labels."""
    min_days: Annotated[float, Field(ge=0)] = 7.0
    """A volume counted over fewer days is shown, but decides nothing."""
    min_repeats: Count = 20
    """Inputs asked more than once before the teacher's agreement with itself decides anything."""
    min_agreement: Share = 0.8
    """Don't, where the teacher agrees with itself less often than this on the same input."""
    max_doubling_gain: Share = 0.05
    """Wait, while twice the labels still gain a linear model more accuracy than this."""
    drift_psi: Annotated[float, Field(gt=0)] = 0.25
    """A week whose inputs have a larger population stability index than this, and than chance
    explains, is another distribution."""
    min_week: Count = 50
    """Weeks with fewer sampled calls than this are joined to the next one."""
    open_distinct: Share = 0.5
    """Answers are open-ended where more of them than this are different..."""
    open_from_input: Share = 0.6
    """...and fewer of them than this stand in their input word for word."""
    program_like: Share = 0.5
    """Chains are program-like where at least this share of their sentences is."""
    max_labels: Count = 200
    """With more different answers than this no linear model is fitted."""
    sample: Annotated[int, Field(ge=100)] = 4000
    """Distinct inputs whose text is looked at; volume, cost and labels count every call."""
    chains: Annotated[int, Field(ge=10)] = 1000
    """Chains that are looked at."""
    seed: int = 0
