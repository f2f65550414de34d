"""The training loop: one engine for every recipe."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck.distill.checkpoint import load_checkpoint, save_checkpoint
from limbeck.distill.compute import compute_dtype, plain, prepare
from limbeck.distill.settings import DistillSettings
from limbeck.distill.tokens import EncodedTree
from limbeck.distill.world import World
from limbeck.errors import Interrupted, TrainingError
from limbeck.types import Role

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from limbeck.distill.loss import Packed
    from limbeck.distill.optimize import Optimizer

ROLES: tuple[Role, ...] = ("control", "rationale", "answer", "question")


@dataclass(frozen=True)
class Progress:
    """What a watcher of the run is told after a step; losses are means, in nats a token."""

    step: int
    steps: int
    loss: dict[str, float]
    tokens: int
    seconds: float
    accuracy: float | None = None
    targets: int = 0
    """Supervised tokens so far; `tokens` counts every token that was computed."""


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


@dataclass
class _Run:
    """Progress of a run; goes into the checkpoint whole."""

    micro_tokens: int = 0
    step: int = 0
    tokens: int = 0
    targets: int = 0
    seconds: float = 0.0
    best: float | None = None
    stale: int = 0
    first: float | None = None
    loss: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)


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
    state is saved and `Interrupted` raised. A run that needs more memory than there is raises
    `PreflightError`; a loss that is not a number or far above its beginning stops the run with
    `TrainingError` and leaves the batch in `folder`.
    """
    from limbeck.distill.rows import schedule

    world = World()
    if world.sharded:
        # No process has a whole student that could be asked: the last weights are kept.
        score = None
    run = _Training(model, trees, settings, folder, world, pad, scratch, identity, score)
    run.resume()
    saved_at = time.monotonic()
    lengths = [tree.tokens for tree in trees]
    plan = schedule(lengths, settings.batch, settings.steps, settings.seed)
    for chosen in islice(plan, run.at.step, None):
        run.step(chosen)
        last = run.at.step == settings.steps
        if score is not None and (
            last or (settings.evaluate_every and run.at.step % settings.evaluate_every == 0)
        ):
            run.evaluate(score)
        if watch is not None and run.world.main:
            watch(run.progress())
        if run.world.agree(should_stop()) and not last:
            run.checkpoint()
            raise Interrupted(
                f"stopped at step {run.at.step:,} of {settings.steps:,}; "
                "the same command continues from there"
            )
        if settings.patience and run.at.stale >= settings.patience:
            break
        if run.world.agree(time.monotonic() - saved_at > settings.checkpoint_every_s):
            run.checkpoint()
            saved_at = time.monotonic()
    return run.result()


