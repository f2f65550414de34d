"""Checkpoints from which an interrupted run continues to the identical weights.

One safetensors file, written beside the old one and renamed over it: a kill at any moment leaves a
whole checkpoint, the old or the new.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck.errors import TrainingError

if TYPE_CHECKING:
    import torch

FILE = "checkpoint.safetensors"


def save_checkpoint(
    folder: Path, tensors: dict[str, torch.Tensor], progress: dict[str, Any]
) -> None:
    """Writes the tensors and the progress (JSON-ready) of a run; atomic."""
    import torch
    from safetensors.torch import save_file

    partial = folder / f"{FILE}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {**{k: v.contiguous() for k, v in tensors.items()}, "random": torch.get_rng_state()},
            partial,
            metadata={"progress": json.dumps(progress)},
        )
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(folder / FILE)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise TrainingError(
            f"the checkpoint cannot be written to {str(folder)!r} ({error.strerror or error}); "
            "free some space and run the same command again: it continues from the last checkpoint"
        ) from None


def load_checkpoint(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """The tensors and progress of an earlier, interrupted run in `folder`, or None."""
    path = folder / FILE
    if not path.exists():
        return None
    import torch
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            progress = json.loads((file.metadata() or {})["progress"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError) as error:
        raise TrainingError(
            f"the checkpoint {path} is damaged ({error}); delete it to train from the start"
        ) from None
    torch.set_rng_state(tensors.pop("random"))
    return tensors, progress
