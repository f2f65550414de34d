"""Is the promise of one task still kept, and what should be done?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from limbeck.curate.dataset import MANIFEST, read_dataset
from limbeck.errors import ConfigError
from limbeck.evaluate.promotion import read_promotion
from limbeck.models.local import read_card
from limbeck.monitor.audits import Audits, read_audits
from limbeck.monitor.decay import Decay, Retrain, read_decay, recommend
from limbeck.monitor.drift import Drift, Reference, find_drift
from limbeck.monitor.intake import Calls
from limbeck.monitor.money import Money, read_money
from limbeck.monitor.settings import MonitorSettings
from limbeck.monitor.today import Today, read_today
from limbeck.types import Closing, Noun, Promotion, StudentCard, Task
from limbeck.workspace import Workspace


class Monitoring(Noun):
    """What is known of one promoted policy; `broken` is what the audits say, `closed` what was done."""

    task: str
    student: str
    policy: str
    at: datetime
    since: datetime
    broken: bool
    closed: Closing | None
    audits: Audits
    today: Today
    drift: tuple[Drift, ...]
    money: Money
    decay: Decay
    retrain: Retrain
    notes: tuple[str, ...]
    settings: MonitorSettings


def promoted(workspace: Workspace, task: Task) -> Promotion:
    """The promotion of the task. Raises ConfigError where there is none to watch."""
    found = read_promotion(workspace, task.name)
    if found is None:
        raise ConfigError(
            f"no student is promoted for the task {task.name!r}, so nothing is promised; "
            "promote one with: limbeck promote STUDENT"
        )
    return found


def monitor(
    workspace: Workspace,
    task: Task,
    promotion: Promotion,
    calls: Calls,
    settings: MonitorSettings,
    now: datetime | None = None,
) -> Monitoring:
    """Reads off `calls`, which are all those of the promoted policy; changes nothing."""
    now = now or datetime.now(UTC)
    policy = promotion.policy
    card = read_card(workspace.students / promotion.student_folder)
    # A policy that is promoted again has calls from before that.
    first = calls.rows["at"].drop_nulls().min()
    known = [at for at in (promotion.at, first) if isinstance(at, datetime)]
    began = min(known, default=now)
    recent = calls.since(now - timedelta(days=settings.window_days))
    audits = read_audits(calls, policy, settings.false_alarms)
    reference = reference_of(workspace, card, calls)
    drifts = find_drift(recent, reference, policy, settings)
    decay = read_decay(calls, began, policy.max_risk)
    return Monitoring(
        task=task.name,
        student=promotion.student_folder,
        policy=policy.id,
        at=now,
        since=began,
        broken=audits.broken,
        closed=promotion.closed,
        audits=audits,
        today=read_today(recent, settings.window_days),
        drift=tuple(drifts),
        money=read_money(calls, settings, began, now),
        decay=decay,
        retrain=recommend(audits, decay, drifts, calls, settings, card.train_examples),
        notes=tuple(_notes(audits, calls, promotion, settings)),
        settings=settings,
    )


def reference_of(workspace: Workspace, card: StudentCard, calls: Calls) -> Reference:
    """The inputs of the calibration and training splits; without the dataset, the policy's first ones."""
    labels = card.task.answer.kind == "choice"
    folder = workspace.datasets / f"{card.task.name}-{card.dataset.removeprefix('sha256:')[:8]}"
    if (folder / MANIFEST).is_file():
        dataset = read_dataset(folder)
        # Training may be weighed and filtered; the calibration calls are as they came.
        split = "calibration" if "calibration" in dataset.splits else "train"
        examples = dataset.split(split)
        truths = [example.truth for example in examples] if labels else []
        return Reference([example.input for example in examples], truths)
    texts = [text for _, text in calls.texts]
    return Reference(texts[: len(texts) // 4], [])


def _notes(
    audits: Audits, calls: Calls, promotion: Promotion, settings: MonitorSettings
) -> list[str]:
    said = []
    drawn = audits.n + audits.pending
    if calls.answered.height and not drawn:
        said.append(
            "no local answer was drawn to be audited, so nothing is known of the promise; calibrate "
            "with --audit-rate 0.05 and promote again"
            if not promotion.policy.audit_rate
            else "no local answer was drawn to be audited yet"
        )
    elif drawn and audits.pending > settings.max_pending * drawn:
        said.append(
            f"{audits.pending:,} of {drawn:,} audits have no outcome yet; if those are the hard ones, "
            "the error rate is higher than it looks"
        )
    if audits.sources.get("teacher_agreement"):
        said.append(
            "audits with the teacher's word alone count a difference as an error, and the teacher "
            "may be wrong too"
        )
    return said
