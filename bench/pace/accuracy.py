"""Time to accuracy: a nano student on `refunds`, from nothing to a stated share of verified answers."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from limbeck.capture.sandbox.tasks import load, render
from limbeck.curate.curate import curate
from limbeck.curate.dataset import Dataset, read_dataset
from limbeck.distill.distill import distill
from limbeck.distill.settings import DistillSettings
from limbeck.distill.train import Progress
from limbeck.errors import Interrupted
from limbeck.types import Noun, Outcome, Provenance, Trace


class Reached(Noun):
    """`seconds` from the start of the training, tokenizer and validation included; None: not reached."""

    seed: int
    target: float
    seconds: float | None
    step: int
    accuracy: float
    training_s: float
    """Of these seconds, those of the steps and checks, without the tokenizer and the reading."""


def refunds(folder: Path, calls: int) -> Dataset:
    """A dataset of `refunds` from a simulated teacher without faults."""
    sandbox = load("refunds")
    task = sandbox.task()
    traces: list[Trace] = []
    truths: dict[str, Outcome] = {}
    for item in sandbox.generate(calls, seed=1):
        trace = Trace(
            task=task.name,
            input=item.input,
            raw=render(item),
            stop_reason="end_turn",
            provenance=Provenance(source="gateway", generator="simulated", simulated=True),
        )
        traces.append(trace)
        truths[trace.id] = Outcome(trace_id=trace.id, value=item.truth, source="gold")
    return read_dataset(curate(traces, truths, task, folder).path)


class Wanted(Noun):
    """Up to where a student is trained: to `target` on validation, for `steps` steps at most."""

    seed: int
    target: float
    steps: int
    calls: int = 3000
    recipe: str = "think-first"


def reach(
    wanted: Wanted, report: Callable[[str], None], should_stop: Callable[[], bool], threads: int
) -> Reached:
    """A job of `side_by_side`: trains until validation says the target, checking every 25 steps."""
    seed, target = wanted.seed, wanted.target
    settings = DistillSettings(
        steps=wanted.steps, seed=seed, threads=threads, evaluate_every=25, evaluate_items=256
    )
    with tempfile.TemporaryDirectory() as made:
        dataset = refunds(Path(made) / "data", wanted.calls)
        seen: list[Progress] = []
        began = time.monotonic()
        # Being stopped is how it ends where the target is reached before the last step.
        with contextlib.suppress(Interrupted):
            distill(
                dataset,
                wanted.recipe,
                Path(made) / "students",
                settings=settings,
                watch=seen.append,
                should_stop=lambda: should_stop() or (seen[-1].accuracy or 0.0) >= target,
            )
        seconds = time.monotonic() - began
    last = seen[-1]
    accuracy = last.accuracy or 0.0
    return Reached(
        seed=seed,
        target=target,
        seconds=round(seconds, 1) if accuracy >= target else None,
        step=last.step,
        accuracy=accuracy,
        training_s=round(last.seconds, 1),
    )
