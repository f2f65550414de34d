"""The training of `on-policy`: a loop of its own, since its targets are made while it trains."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck.distill.checkpoint import load_checkpoint, save_checkpoint
from limbeck.distill.distill import Run, learn
from limbeck.distill.recipes.on_policy import Settings
from limbeck.distill.recipes.table import Recipe
from limbeck.distill.tokens import EncodedBranch, EncodedTree
from limbeck.errors import ConfigError, Interrupted, StudentError, TrainingError
from limbeck.types import Role

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from limbeck.distill.settings import DistillSettings
    from limbeck.distill.train import Scorer, Trained, Watcher

_LOCAL = (
    "on-policy compares the distributions of the next token, which no API gives; wanted the folder of "
    "a model on this machine with the student's tokenizer, such as a larger student of this dataset: "
    "--recipe-set teacher=FOLDER"
)


def train(run: Run, recipe: Recipe, chosen: Settings) -> Path:
    """Trains the student of `run` on a mixture of the data's chains and its own.

    Raises `ConfigError` where the teacher is none that this can be done with, with the reason.
    """
    folder = find_teacher(chosen.teacher, run.folder.parent)
    return learn(
        run,
        chosen,
        recipe.trees(run.examples(), chosen),
        recipe.ask(chosen),
        run.folder,
        trainer=partial(train_on_policy, teacher=folder, chosen=chosen),
    )


def find_teacher(name: str, students: Path) -> Path:
    """The folder that `name` means: a path, or a student of the workspace."""
    if not name:
        raise ConfigError(f"on-policy got no teacher; {_LOCAL}")
    for folder in (Path(name), students / name):
        if (folder / "config.json").is_file():
            return folder
    raise ConfigError(f"the teacher {name!r} is no folder with a model; {_LOCAL}")


def load_teacher(folder: Path, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """The teacher in float32, frozen. Raises `ConfigError` where its tokens are not the student's."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        own = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, attn_implementation="sdpa"
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise StudentError(f"no teacher can be loaded from {str(folder)!r}: {error}") from None
    mine, theirs = tokenizer.get_vocab(), own.get_vocab()
    # Tokens that only the teacher has do no harm: the student cannot write them.
    differ = sum(theirs.get(token) != number for token, number in mine.items())
    if differ:
        raise ConfigError(
            f"the tokenizer of the teacher {folder.name!r} is another: {differ:,} of the student's "
            f"{len(mine):,} tokens are not the same there; {_LOCAL}"
        )
    model.requires_grad_(requires_grad=False)
    frozen: PreTrainedModel = model.eval()
    return frozen


def divergence(student: torch.Tensor, teacher: torch.Tensor, beta: float) -> torch.Tensor:
    """Generalized Jensen-Shannon divergence (S,) of logits (S, V), in nats a token.

    β · KL(P ‖ M) + (1 − β) · KL(Q ‖ M) with M = β · P + (1 − β) · Q, P the teacher and Q the student;
    KL(P ‖ Q) at β = 0 and KL(Q ‖ P) at β = 1. Agarwal et al. 2024, arXiv 2306.13649, equation 1.
    """
    import torch

    q, p = torch.log_softmax(student.float(), -1), torch.log_softmax(teacher.float(), -1)
    if beta == 0:
        return (p.exp() * (p - q)).sum(-1)
    if beta == 1:
        return (q.exp() * (q - p)).sum(-1)
    mixed = torch.logaddexp(p + math.log(beta), q + math.log(1 - beta))
    of_teacher = (p.exp() * (p - mixed)).sum(-1)
    of_student = (q.exp() * (q - mixed)).sum(-1)
    return beta * of_teacher + (1 - beta) * of_student


@dataclass
class _State:
    """Progress of a run; goes into the checkpoint whole."""

    step: int = 0
    tokens: int = 0
    own_chains: int = 0
    seconds: float = 0.0
    loss: dict[str, float] = field(default_factory=dict)


