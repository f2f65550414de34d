from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from limbeck.distill.checkpoint import FILE, load_checkpoint, save_checkpoint
from limbeck.errors import TrainingError

TENSORS = {"weight/a": torch.arange(6.0).view(2, 3).T, "state/0/0/step": torch.tensor(3.0)}


def test_a_checkpoint_comes_back_with_the_state_of_chance(folder: Path) -> None:
    torch.manual_seed(7)
    save_checkpoint(folder, TENSORS, {"identity": "x", "run": {"step": 3, "best": None}})
    wanted = torch.rand(3)
    found = load_checkpoint(folder)
    assert found is not None
    tensors, progress = found
    assert {name: value.tolist() for name, value in tensors.items()} == {
        name: value.tolist() for name, value in TENSORS.items()
    }
    assert progress == {"identity": "x", "run": {"step": 3, "best": None}}
    assert torch.equal(torch.rand(3), wanted)


def test_no_checkpoint_is_none(folder: Path) -> None:
    assert load_checkpoint(folder) is None


@pytest.mark.parametrize("damage", ["half", "empty", "noise", "no progress"])
def test_a_damaged_checkpoint_is_one_sentence_with_the_way_out(folder: Path, damage: str) -> None:
    save_checkpoint(folder, TENSORS, {"identity": "x"})
    path = folder / FILE
    if damage == "no progress":
        from safetensors.torch import save_file

        save_file({"random": torch.get_rng_state()}, path)
    else:
        whole = path.read_bytes()
        changed = {"half": whole[: len(whole) // 2], "empty": b"", "noise": os.urandom(500)}
        path.write_bytes(changed[damage])
    with pytest.raises(TrainingError) as caught:
        load_checkpoint(folder)
    said = str(caught.value)
    assert said.startswith(f"the checkpoint {path} is damaged")
    assert said.endswith("delete it to train from the start")
    assert "\n" not in said


def test_a_failed_write_leaves_the_old_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(folder, TENSORS, {"step": 1})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match="No space left on device") as caught:
        save_checkpoint(folder, TENSORS, {"step": 2})
    assert "the same command again" in str(caught.value)
    found = load_checkpoint(folder)
    assert found is not None
    assert found[1] == {"step": 1}
    assert [path.name for path in folder.iterdir()] == [FILE]
