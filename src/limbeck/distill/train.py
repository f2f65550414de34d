"""The training loop: one engine for every recipe."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck.distill.checkpoint import load_checkpoint, save_checkpoint
from limbeck.distill.settings import DistillSettings
from limbeck.distill.tokens import EncodedTree
from limbeck.errors import Interrupted, TrainingError
from limbeck.types import Role

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Progress:
    """What a watcher of the run is told after a step; losses are means, in nats a token."""

    step: int
    steps: int
    loss: dict[str, float]
    tokens: int
    seconds: float
    accuracy: float | None = None


@dataclass
class Trained:
    """What a run leaves: float32 weights by name, and its numbers."""

    weights: dict[str, torch.Tensor]
    steps: int
    tokens: int
    seconds: float
    loss: dict[str, float]
    accuracy: float | None
    history: list[dict[str, Any]] = field(default_factory=list)


Watcher = Callable[[Progress], None]
Scorer = Callable[["PreTrainedModel"], float]


def train(
    model: PreTrainedModel,
    trees: Sequence[EncodedTree],
    settings: DistillSettings,
    folder: Path,
    *,
    pad: int,
    scratch: bool,
    identity: str,
    score: Scorer | None = None,
    watch: Watcher | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Trains `model` in place for `settings.steps` steps over `trees`.

    `identity` names the run (data, recipe and settings): a checkpoint in `folder` with the same
    identity is continued, another is ignored. `should_stop` is asked after each step; on True the
    state is saved and `Interrupted` raised. A loss that is not a number stops the run with
    `TrainingError` and leaves the batch's indices in `folder`.
    """
    import torch

    from limbeck.distill.loss import batch_loss
    from limbeck.distill.optimize import Optimizer
    from limbeck.distill.rows import collate, micro_batches, rows_of, schedule

    if settings.threads:
        torch.set_num_threads(settings.threads)
    dtype = compute_dtype(settings)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)  # type: ignore[arg-type]
    reference = copy.deepcopy(model).float() if score is not None else None
    model.train()
    optimizer = Optimizer(model, settings, scratch=scratch, dtype=dtype)
    lengths = [tree.tokens for tree in trees]
    run = _Run()
    best: dict[str, torch.Tensor] | None = None
    found = load_checkpoint(folder)
    if found is not None and found[1]["identity"] == identity:
        tensors, saved = found
        best = {
            k.removeprefix("best/"): v for k, v in tensors.items() if k.startswith("best/")
        } or None
        optimizer.load_state({k: v for k, v in tensors.items() if not k.startswith("best/")})
        run = _Run(**saved["run"])
    else:
        torch.manual_seed(settings.seed)
    began, saved_at = time.monotonic() - run.seconds, time.monotonic()

    def checkpoint() -> None:
        tensors = optimizer.state()
        tensors.update({f"best/{name}": tensor for name, tensor in (best or {}).items()})
        save_checkpoint(folder, tensors, {"identity": identity, "run": vars(run)})

    plan = schedule(lengths, settings.batch, settings.steps, settings.seed)
    for step, chosen in enumerate(islice(plan, run.step, None), start=run.step):
        rows = rows_of([trees[index] for index in chosen], settings.layout)
        norm = (
            math.fsum(weight for row in rows for weight in row.weights)
            if settings.mean == "token"
            else math.fsum(trees[index].weight for index in chosen)
        )
        sums: dict[Role, tuple[float, int]] = {}
        for piece in micro_batches(rows, settings.micro_tokens):
            loss = batch_loss(model, collate(piece, pad).to(device), norm, dtype)
            if not math.isfinite(float(loss.value.detach())):
                (folder / "diverged.txt").write_text(
                    f"step {step}: trees {chosen}\n", encoding="utf-8"
                )
                raise TrainingError(
                    f"the loss is not a number at step {step} (the batch is named in "
                    f"{folder / 'diverged.txt'}); lower the learning rate"
                )
            loss.value.backward()
            for role, (nats, count) in loss.by_role.items():
                had = sums.get(role, (0.0, 0))
                sums[role] = (had[0] + nats, had[1] + count)
        optimizer.step(step)
        run.tokens += sum(len(row.ids) for row in rows)
        run.step = step + 1
        run.seconds = time.monotonic() - began
        for role, (nats, count) in sums.items():
            # An average over about twenty steps reads calmly and forgets the start.
            old = run.loss.get(role, nats / count)
            run.loss[role] = 0.95 * old + 0.05 * nats / count
        last = run.step == settings.steps
        due = settings.evaluate_every and run.step % settings.evaluate_every == 0
        if score is not None and reference is not None and (due or last):
            accuracy = _score(reference, optimizer.weights(), score)
            run.history.append({"step": run.step, "accuracy": accuracy, **run.loss})
            if run.best is None or accuracy >= run.best:
                run.best = accuracy
                best = {name: tensor.clone() for name, tensor in optimizer.weights().items()}
        if watch is not None:
            watch(
                Progress(
                    run.step, settings.steps, dict(run.loss), run.tokens, run.seconds, run.best
                )
            )
        if should_stop() and not last:
            checkpoint()
            raise Interrupted(
                f"stopped at step {run.step:,} of {settings.steps:,}; the same command continues from there"
            )
        if time.monotonic() - saved_at > settings.checkpoint_every_s:
            checkpoint()
            saved_at = time.monotonic()
    chosen_weights = best if best is not None else optimizer.weights()
    return Trained(
        weights=chosen_weights,
        steps=run.step,
        tokens=run.tokens,
        seconds=run.seconds,
        loss=run.loss,
        accuracy=run.best,
        history=run.history,
    )


@dataclass
class _Run:
    """Progress of a run; goes into the checkpoint whole."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    best: float | None = None
    loss: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)


def compute_dtype(settings: DistillSettings) -> torch.dtype:
    """bfloat16 where the processor multiplies it natively, else float32."""
    import torch

    if settings.precision == "auto":
        native = (
            torch.cuda.is_bf16_supported()
            if torch.cuda.is_available()
            else torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        )
        return torch.bfloat16 if native else torch.float32
    return torch.bfloat16 if settings.precision == "bfloat16" else torch.float32


def _score(reference: PreTrainedModel, weights: dict[str, torch.Tensor], score: Scorer) -> float:
    import torch

    with torch.no_grad():
        for name, parameter in reference.named_parameters():
            if name in weights:
                parameter.copy_(weights[name])
    reference.eval()
    return score(reference)
