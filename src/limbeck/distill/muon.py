"""Muon for processors that do not multiply in bfloat16.

`torch.optim.Muon` orthogonalizes in bfloat16 whatever the processor can do. Without instructions for it,
that takes longer than all the rest of a small student's step: here it is done in float32, and for all
matrices of one shape together. Everything else, the state in checkpoints included, is torch's.
"""

from __future__ import annotations

import math
from typing import Any

import torch


class Muon32(torch.optim.Muon):
    """`torch.optim.Muon` with Newton-Schulz iterations in float32 (Jordan et al. 2024,
    https://kellerjordan.github.io/posts/muon/)."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # it never has a closure
        assert closure is None
        for group in self.param_groups:
            updates: dict[torch.Size, list[tuple[torch.Tensor, torch.Tensor]]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update = self._update(parameter, group["momentum"], group["nesterov"])
                    rows, columns = parameter.shape
                    # A tall matrix lies down, among the wide ones of its shape.
                    lying = update.T if rows > columns else update
                    updates.setdefault(lying.shape, []).append((parameter, lying))
            for same in updates.values():
                found = orthogonal(
                    torch.stack([update for _, update in same]),
                    group["ns_coefficients"],
                    group["ns_steps"],
                    group["eps"],
                )
                for (parameter, _), update in zip(same, found, strict=True):
                    rows, columns = parameter.shape
                    rate = group["lr"] * math.sqrt(max(1, rows / columns))
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update.T if rows > columns else update, alpha=-rate)

    def _update(self, parameter: torch.Tensor, momentum: float, nesterov: bool) -> torch.Tensor:
        state, grad = self.state[parameter], parameter.grad
        assert grad is not None
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(grad)
        held: torch.Tensor = state["momentum_buffer"].lerp_(grad, 1 - momentum)
        return grad.lerp(held, momentum) if nesterov else held


def orthogonal(
    matrices: torch.Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> torch.Tensor:
    """Wide matrices (N, R, C), R ≤ C, with all singular values moved near to 1."""
    a, b, c = coefficients
    norms = torch.linalg.matrix_norm(matrices, keepdim=True)
    x: torch.Tensor = matrices / norms.clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x
