"""A broken promise, told to whoever asked to be told."""

from __future__ import annotations

from datetime import datetime

import urllib3

from limbeck.errors import WebhookError
from limbeck.monitor.monitor import Monitoring
from limbeck.types import Noun


class BrokenPromise(Noun):
    """What is sent as JSON. `closed` says whether the teacher answers everything from now on."""

    event: str = "promise_broken"
    task: str
    student: str
    policy: str
    max_risk: float
    audits: int
    errors: int
    closed: bool
    at: datetime
    next_step: str


def event_of(found: Monitoring, *, closed: bool) -> BrokenPromise:
    return BrokenPromise(
        task=found.task,
        student=found.student,
        policy=found.policy,
        max_risk=found.audits.max_risk,
        audits=found.audits.n,
        errors=found.audits.errors,
        closed=closed,
        at=found.at,
        next_step=f"limbeck curate --task {found.task}",
    )


def tell(url: str, event: BrokenPromise, *, timeout_s: float) -> None:
    """Posts the event. Raises WebhookError, so that whoever closes a policy can close it anyway."""
    pool = urllib3.PoolManager(retries=urllib3.Retry(2, backoff_factor=0.2, redirect=0))
    try:
        reply = pool.request(
            "POST",
            url,
            body=event.model_dump_json().encode(),
            headers={"content-type": "application/json"},
            timeout=timeout_s,
        )
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise WebhookError(
            f"the webhook {url!r} could not be reached ({type(error).__name__}); check "
            "[monitor] webhook in limbeck.toml"
        ) from None
    finally:
        pool.clear()
    if reply.status >= 300:
        raise WebhookError(f"the webhook {url!r} answered {reply.status}; wanted 200 to 299")