def train_on_policy(
    model: PreTrainedModel,
    trees: Sequence[EncodedTree],
    settings: DistillSettings,
    folder: Path,
    *,
    tokenizer: PreTrainedTokenizerBase,
    teacher: Path,
    chosen: Settings,
    pad: int,
    scratch: bool,
    identity: str,
    score: Scorer | None = None,
    watch: Watcher | None = None,
    should_stop: Any = lambda: False,
) -> Trained:
    """As `limbeck.distill.train.train`, with the divergence from the teacher in place of the loss on
    given tokens, and with own chains in a share of the steps."""
    import torch

    from limbeck.distill.optimize import Optimizer
    from limbeck.distill.rows import schedule
    from limbeck.distill.train import Progress, Trained, compute_dtype

    if settings.threads:
        torch.set_num_threads(settings.threads)
    dtype = compute_dtype(settings)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    guide = load_teacher(teacher, tokenizer)
    for one in (guide, model):
        one.to(device)  # type: ignore[arg-type]
    # A float32 twin writes the chains: what it says is what the finished student would say.
    speaker = copy.deepcopy(model).float().eval()
    model.train()
    optimizer = Optimizer(model, settings, scratch=scratch, dtype=dtype)
    state = _State()
    found = load_checkpoint(folder)
    if found is not None and found[1]["identity"] == identity:
        optimizer.load_state(found[0])
        state = _State(**found[1]["run"])
    else:
        torch.manual_seed(settings.seed)
    began, saved_at = time.monotonic() - state.seconds, time.monotonic()
    room = max(len(branch.ids) for tree in trees for branch in tree.branches) * 5 // 4 + 8
    plan = schedule([tree.tokens for tree in trees], settings.batch, settings.steps, settings.seed)
    for step, places in enumerate(islice(plan, state.step, None), start=state.step):
        batch = [trees[place] for place in places]
        if is_own(step, settings, chosen):
            _publish(optimizer.weights(), speaker)
            batch = own_chains(speaker, tokenizer, batch, room, chosen.temperature, step, settings)
            state.own_chains += len(batch)
        beta = beta_of(step, settings, chosen)
        nats, tokens = _learn_from(model, guide, batch, settings, beta, pad, dtype)
        if not math.isfinite(nats):
            raise TrainingError(
                f"the divergence from the teacher is not a number at step {step}; lower the rate"
            )
        optimizer.step(step)
        state.step, state.tokens = step + 1, state.tokens + tokens
        state.seconds = time.monotonic() - began
        state.loss["rationale"] = 0.95 * state.loss.get("rationale", nats) + 0.05 * nats
        if watch is not None:
            watch(
                Progress(state.step, settings.steps, dict(state.loss), state.tokens, state.seconds)
            )
        last = state.step == settings.steps
        stop = should_stop() and not last
        if stop or time.monotonic() - saved_at > settings.checkpoint_every_s:
            save_checkpoint(folder, optimizer.state(), {"identity": identity, "run": asdict(state)})
            saved_at = time.monotonic()
        if stop:
            raise Interrupted(
                f"stopped at step {state.step:,} of {settings.steps:,}; the same command continues "
                "from there"
            )
    _publish(optimizer.weights(), speaker)
    accuracy = score(speaker) if score is not None else None
    return Trained(
        weights=optimizer.weights(),
        steps=state.step,
        tokens=state.tokens,
        seconds=state.seconds,
        loss=state.loss,
        accuracy=accuracy,
        history=[{"step": state.step, "accuracy": accuracy, "own_chains": state.own_chains}],
    )


def beta_of(step: int, settings: DistillSettings, chosen: Settings) -> float:
    """The β of a step: 0 in the warm-up. The divergence between is bounded, and hardly moves a student
    that is far from its teacher."""
    return 0.0 if step < chosen.warmup * settings.steps else chosen.beta


def is_own(step: int, settings: DistillSettings, chosen: Settings) -> bool:
    """Whether a step learns from own chains; a function of its arguments, so that a run that goes on
    after a stop takes the same decisions."""
    import numpy as np

    if step < chosen.warmup * settings.steps:
        return False
    draw = np.random.Generator(np.random.Philox(key=[settings.seed, step])).random()
    return bool(draw < chosen.own)


def own_chains(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    trees: Sequence[EncodedTree],
    room: int,
    temperature: float,
    step: int,
    settings: DistillSettings,
) -> list[EncodedTree]:
    """The trees with a chain that the student sampled in place of each branch."""
    import numpy as np

    from limbeck.models.local import Decoder
    from limbeck.models.local.loop import Line
    from limbeck.models.local.rows import Prompt

    decoder = Decoder(model, tokenizer)
    end = tokenizer.eos_token_id
    assert isinstance(end, int)
    lines = []
    for place, tree in enumerate(trees):
        draws = np.random.Generator(np.random.Philox(key=[settings.seed, (step << 16) + place]))
        line = Line(Prompt(tree.prompt, tree.branches[0].ids[:1]), frozenset({end}), room)
        line.temperature, line.draws = temperature, draws.random(room).tolist()
        lines.append(line)
    decoder.write(lines)
    return [
        EncodedTree(
            tree.prompt,
            (_branch([*line.prompt.begin, *(token.id for token in line.written)]),),
            tree.weight,
        )
        for tree, line in zip(trees, lines, strict=True)
    ]


def _branch(ids: Sequence[int]) -> EncodedBranch:
    """All that was written counts; the control token before it was given."""
    written = len(ids) - 1
    roles: list[Role] = ["control", *["rationale"] * written]  # type: ignore[list-item]
    return EncodedBranch(tuple(ids), (0.0, *[1.0] * written), tuple(roles))


def _learn_from(
    model: PreTrainedModel,
    guide: PreTrainedModel,
    trees: Sequence[EncodedTree],
    settings: DistillSettings,
    beta: float,
    pad: int,
    dtype: torch.dtype,
) -> tuple[float, int]:
    """Adds the gradient of a step; returns its mean divergence in nats a token, and its tokens."""
    import torch

    from limbeck.distill.loss import supervised_logits
    from limbeck.distill.rows import collate, micro_batches, rows_of

    rows = rows_of(trees, "tree")
    norm = math.fsum(weight for row in rows for weight in row.weights)
    total = 0.0
    for piece in micro_batches(rows, settings.micro_tokens):
        batch = collate(piece, pad).to(model.device)
        with torch.no_grad():
            wanted = supervised_logits(guide, batch, torch.float32)
        said = supervised_logits(model, batch, dtype)
        # The vocabulary is padded to a round number of rows, and that number may differ.
        width = min(said.shape[-1], wanted.shape[-1])
        each = divergence(said[:, :width], wanted[:, :width], beta)
        value = (each * batch.weights).sum() / norm
        value.backward()
        total += float(value.detach())
    return total, sum(len(row.ids) for row in rows)


def _publish(weights: dict[str, torch.Tensor], model: PreTrainedModel) -> None:
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in weights:
                parameter.copy_(weights[name])
