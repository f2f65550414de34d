"""The processes of one run under `accelerate launch`; a run of its own is a world of one.

Every process sees the same plan of steps and takes its share of the rows of each. Gradients are summed
over the processes before the update, so that all hold the same weights, and a step has the same
gradient whatever the number of processes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


class World:
    def __init__(self) -> None:
        self._accelerator: Any = None
        self.rank, self.size = 0, 1
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            import torch
            from accelerate import Accelerator

            self._accelerator = Accelerator(cpu=not torch.cuda.is_available())
            self.rank = self._accelerator.process_index
            self.size = self._accelerator.num_processes

    @property
    def main(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def device(self) -> torch.device:
        """Where this process computes."""
        import torch

        if self._accelerator is not None:
            return torch.device(self._accelerator.device)
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def share(self, pieces: Sequence[T]) -> list[T]:
        """Which pieces of a step are computed here."""
        return list(pieces[self.rank :: self.size])

    def sum_gradients(self, parameters: Sequence[torch.Tensor], more: torch.Tensor) -> torch.Tensor:
        """Sums the gradients of all processes in place, in float32, and returns the sum of `more`."""
        if self._accelerator is None:
            return more
        import torch

        held = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([*(grad.float().flatten() for grad in held), more.to(held[0].device)])
        summed = self._accelerator.reduce(flat, reduction="sum")
        at = 0
        for parameter in parameters:
            part = summed[at : at + parameter.numel()].view_as(parameter)
            parameter.grad = part.to(parameter.dtype)
            at += parameter.numel()
        return torch.as_tensor(summed[at:])

    def agree(self, value: T) -> T:
        """What the main process holds, in every process."""
        if self._accelerator is None:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value], from_process=0)[0]  # type: ignore[no-any-return]

    def wait(self) -> None:
        """Until every process is here."""
        if self._accelerator is not None:
            self._accelerator.wait_for_everyone()
