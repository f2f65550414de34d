from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from limbeck.curate.dataset import Dataset
from limbeck.distill.__main__ import main, read_settings
from limbeck.distill.distill import distill
from limbeck.distill.world import World
from limbeck.errors import UsageError
from limbeck.models.local import read_card

GIVEN = [
    "steps=3",
    "batch=6",
    "vocabulary=400",
    "evaluate_items=2",
    "threads=1",
    "precision=float32",
    "micro_tokens=512",
    # With plain steps the weights move by the gradient's size, not only by its sign.
    "optimizer=muon",
]


def test_one_process_is_a_world_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    world = World()
    assert (world.rank, world.size, world.main) == (0, 1, True)
    assert world.share([1, 2, 3]) == [1, 2, 3]
    more = torch.ones(2)
    assert world.sum_gradients([], more) is more
    assert world.agree("so") == "so"


def test_a_wrong_setting_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="--set steps: Input should be a valid integer"):
        read_settings(["steps=many"])
    with pytest.raises(UsageError, match="wanted key=value"):
        read_settings(["steps"])


def test_an_error_is_said_and_gives_its_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [str(tmp_path / "nothing"), "--students", str(tmp_path)]
    assert main(line) == 1
    assert capsys.readouterr().err.startswith("error: ")


PROGRAM = """
import sys, torch
from transformers import LlamaConfig, LlamaForCausalLM
from limbeck.distill.attention import NAME, register
from limbeck.distill.loss import batch_loss, pack, rows_for
from limbeck.distill.tokens import EncodedBranch, EncodedTree
from limbeck.distill.world import World
torch.set_num_threads(1)
torch.manual_seed(0)
register()
model = LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=48,
    num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2))
model.set_attn_implementation(NAME)
trees = [EncodedTree(tuple(range(2, 9 + n)), tuple(
    EncodedBranch(tuple(range(3 + b, 9 + n)), (1.0,) * (6 + n - b), ("answer",) * (6 + n - b))
    for b in range(2)), 1.0) for n in range(6)]
world = World()
pieces = pack(model, rows_for(model, trees, "auto"), 64, 0)
assert len(pieces) > 2
for piece in world.share(pieces):
    batch_loss(model, piece, 10.0, torch.float32).value.backward()
world.sum_gradients(list(model.parameters()), torch.zeros(2))
if world.main:
    torch.save(torch.cat([p.grad.flatten() for p in model.parameters()]), sys.argv[1])
world.wait()
"""


def launched(arguments: list[str], processes: int) -> None:
    """`accelerate launch` of these arguments on the processor, over a free port of the loopback."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_machines", "1"]
    command += ["--num_processes", str(processes), "--main_process_port", str(port)]
    command += ["--mixed_precision", "no", "--dynamo_backend", "no", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr[-2000:]


@pytest.mark.slow
def test_two_processes_have_the_gradient_of_one(tmp_path: Path) -> None:
    program = tmp_path / "gradient.py"
    program.write_text(PROGRAM)
    launched([str(program), str(tmp_path / "two.pt")], 2)
    subprocess.run([sys.executable, str(program), str(tmp_path / "one.pt")], check=True)
    two, one = (torch.load(tmp_path / name, weights_only=True) for name in ("two.pt", "one.pt"))
    assert float((two - one).norm() / one.norm()) < 1e-5


@pytest.mark.slow
def test_two_processes_train_the_student_of_one(dataset: Dataset, tmp_path: Path) -> None:
    line = [str(dataset.path), "--students", str(tmp_path / "two"), "--recipe", "multitask"]
    launched(["-m", "limbeck.distill", *line, *(f"--set={pair}" for pair in GIVEN)], 2)
    alone = distill(dataset, "multitask", tmp_path / "one", settings=read_settings(GIVEN))
    together = tmp_path / "two" / alone.name
    first, second = (load_file(folder / "model.safetensors") for folder in (alone, together))
    for name, weight in first.items():
        assert torch.allclose(weight, second[name], atol=2e-4), name
    assert read_card(alone).steps == read_card(together).steps == 3
    assert json.loads((together / "training.json").read_text())
