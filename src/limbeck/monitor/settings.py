"""What can be set of monitoring: every threshold that its sentences rest on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from limbeck.types import Noun, Usd

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]


class MonitorSettings(Noun):
    """Every setting of monitoring with its value; the section `[monitor]` of `limbeck.toml`."""

    false_alarms: Share | None = None
    """Share of kept promises that may ever be called broken; None takes 1 − the policy's confidence."""
    window_days: Annotated[float, Field(gt=0)] = 7.0
    """What counts as today: the accuracy and the drift are those of so many days."""
    drift_psi: Annotated[float, Field(gt=0)] = 0.25
    """Warn where a population stability index is above this, and above what chance explains."""
    drift_p: Share = 0.01
    """Warn where inputs as unlike as these would come by chance with a smaller probability."""
    escalation_change: Share = 0.1
    """Warn where the share of calls that go to the teacher has changed by more than this."""
    sampled: Count = 400
    """Inputs of each side that are compared in full."""
    max_pending: Share = 0.2
    """Warn where more of the audits than this have no outcome yet."""
    one_off_cost: Usd = 0.0
    """USD that it took to get here: labels, training, hours. The break-even date is when it is back."""
    monthly_cost: Usd = 0.0
    """USD a month that it takes to serve the student."""
    retrain_days: Annotated[float, Field(gt=0)] = 30.0
    """Recommend to retrain where the error rate, going on as it does, breaks the promise in so many
    days."""
    canary_audits: Count = 100
    """With --act, a canary decides all calls after so many audits that do not speak against its promise
    and of which no larger share was wrong than it promised."""
    webhook: str | None = None
    """Where a broken promise is reported: a URL that takes JSON."""
    webhook_timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """Seconds to wait for it."""
