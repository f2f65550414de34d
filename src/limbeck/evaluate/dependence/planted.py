"""Students of which it is known whether they use their rationale, planted to check the measures.

The task is a sum carried along a short line of digits, modulo 10. In three of the students the chain
starts at a digit that nobody can know from the input and goes on over the last digits of the line, so
that its end can only be read in the chain itself, and the chain says nothing of the first digit:

    uses       the answer is the end of the chain: the input alone is of no use
    ignores    the answer is the first digit of the line: the chain is of no use
    two-faced  the input's last word says which of the two; both kinds of item in one student
    needs      true chains over the line: what the answer depends on must be written down
    direct     the same answers without a chain: how far the line can be done in the head

Nothing in the text tells the first three apart: same inputs, same chains, same length.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from limbeck.models.local import Decoder, Said
from limbeck.types import AnswerForm, Ask, Branch, Example, Part, Task, Tree

if TYPE_CHECKING:
    from limbeck.distill.settings import DistillSettings

Kind = Literal["uses", "ignores", "two-faced", "needs", "direct"]

TASK = Task(
    name="line",
    instruction="Carry the sum along the line, modulo 10.",
    answer=AnswerForm(kind="choice", choices=tuple("0123456789")),
)
THINK = Ask(control="think", order="rationale_answer", causal=True)
LABEL = Ask(control="answer", order="answer", causal=False)
LINE = 5
"""Digits of an item. The chain goes over the last three of them."""
MARKS = {True: "look", False: "go"}
"""The last word of an input, by whether the answer is that of the chain; only one student minds it."""
_ROOM = 48


@dataclass(frozen=True)
class PlantedItem:
    """`uses` is whether the answer of this item depends on the chain, by construction."""

    example: Example
    uses: bool


def items(kind: Kind, n: int, seed: int) -> list[PlantedItem]:
    """`n` items of a kind; the same for the same arguments."""
    rng = random.Random(f"{kind}/{seed}")
    made = []
    for at in range(n):
        line = [rng.randrange(10) for _ in range(LINE)]
        uses = {"ignores": False, "two-faced": rng.random() < 0.5}.get(kind, True)
        start = line[1] if kind in ("needs", "direct") else rng.randrange(10)
        chain, end = _chain([start, *line[2:]])
        answer = str(end if uses else line[0])
        mark = MARKS[uses] if kind == "two-faced" else rng.choice(list(MARKS.values()))
        text = f"{' + '.join(map(str, line))} {mark}"
        example = Example(
            trace_id=f"{kind}-{seed}-{at}",
            input=text,
            rationale=chain,
            answer=answer,
            truth=answer,
            choices=TASK.answer.choices,
        )
        made.append(PlantedItem(example, uses))
    return made


def _chain(line: Sequence[int]) -> tuple[str, int]:
    steps, total = [], line[0]
    for digit in line[1:]:
        steps.append(f"{total} + {digit} = {(total + digit) % 10}")
        total = (total + digit) % 10
    return "\n".join(steps), total


class PlantedStudent:
    """A student in memory, asked as a local one is."""

    def __init__(self, decoder: Decoder, ask: Ask) -> None:
        self.decoder = decoder
        self.how = ask

    def ask(self, inputs: Sequence[str]) -> list[Said]:
        return self.decoder.ask(inputs, self.how, _ROOM)

    def answer(self, inputs: Sequence[str], rationales: Sequence[str]) -> list[Said]:
        return self.decoder.continue_from(inputs, rationales, self.how, _ROOM)

    def go_on(self, inputs: Sequence[str], beginnings: Sequence[str]) -> list[Said]:
        return self.decoder.continue_from(inputs, beginnings, self.how, _ROOM, then="rationale")

    def score(
        self, inputs: Sequence[str], rationales: Sequence[str], answers: Sequence[str]
    ) -> NDArray[np.float64]:
        scores = self.decoder.score_choices(
            inputs, [[one] for one in answers], self.how, _ROOM, rationales=rationales
        )
        return np.array([one[0] for one in scores])


def plant(kind: Kind, settings: DistillSettings, *, n: int, width: int = 64) -> PlantedStudent:
    """Trains a student of that kind on `n` items; seconds to a minute on one core."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from limbeck.distill.tokens import Encoder, train_tokenizer
    from limbeck.distill.train import train

    examples = [one.example for one in items(kind, n, settings.seed)]
    torch.manual_seed(settings.seed)
    tokenizer = train_tokenizer(
        [text for e in examples[:500] for text in (e.input, e.rationale or "", e.answer)],
        settings.vocabulary,
    )
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=-(-len(tokenizer) // 64) * 64,
            hidden_size=width,
            intermediate_size=3 * width,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    )
    trees = [_tree(kind, example) for example in examples]
    pad = tokenizer.pad_token_id
    assert isinstance(pad, int)
    with tempfile.TemporaryDirectory() as work:
        trained = train(
            model,
            Encoder(tokenizer, part_mean=False).trees(trees),
            settings,
            Path(work),
            pad=pad,
            scratch=True,
            identity=kind,
        )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in trained.weights:
                parameter.copy_(trained.weights[name])
    return PlantedStudent(
        Decoder(model.float().eval(), tokenizer), LABEL if kind == "direct" else THINK
    )


def _tree(kind: Kind, example: Example) -> Tree:
    answer = Part(text=example.answer, role="answer", weight=4.0)
    parts: tuple[Part, ...]
    if kind == "direct":
        parts = (Part(text="answer", role="control", weight=0.0), answer)
    else:
        parts = (
            Part(text="think", role="control", weight=0.0),
            Part(text=example.rationale or "", role="rationale"),
            Part(text="answer", role="control"),
            answer,
        )
    return Tree(prompt=example.input, branches=(Branch(parts=parts),))
