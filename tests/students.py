"""Students with the weights of chance: what they write is nonsense, and the same each time."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from limbeck.distill.students import save_model
from limbeck.distill.tokens import train_tokenizer
from limbeck.models.controls import control_ids
from limbeck.types import AnswerForm, Ask, StudentCard, Task

TEXTS = [f"the order {n} is late by {n} days and the client asks again" for n in range(40)]
LABEL = Ask(control="answer", order="answer", causal=False)
THINK = Ask(control="think", order="rationale_answer", causal=True)


def chance_student(
    folder: Path,
    ask: Ask = LABEL,
    *,
    recipe: str = "label",
    layers: int = 1,
    heads: int = 2,
    room: int = 20,
    ends: bool = False,
) -> Path:
    """Saves one to `folder` and returns it. `room` is the most that it writes; one that `ends` comes to
    an answer and to an end often enough."""
    tokenizer = train_tokenizer(TEXTS, 400)
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=448,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            max_position_embeddings=256,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(5)
        if ends:
            model.lm_head.weight[[tokenizer.eos_token_id, *control_ids(tokenizer).values()]] *= 4
    save_model(model, tokenizer, {}, folder)
    card = StudentCard(
        task=Task(name="orders", answer=AnswerForm(kind="text")),
        recipe=recipe,
        ask=ask,
        base="nano",
        parameters=1,
        dataset="sha256:0",
        train_examples=40,
        skeleton="sha256:0",
        simulated=True,
        seed=0,
        steps=1,
        tokens_seen=1,
        seconds=1.0,
        max_new_tokens=room,
        weights="sha256:0",
        version="0",
    )
    (folder / "limbeck.json").write_text(card.model_dump_json())
    return folder
