from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from limbeck.distill.tokens import train_tokenizer
from limbeck.models.controls import control_ids
from limbeck.models.local import Decoder
from limbeck.models.local.solver import ASKING, Solver
from limbeck.types import Ask

SOLVING = Ask(control="solve", order="rationale_answer", causal=True, asker="asker")
INPUTS = ["one and two are how many", "two"]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(["one and two are three, how many are there?"] * 4, 330)


def decoder(tokenizer: PreTrainedTokenizerBase, seed: int) -> Decoder:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    return Decoder(LlamaForCausalLM(config).eval(), tokenizer)


@pytest.fixture
def solver(tokenizer: PreTrainedTokenizerBase) -> Solver:
    return Solver.of(decoder(tokenizer, 1), decoder(tokenizer, 2), ASKING, 5)


def test_a_solver_begins_after_the_questions_of_its_asker(
    solver: Solver, tokenizer: PreTrainedTokenizerBase
) -> None:
    controls = control_ids(tokenizer)
    asked = decoder(tokenizer, 2).ask(INPUTS, ASKING, 5)
    for prompt, text, one in zip(solver.prompts(INPUTS, SOLVING), INPUTS, asked, strict=True):
        [questions] = solver.encode([one.answer or ""])
        assert prompt.begin == (controls["solve"], *questions, controls["think"])
        assert prompt.input == solver.encode([text])[0]


def test_the_askers_tokens_are_counted(solver: Solver, tokenizer: PreTrainedTokenizerBase) -> None:
    asked = decoder(tokenizer, 2).ask(INPUTS, ASKING, 5)
    lines = [solver.line(prompt, SOLVING, 7) for prompt in solver.prompts(INPUTS, SOLVING)]
    solver.write(lines)
    said = solver.ask(INPUTS, SOLVING, 7)
    wanted = [len(line.written) + one.new_tokens for line, one in zip(lines, asked, strict=True)]
    assert [one.new_tokens for one in said] == wanted


def test_samples_continuations_and_scores_begin_there_too(solver: Solver) -> None:
    lengths = {len(prompt.begin) for prompt in solver.prompts(INPUTS, SOLVING)}
    assert min(lengths) >= 2
    assert len(solver.sample(INPUTS, SOLVING, 4, k=2)) == 2
    continued = solver.continue_from(INPUTS, ["three", "two"], SOLVING, 4)
    assert [one.rationale for one in continued] == ["three", "two"]
    scores = solver.score_choices(INPUTS, [["one", "two"]] * 2, SOLVING, 4, rationales=["a", "b"])
    assert all(score < 0 for row in scores for score in row)
