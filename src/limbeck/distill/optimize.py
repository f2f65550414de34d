"""Optimizers, the schedule of their rates, and float32 weights behind a bfloat16 model."""

from __future__ import annotations

from typing import Any

import torch

from limbeck.distill.compute import has_bfloat16
from limbeck.distill.muon import Muon32
from limbeck.distill.settings import DistillSettings
from limbeck.distill.sharding import like


class Optimizer:
    """AdamW, with Muon for the matrices inside the layers of a student from scratch.

    Where the model computes in bfloat16, the optimizer works on float32 copies and writes them back
    after each step: updates smaller than a bfloat16 rounding step would otherwise be lost.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        settings: DistillSettings,
        *,
        scratch: bool,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self._settings = settings
        self._live = [p for p in model.parameters() if p.requires_grad]
        self._names = [name for name, p in model.named_parameters() if p.requires_grad]
        self._master: list[torch.Tensor] = list(self._live)
        if dtype != torch.float32:
            self._master = [p.detach().float().clone() for p in self._live]
            # Parameters only: rounding the buffers would move the rotary positions.
            for parameter in model.parameters():
                # Weights of 4 bits stay as they are.
                if parameter.is_floating_point():
                    parameter.data = parameter.data.to(dtype)
        muon = settings.optimizer == "muon" or (settings.optimizer == "auto" and scratch)
        inner = [
            muon and p.ndim == 2 and ".layers." in name
            for name, p in zip(self._names, self._live, strict=True)
        ]
        matrices = [p for p, is_inner in zip(self._master, inner, strict=True) if is_inner]
        others = [p for p, is_inner in zip(self._master, inner, strict=True) if not is_inner]
        # Adapters want about ten times the rate of full training, at any rank.
        pretrained = 2e-5 if settings.tune == "full" else 2e-4
        rate = settings.learning_rate or (0.006 if scratch else pretrained)
        self._parts: list[tuple[torch.optim.Optimizer, float]] = []
        if matrices:
            kind = torch.optim.Muon if has_bfloat16(matrices[0].device) else Muon32
            part = kind(matrices, lr=settings.muon_rate, weight_decay=settings.weight_decay)
            self._parts.append((part, settings.muon_rate))
        if others:
            # Fused AdamW exists for CPU and GPU and does the whole step in one call.
            adam = torch.optim.AdamW(
                others, lr=rate, betas=(0.9, 0.95), weight_decay=settings.weight_decay, fused=True
            )
            self._parts.append((adam, rate))

    def step(self, number: int) -> float:
        """One update with the rates of step `number` (from 0); returns the gradient's norm."""
        for master, live in zip(self._master, self._live, strict=True):
            if master is not live:
                master.grad = live.grad.float() if live.grad is not None else None
                live.grad = None
        norm = torch.nn.utils.clip_grad_norm_(self._master, self._settings.clip)
        factor = rate_factor(number, self._settings)
        for part, rate in self._parts:
            for group in part.param_groups:
                group["lr"] = rate * factor
            part.step()
            part.zero_grad(set_to_none=True)
        self.publish()
        return float(norm)

    def publish(self) -> None:
        """Copies the float32 weights into the live model."""
        with torch.no_grad():
            for master, live in zip(self._master, self._live, strict=True):
                if master is not live:
                    live.copy_(master)

    def weights(self) -> dict[str, torch.Tensor]:
        """The float32 weights by parameter name."""
        return dict(zip(self._names, (p.detach() for p in self._master), strict=True))

    def state(self) -> dict[str, torch.Tensor]:
        """Everything that a checkpoint needs, as flat tensors by name."""
        flat = {f"weight/{name}": tensor for name, tensor in self.weights().items()}
        for number, (part, _) in enumerate(self._parts):
            for index, values in part.state_dict()["state"].items():
                for key, value in values.items():
                    tensor = value if isinstance(value, torch.Tensor) else torch.tensor(value)
                    flat[f"state/{number}/{index}/{key}"] = tensor
        return flat

    def load_state(self, flat: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, master in zip(self._names, self._master, strict=True):
                master.copy_(like(flat[f"weight/{name}"], master))
        for number, (part, _) in enumerate(self._parts):
            whole = part.state_dict()
            owners = [p for group in part.param_groups for p in group["params"]]
            states: dict[int, dict[str, Any]] = {}
            for key, value in flat.items():
                head, *rest = key.split("/", 3)
                if head == "state" and int(rest[0]) == number:
                    index = int(rest[1])
                    states.setdefault(index, {})[rest[2]] = like(value, owners[index])
            whole["state"] = states
            part.load_state_dict(whole)
        self.publish()


def rate_factor(step: int, settings: DistillSettings) -> float:
    """Rise over `warmup`, hold, fall linearly over `cooldown` to a twentieth."""
    warm = max(1, round(settings.steps * settings.warmup))
    if step < warm:
        return (step + 1) / warm
    cool = max(1, round(settings.steps * settings.cooldown))
    left = settings.steps - step
    return 1.0 if left > cool else 0.05 + 0.95 * left / cool
