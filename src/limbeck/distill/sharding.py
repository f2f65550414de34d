"""Weights cut over the processes of a run, for a student that does not fit on one device.

Each process holds its share of the weights, of their gradients and of their moments. PyTorch's
`fully_shard` (FSDP2) gathers a layer while it computes and sums its gradient over the processes. It is
called here and not through `Accelerator.prepare`, which shards on GPUs only and gathers weights around
the model's own forward pass; ours is the decoder, and then the head on supervised positions only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from limbeck.distill.compute import plain

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Lossy(torch.nn.Module):
    """`loss` of `model` as the forward pass of a module, around which weights are gathered."""

    def __init__(self, model: PreTrainedModel, loss: Callable[..., Any]) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, *given: Any) -> Any:
        return self.loss(self.model, *given)


def shard(
    model: PreTrainedModel,
    loss: Callable[..., Any],
    device: torch.device,
    processes: int,
    dtype: torch.dtype,
) -> Lossy:
    """Cuts the float32 weights of `model`, in place and layer by layer, so that `device` never holds
    more of them whole than a layer.

    Returns `loss` of the model, computed in `dtype`; its backward pass leaves the sum of the gradients
    over the processes, in float32.
    """
    mesh = init_device_mesh(device.type, (processes,))
    policy = MixedPrecisionPolicy(
        param_dtype=None if dtype == torch.float32 else dtype,
        reduce_dtype=torch.float32,
        # What a layer is given follows from the weights, as it does where they are whole.
        cast_forward_inputs=False,
    )
    layers = plain(model)._no_split_modules or ()
    for module in list(model.modules()):
        if type(module).__name__ in layers:
            fully_shard(module, mesh=mesh, mp_policy=policy)
    # The rest, embedding, last norm and head, is whole from the first layer to the loss and back.
    root = Lossy(model, loss)
    fully_shard(root, mesh=mesh, mp_policy=policy)
    for module in root.modules():
        if isinstance(module, FSDPModule):
            # A sum and no mean: the loss is divided by the weight of the whole step already.
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(enable=True)
    return root


def whole(tensors: Mapping[str, torch.Tensor], *, keep: bool) -> dict[str, torch.Tensor]:
    """Sharded tensors put together, one after the other, in the memory of the processor.

    All processes take part; those that do not `keep` them get an empty dict.
    """
    found = {}
    for name, tensor in tensors.items():
        full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        if keep:
            found[name] = full.cpu()
    return found


def like(tensor: torch.Tensor, model: torch.Tensor) -> torch.Tensor:
    """`tensor` cut as `model` is; as it is where `model` is whole or of another shape."""
    if not isinstance(model, DTensor) or tensor.shape != model.shape:
        return tensor
    here = tensor.to(model.device, model.dtype)
    return distribute_tensor(here, model.device_mesh, model.placements)
