"""What a student's folder says about it, without loading the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from limbeck.errors import StudentError
from limbeck.types import StudentCard

if TYPE_CHECKING:
    import torch

CARD = "limbeck.json"


def read_card(folder: Path) -> StudentCard:
    """`limbeck.json` of a student folder; raises `StudentError` in one sentence."""
    path = folder / CARD
    if not folder.is_dir():
        raise StudentError(
            f"there is no student folder {str(folder)!r}; make one with: limbeck distill DATASET"
        )
    try:
        return StudentCard.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise StudentError(
            f"{str(folder)!r} has no {CARD}, so it is not a student that limbeck made; "
            "to start from a plain model use: limbeck distill DATASET --student FOLDER"
        ) from None
    except (ValidationError, ValueError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise StudentError(
            f"{path} cannot be read ({first}); the folder is damaged or from another version: distill again"
        ) from None


def weights_hash(state: dict[str, torch.Tensor]) -> str:
    """The content hash of named weights: names, shapes and float32 bytes."""
    import hashlib

    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().float().contiguous().cpu()
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return f"sha256:{digest.hexdigest()}"