class _Training:
    """The state of a run and what is done with it in a step."""

    def __init__(
        self,
        model: PreTrainedModel,
        trees: Sequence[EncodedTree],
        settings: DistillSettings,
        folder: Path,
        world: World,
        pad: int,
        scratch: bool,
        identity: str,
        score: Scorer | None,
    ) -> None:
        import torch

        from limbeck.distill.loss import batch_loss
        from limbeck.distill.optimize import Optimizer

        self.model, self.trees, self.settings = model, trees, settings
        self.folder, self.world, self.pad, self.identity = folder, world, pad, identity
        self.dtype, self.device = compute_dtype(settings), world.device()
        self.at = _Run(micro_tokens=self._fitting(score is not None))
        prepare(model, settings, self.device)
        self.model, self.loss = world.place(model, batch_loss, self.dtype)
        self.reference = copy.deepcopy(model).float() if score is not None else None
        self.model.train()
        # Sharded weights are in float32 and are rounded when they are gathered: no copies are needed.
        held = torch.float32 if world.sharded else self.dtype
        self.optimizer: Optimizer = Optimizer(self.model, settings, scratch=scratch, dtype=held)
        self.best: dict[str, torch.Tensor] | None = None
        self.began = time.monotonic()

    def _fitting(self, scored: bool) -> int:
        """Tokens at once that memory allows for."""
        from limbeck.distill.memory import fit, free_bytes, need

        longest = max(len(tree.prompt) + len(b.ids) for tree in self.trees for b in tree.branches)
        copies = 1 + bool(self.settings.evaluate_every) if scored else 0
        shards = self.world.size if self.world.sharded else 1
        wanted = need(
            self.model, self.settings, self.dtype, longest=longest, copies=copies, shards=shards
        )
        free = self.world.agree(free_bytes(self.device))
        if free is None:
            return self.settings.micro_tokens
        # Processes on processors share one memory; each GPU has its own.
        sharing = self.world.size if self.device.type == "cpu" else 1
        return fit(wanted, free // sharing, self.settings, longest)

    def resume(self) -> None:
        """Continues from the checkpoint of this run, if there is one."""
        import torch

        found = load_checkpoint(self.folder)
        if found is None or found[1]["identity"] != self.identity:
            torch.manual_seed(self.settings.seed)
            return
        tensors, saved = found
        best = {k.removeprefix("best/"): v for k, v in tensors.items() if k.startswith("best/")}
        self.best = best or None
        rest = {k: v for k, v in tensors.items() if not k.startswith("best/")}
        self.optimizer.load_state(rest)
        self.at = _Run(**saved["run"])
        self.began = time.monotonic() - self.at.seconds

    def checkpoint(self) -> None:
        tensors = self.world.whole(self.optimizer.state())
        if self.world.main:
            tensors.update({f"best/{name}": tensor for name, tensor in (self.best or {}).items()})
            progress = {"identity": self.identity, "run": vars(self.at)}
            save_checkpoint(self.folder, tensors, progress)
        self.world.wait()

    def step(self, chosen: Sequence[int]) -> None:
        """One update from the trees of these indices."""
        import torch

        from limbeck.distill.loss import pack, rows_for

        trees = [self.trees[index] for index in chosen]
        rows = rows_for(self.model, trees, self.settings.layout)
        norm = (
            math.fsum(weight for row in rows for weight in row.weights)
            if self.settings.mean == "token"
            else math.fsum(tree.weight for tree in trees)
        )
        sums = torch.zeros(len(ROLES), 2, dtype=torch.float64)
        pieces: list[Packed] = pack(self.model, rows, self.at.micro_tokens, self.pad)
        for piece, times in self.world.share(pieces):
            loss = self.loss(piece.to(self.device), norm, self.dtype)
            (times * loss.value).backward()
            for role, (nats, count) in loss.by_role.items():
                sums[ROLES.index(role)] += times * torch.tensor([nats, count], dtype=torch.float64)
        live = [p for p in self.model.parameters() if p.requires_grad]
        sums = self.world.sum_gradients(live, sums.float().flatten()).view(-1, 2)
        means = {
            role: nats / count
            for role, (nats, count) in zip(ROLES, sums.tolist(), strict=True)
            if count
        }
        self._check(means, sums[:, 0].sum().item() / sums[:, 1].sum().item(), chosen)
        self.optimizer.step(self.at.step)
        self._count(means, sum(len(row.ids) for row in rows), sum(len(r.targets) for r in rows))

    def _count(self, means: dict[Role, float], tokens: int, targets: int) -> None:
        self.at.tokens += tokens
        self.at.targets += targets
        self.at.step += 1
        self.at.seconds = time.monotonic() - self.began
        for role, mean in means.items():
            # An average over about twenty steps reads calmly and forgets the start.
            old = self.at.loss.get(role, mean)
            self.at.loss[role] = 0.95 * old + 0.05 * mean

    def _check(self, means: dict[Role, float], nats: float, chosen: Sequence[int]) -> None:
        """Raises `TrainingError` where the run has gone wrong, and keeps the batch for a look.

        A mean loss of 3 nats above that of the first step, and 3 above that of a blind guess, is no
        noise any more: the model has forgotten even how often a token occurs.
        """
        if self.at.first is None and math.isfinite(nats):
            self.at.first = nats
        guess = math.log(self.model.config.vocab_size)
        if math.isfinite(nats) and nats <= max(self.at.first or 0.0, guess) + 3.0:
            return
        file = self.folder / "diverged.json"
        if self.world.main:
            batch = {
                "step": self.at.step,
                "loss": {role: repr(mean) for role, mean in means.items()},
                "trees": list(chosen),
                "ids": [
                    {"prompt": tree.prompt, "branches": [b.ids for b in tree.branches]}
                    for tree in (self.trees[index] for index in chosen)
                ],
            }
            file.write_text(json.dumps(batch) + "\n", encoding="utf-8")
        said = "is not a number" if not math.isfinite(nats) else f"rose to {nats:.1f} nats a token"
        raise TrainingError(
            f"the loss {said} at step {self.at.step} (the batch is in {file}); "
            "lower the learning rate"
        )

    def evaluate(self, score: Scorer) -> None:
        """Verified accuracy of the float32 weights; the best so far are kept."""
        assert self.reference is not None
        weights = self.optimizer.weights()
        accuracy = self.world.agree(_score(self.reference, weights, score))
        self.at.history.append({"step": self.at.step, "accuracy": accuracy, **self.at.loss})
        better = self.at.best is None or accuracy > self.at.best
        self.at.stale = 0 if better else self.at.stale + 1
        if better or accuracy == self.at.best:
            self.at.best = accuracy
            self.best = {name: tensor.clone() for name, tensor in weights.items()}

    def progress(self) -> Progress:
        at = self.at
        return Progress(
            step=at.step,
            steps=self.settings.steps,
            loss=dict(at.loss),
            tokens=at.tokens,
            seconds=at.seconds,
            accuracy=at.best,
            targets=at.targets,
        )

    def result(self) -> Trained:
        return Trained(
            weights=self.best or self.world.whole(self.optimizer.weights()),
            steps=self.at.step,
            tokens=self.at.tokens,
            seconds=self.at.seconds,
            loss=self.at.loss,
            accuracy=self.at.best,
            history=self.at.history,
        )


def _score(reference: PreTrainedModel, weights: dict[str, torch.Tensor], score: Scorer) -> float:
    import torch

    from limbeck.distill.adapters import fold

    with torch.no_grad():
        for name, parameter in reference.named_parameters():
            if name in weights:
                parameter.copy_(weights[name])
    reference.eval()
    if plain(reference) is reference:
        return score(reference)
    # What is asked is what will be saved: one model with the adapters merged into it.
    return score(fold(copy.deepcopy(reference)))


__all__ = ["Progress", "Scorer", "Trained", "Watcher", "compute_dtype", "train"]
