"""`limbeck monitor`: is the promise of a task still kept, and what should be done?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from limbeck.cli.given import settle
from limbeck.cli.next_student import next_student
from limbeck.cli.working import working
from limbeck.errors import WebhookError
from limbeck.evaluate.promotion import close, confirm
from limbeck.monitor.event import event_of, tell
from limbeck.monitor.intake import read_calls
from limbeck.monitor.monitor import Monitoring, monitor, promoted
from limbeck.monitor.settings import MonitorSettings
from limbeck.store.store import Store
from limbeck.types import Closing, Promotion, Task
from limbeck.workspace import Workspace

BROKEN = 3
"""The exit code where the promise is broken, or was closed for it before."""
PAGE = 2000
MUCH = 100_000
"""Capital of which nobody needs to know how much more it is."""


def command(
    task: Annotated[str, typer.Option("--task", "-t", help="Name of the task.")],
    act: Annotated[
        bool,
        typer.Option(
            "--act",
            help="Close a broken policy or take a broken canary back, let a canary that kept its promise "
            "decide all calls, and make and calibrate the next student where one is due.",
        ),
    ] = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A setting, such as window_days=14.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what the audits show of a promise, today's accuracy, drift, money and age. Exits with 3 where
    the promise is broken. Without --act nothing is changed."""
    workspace = Workspace.find()
    spec = workspace.task(task)
    settings = settle(MonitorSettings, workspace, "monitor", set_ or [])
    promotion = promoted(workspace, spec)
    found = _read(workspace, spec, promotion, settings)
    done: dict[str, Any] = {}
    if found.broken and found.closed is None:
        done = _stop(workspace, found, settings, act=act)
        found = found.model_copy(update={"closed": done.pop("closing")})
    elif act and _confirmed(workspace, found, settings):
        done["canary"] = "it decides all calls from now on"
    failed = False
    if act and found.retrain.recommended:
        made = next_student(workspace, spec, found, promotion.policy)
        done["next_student"], failed = made.said, made.failed
    if as_json:
        print(json.dumps({**found.model_dump(mode="json"), **done}, indent=2))
    else:
        for line in _lines(found):
            print(line)
        for name, value in done.items():
            print(f"{name.replace('_', ' '):<11} {value}")
    if found.broken or found.closed is not None:
        raise typer.Exit(BROKEN)
    if failed:
        raise typer.Exit(1)


def _read(
    workspace: Workspace, task: Task, promotion: Promotion, settings: MonitorSettings
) -> Monitoring:
    with working("reading calls"), Store(workspace.store_url) as store:
        calls = read_calls(
            store.records(task.name, batch=PAGE),
            task,
            promotion.policy.id,
            sampled=settings.sampled,
        )
    return monitor(workspace, task, promotion, calls, settings)


def _stop(
    workspace: Workspace, found: Monitoring, settings: MonitorSettings, *, act: bool
) -> dict[str, Any]:
    """Closes the policy where it is asked for, and tells the webhook in any case."""
    audits = found.audits
    closing = None
    if act:
        reason = (
            f"{audits.errors:,} of {audits.n:,} audited answers were wrong, against a promise of at "
            f"most {audits.max_risk:.1%}"
        )
        made = Closing(reason=reason, audits=audits.n, errors=audits.errors, at=found.at)
        # Another policy may have been promoted while the store was read.
        closing = made if close(workspace, found.task, found.policy, made) else None
    done: dict[str, Any] = {"closing": closing}
    if settings.webhook is not None:
        try:
            event = event_of(found, closed=closing is not None)
            tell(settings.webhook, event, timeout_s=settings.webhook_timeout_s)
            done["webhook"] = "told"
        except WebhookError as error:
            # A policy is closed whether or not anybody hears of it.
            done["webhook"] = str(error)
    return done


def _confirmed(workspace: Workspace, found: Monitoring, settings: MonitorSettings) -> bool:
    """Lets a canary decide all calls, where its audits allow it."""
    audits = found.audits
    if audits.n < settings.canary_audits or audits.errors > audits.max_risk * audits.n:
        return False
    return confirm(workspace, found.task, found.policy)


def _lines(found: Monitoring) -> Iterator[str]:
    audits, today, money = found.audits, found.today, found.money
    yield _verdict(found)
    yield f"student     {found.student}, since {found.since:%Y-%m-%d %H:%M}"
    yield (
        f"audits      {audits.n:,} with an outcome, {audits.errors:,} wrong; "
        f"{audits.interval.low:.1%} to {audits.interval.high:.1%} at any time"
        + (f"; {audits.pending:,} wait" if audits.pending else "")
    )
    yield (
        f"alarm       capital {_capital(audits.capital)} of {_capital(audits.alarm_at)} (highest "
        f"{_capital(audits.highest)}); {audits.false_alarms:.1%} of kept promises ever reach it"
    )
    if today.rate is not None:
        yield (
            f"today       {today.rate:.1%} wrong of {today.calls:,} local answers in "
            f"{today.days:g} days ({today.interval.low:.1%} to {today.interval.high:.1%}, "
            f"{today.method})"
        )
    for one in found.drift:
        mark = "! " if one.warns else ""
        yield (
            f"drift       {mark}{one.what}: {one.measure} {one.value:.3g}, warns "
            f"{'below' if one.measure.startswith('p-value') else 'above'} {one.limit:.3g}"
        )
    if money.teacher_usd is None:
        yield "money       no call of the teacher has a price"
    else:
        back = f"; break-even {money.break_even}" if money.one_off and money.break_even else ""
        yield (
            f"money       spent ${money.spent:,.2f} (${money.on_audits:,.2f} on audits), saved "
            f"${money.saved:,.2f}, net ${money.net:,.2f} in {money.days:.1f} days{back}"
        )
    for week in found.decay.weeks[-6:]:
        yield (
            f"week {week.age:<6} {week.rate:.1%} of {week.audits:,} audits wrong "
            f"({week.interval.low:.1%} to {week.interval.high:.1%})"
        )
    for note in found.notes:
        yield f"note        {note}"
    for reason in found.retrain.why:
        yield f"retrain     {reason}"
    if found.retrain.recommended:
        rose = found.audits.rose_at
        since = f" --judge-since {rose.isoformat()}" if rose is not None else ""
        yield f"next        limbeck curate --task {found.task}{since}, then limbeck distill {found.task}"


def _capital(value: float) -> str:
    return f"{value:.3g}" if value < MUCH else f"over {MUCH:,}"


def _verdict(found: Monitoring) -> str:
    audits = found.audits
    if found.closed is not None:
        return f"closed: {found.closed.reason}; the teacher answers every call"
    if found.broken:
        return (
            f"broken: after {audits.broken_after:,} audits the error rate is above the promised "
            f"{audits.max_risk:.1%}; close the policy with: limbeck monitor --task {found.task} --act"
        )
    if not audits.n:
        return "unknown: no audit has an outcome yet"
    if audits.interval.high <= audits.max_risk:
        return f"kept: the error rate is at most {audits.interval.high:.1%}, as promised"
    return "not broken: the audits so far do not speak against the promise"
