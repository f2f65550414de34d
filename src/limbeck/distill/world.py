"""The processes of one run under `accelerate launch`; a run of its own is a world of one.

Every process sees the same plan of steps and takes its share of the rows of each. Gradients are summed
over the processes before the update, so that all hold the same weights, and a step has the same
gradient whatever the number of processes.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

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
            # Weights are cut from whole ones, which accelerate's default gives the first process only.
            os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"

    @property
    def sharded(self) -> bool:
        """Whether each process holds only its share of the weights."""
        asked = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
        return self._accelerator is not None and asked

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

    def place(
        self, model: PreTrainedModel, loss: Callable[..., T], dtype: torch.dtype
    ) -> tuple[PreTrainedModel, Callable[..., T]]:
        """The model that trains, where it computes, and `loss` of it. Where weights are sharded it is
        another than `model`, which stays whole in the memory of the processor to be saved in the end.
        """
        if not self.sharded:
            model.to(self.device())  # type: ignore[arg-type]
            return model, partial(loss, model)
        from limbeck.distill.sharding import shard

        if self.main:
            model = copy.deepcopy(model)
        return model, shard(model, loss, self.device(), self.size, dtype)

    def share(self, pieces: Sequence[T]) -> list[tuple[T, float]]:
        """Which pieces of a step are computed here, each with how often it counts.

        Sharded weights are gathered by all processes together, so that one that has no piece left
        computes another's, which counts 0 times.
        """
        mine = [(piece, 1.0) for piece in pieces[self.rank :: self.size]]
        turns = -(-len(pieces) // self.size)
        if self.sharded and len(mine) < turns:
            mine.append((pieces[-1], 0.0))
        return mine

    def sum_gradients(self, parameters: Sequence[torch.Tensor], more: torch.Tensor) -> torch.Tensor:
        """Sums the gradients of all processes in place, in float32, and returns the sum of `more`."""
        if self._accelerator is None:
            return more
        if self.sharded:
            return self._accelerator.reduce(more.to(self.device()), reduction="sum")  # type: ignore[no-any-return]
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

    def whole(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The tensors put together where they are sharded; then the main process alone gets them."""
        if not self.sharded:
            return dict(tensors)
        from limbeck.distill.sharding import whole

        return whole(tensors, keep=self.main)

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
