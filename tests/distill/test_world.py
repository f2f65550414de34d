from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from limbeck.curate.dataset import Dataset
from limbeck.distill.__main__ import main, read_settings
from limbeck.distill.distill import distill
from limbeck.distill.world import World
from limbeck.errors import PreflightError, UsageError
from limbeck.models.local import read_card

GIVEN = [
    "steps=3",
    "batch=6",
    "vocabulary=400",
    "evaluate_items=2",
    "threads=1",
    "precision=float32",
    "micro_tokens=512",
]


def test_one_process_is_a_world_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    world = World()
    assert (world.rank, world.size, world.main) == (0, 1, True)
    assert world.share([1, 2, 3]) == [(1, 1.0), (2, 1.0), (3, 1.0)]
    more = torch.ones(2)
    assert world.sum_gradients([], more) is more
    assert world.agree("so") == "so"


def test_a_process_without_a_piece_keeps_step_where_weights_are_sharded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    world.rank, world.size = 1, 2
    assert world.share([1, 2, 3]) == [(2, 1.0)]
    monkeypatch.setattr(World, "sharded", True)
    assert world.share([1, 2, 3]) == [(2, 1.0), (3, 0.0)]
    assert world.share([1]) == [(1, 0.0)]
    assert world.share([1, 2]) == [(2, 1.0)]


def test_what_does_not_go_with_sharded_weights_is_refused_before_anything_is_loaded(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(World, "sharded", True)
    monkeypatch.setenv("FSDP_VERSION", "2")
    with pytest.raises(PreflightError, match="Muon needs whole matrices"):
        distill(dataset, "multitask", tmp_path)
    with pytest.raises(PreflightError, match="a recipe of a single training"):
        distill(dataset, "bootstrap", tmp_path, settings=read_settings(["optimizer=adamw"]))
    assert not list(tmp_path.iterdir())


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


MODEL = """
import sys, torch
from pathlib import Path
from transformers import LlamaConfig, LlamaForCausalLM
from limbeck.distill.attention import NAME, register
from limbeck.distill.tokens import EncodedBranch, EncodedTree
from limbeck.distill.world import World
torch.set_num_threads(1)
register()
def new():
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=48,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2))
    model.set_attn_implementation(NAME)
    return model
def save(tensors):
    torch.save(torch.cat([one.flatten() for one in tensors.values()]), sys.argv[1])
trees = [EncodedTree(tuple(range(2, 9 + n)), tuple(
    EncodedBranch(tuple(range(3 + b, 9 + n)), (1.0,) * (6 + n - b), ("answer",) * (6 + n - b))
    for b in range(2)), 1.0) for n in range(6)]
world = World()
"""
GRADIENT = f"""{MODEL}
from limbeck.distill.by_hand import possible
from limbeck.distill.loss import batch_loss, pack, rows_for
model = new()
pieces = pack(model, rows_for(model, trees, "auto"), 64, 0)
assert len(pieces) == 3
model, loss = world.place(model, batch_loss, torch.float32)
assert possible(model) is not world.sharded
for piece, times in world.share(pieces):
    (times * loss(piece, 10.0, torch.float32).value).backward()
world.sum_gradients(list(model.parameters()), torch.zeros(2))
gradients = world.whole({{name: one.grad for name, one in model.named_parameters()}})
if world.main:
    save(gradients)
world.wait()
"""
CONTINUED = f"""{MODEL}
from limbeck.distill.settings import DistillSettings
from limbeck.distill.train import train
from limbeck.errors import Interrupted
settings = DistillSettings(steps=4, batch=3, micro_tokens=64, clip=0.1, threads=1,
    learning_rate=0.01, precision="float32", memory_share=1.0)
def run(name, stop):
    steps = []
    return train(new(), trees, settings, Path(sys.argv[1]).with_suffix(name), pad=0, scratch=False,
        identity="a run", watch=steps.append, should_stop=lambda: len(steps) == stop).weights
at_once = run(".once", 4)
try:
    run(".twice", 2)
    raise SystemExit("it was not stopped")
except Interrupted:
    continued = run(".twice", 4)
if world.main:
    assert at_once.keys() == continued.keys() and len(at_once) == 21
    assert all(torch.equal(one, continued[name]) for name, one in at_once.items())
    save(continued)
world.wait()
"""


WHOLE = ["--cpu"]
SHARDED = ["--use_fsdp", "--fsdp_version", "2"]


def launched(arguments: list[str], weights: list[str]) -> None:
    """`accelerate launch` of these arguments in two processes on the processor, over a free port of
    the loopback. `weights` says how they hold the weights."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "accelerate.commands.launch", *weights]
    command += ["--num_machines", "1", "--num_processes", "2", "--main_process_port", str(port)]
    command += ["--mixed_precision", "no", "--dynamo_backend", "no", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("weights", [WHOLE, SHARDED], ids=["whole", "sharded"])
@pytest.mark.parametrize("program", [GRADIENT, CONTINUED], ids=["gradient", "continued run"])
def test_two_processes_compute_what_one_does(
    tmp_path: Path, program: str, weights: list[str]
) -> None:
    file = tmp_path / "program.py"
    file.write_text(program)
    launched([str(file), str(tmp_path / "two.pt")], weights)
    subprocess.run([sys.executable, str(file), str(tmp_path / "one.pt")], check=True)
    two, one = (torch.load(tmp_path / name, weights_only=True) for name in ("two.pt", "one.pt"))
    assert float((two - one).norm() / one.norm()) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("weights", "pretrained", "more"),
    [
        # With Muon's steps the weights move by the gradient's size, not only by its sign.
        (WHOLE, False, ["optimizer=muon"]),
        (SHARDED, False, ["optimizer=adamw"]),
        (SHARDED, True, ["tune=lora", "lora_rank=8"]),
    ],
    ids=["whole", "sharded", "sharded with adapters"],
)
def test_two_processes_train_the_student_of_one(
    dataset: Dataset,
    tiny: Callable[..., PreTrainedModel],
    tokenizer: PreTrainedTokenizerBase,
    tmp_path: Path,
    weights: list[str],
    pretrained: bool,
    more: list[str],
) -> None:
    base = "nano"
    if pretrained:
        base = str(tmp_path / "base")
        tiny("llama").save_pretrained(base)
        tokenizer.save_pretrained(base)
    given = [*GIVEN, *more]
    line = [str(dataset.path), "--students", str(tmp_path / "two"), "--recipe", "multitask"]
    line += ["--student", base, *(f"--set={pair}" for pair in given)]
    launched(["-m", "limbeck.distill", *line], weights)
    settings = read_settings(given)
    alone = distill(dataset, "multitask", tmp_path / "one", base=base, settings=settings)
    together = tmp_path / "two" / alone.name
    first, second = (load_file(folder / "model.safetensors") for folder in (alone, together))
    assert first.keys() == second.keys()
    for name, weight in first.items():
        assert float((weight - second[name]).norm() / weight.norm()) < 1e-3, name
    assert read_card(alone).steps == read_card(together).steps == 3
    # With sharded weights no process has a student that could be asked.
    asked = weights is WHOLE
    assert (read_card(together).validation_accuracy is not None) is asked
    assert bool(json.loads((together / "training.json").read_text())) is asked
