"""How long a study will take, before it begins.

Where students of the same base are known from earlier studies, their times are the estimate; else one
is trained for a few steps and thrown away.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from limbeck.distill.arms import train_arm
from limbeck.distill.workers import cores, side_by_side
from limbeck.evaluate.study.result import Score
from limbeck.evaluate.study.run import Job, Plan
from limbeck.models.local import read_card
from limbeck.types import Noun

TRIAL_STEPS = 6
START_S = 4.0
"""Seconds that a process takes before its first step: imports, data, tokenizer."""
ASKED_AS = 2.0
"""To ask a student once takes about as long as to train it on so many inputs. It is not tried: a
student of a few steps has not learned to stop."""


class Pace(Noun):
    """Seconds for an input in training, and for an answer, of one recipe on this machine."""

    recipe: str
    trained: float
    asked: float


class Estimate(Noun):
    """`students` in all, of which `missing` are still to be trained; `seconds` is for these, with so
    many side by side. `tried` says that it comes from a trial of a few steps.
    """

    students: int
    missing: int
    steps: int
    seconds: float
    side_by_side: int
    tried: bool


def estimate(plan: Plan, *, jobs: int = 0) -> Estimate:
    """Time for what is missing. No study costs money: nothing is asked of a remote teacher."""
    missing = plan.missing
    at_once = max(1, min(jobs or cores(), len(missing)))
    known = _known(plan) if missing else []
    tried = bool(missing) and not known
    if tried:
        known = [_trial(missing)]
    asked = len(plan.dataset.split(plan.split))
    each = [_seconds(known, job, asked) for job in missing]
    return Estimate(
        students=len(plan.jobs),
        missing=len(missing),
        steps=plan.settings.steps,
        # The last to finish works alone: no study is faster than its longest student.
        seconds=round(max([sum(each) / at_once, *each], default=0.0), 1),
        side_by_side=at_once,
        tried=tried,
    )


def _seconds(known: Sequence[Pace], job: Job, asked: int) -> float:
    """Of one student, by those of its recipe, or by all that are known."""
    like = [pace for pace in known if pace.recipe == job.spec.recipe] or known
    inputs = job.spec.settings.steps * job.spec.settings.batch
    trained = statistics.median(pace.trained for pace in like)
    return START_S + trained * inputs + statistics.median(pace.asked for pace in like) * asked


def _known(plan: Plan) -> list[Pace]:
    """The pace of earlier students of the same base."""
    files = sorted((plan.home / "scores").glob("*.json"))
    scores = [Score.model_validate_json(file.read_bytes()) for file in files]
    return [
        Pace(
            recipe=score.recipe,
            trained=score.train_seconds / score.steps / score.batch,
            asked=score.seconds / len(score.right),
        )
        for score in scores
        if score.base == plan.base
    ]


def _trial(missing: Sequence[Job]) -> Pace:
    """The pace of a student of a few steps, which nobody keeps; of a recipe that writes the most."""
    job = max(missing, key=lambda job: job.spec.recipe not in ("label", "multitask"))
    settings = job.spec.settings.model_copy(update={"steps": TRIAL_STEPS, "evaluate_items": 1})
    with tempfile.TemporaryDirectory() as place:
        spec = job.spec.model_copy(update={"settings": settings, "students": Path(place)})
        [folder] = side_by_side(train_arm, [spec], jobs=1)
        seconds = read_card(folder).seconds / TRIAL_STEPS / settings.batch
    return Pace(recipe=job.spec.recipe, trained=seconds, asked=ASKED_AS * seconds)
