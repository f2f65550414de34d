"""Every way of running a model says what the model says, whoever joins, leaves or is copied."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from limbeck.models.local.cached import CachedRows
from limbeck.models.local.fused import Folded, FusedRows, foldable, version
from limbeck.models.local.loop import Line, Loop, drawn, likeliest, two_best
from limbeck.models.local.paired import PairedRows
from limbeck.models.local.rows import Prompt, Rows
from limbeck.models.local.scoring import score

SHAPE: dict[str, Any] = {
    "vocab_size": 320,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": None,
}
SCALED = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10_000.0}


def made(kind: str) -> PreTrainedModel:
    torch.manual_seed(0)
    model: PreTrainedModel
    if kind == "llama":
        model = LlamaForCausalLM(LlamaConfig(**SHAPE, num_key_value_heads=4))
    elif kind == "llama with biases":
        config = LlamaConfig(
            **SHAPE,
            num_key_value_heads=2,
            attention_bias=True,
            mlp_bias=True,
            tie_word_embeddings=True,
            rope_parameters=SCALED,
        )
        model = LlamaForCausalLM(config)
    elif kind == "qwen2":
        model = Qwen2ForCausalLM(Qwen2Config(**SHAPE, num_key_value_heads=1))
    else:
        model = MistralForCausalLM(
            MistralConfig(**SHAPE, num_key_value_heads=2, head_dim=12, sliding_window=None)
        )
    with torch.no_grad():
        for parameter in model.parameters():
            # Norms and biases other than those of a new model, and logits that differ by much.
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
            else:
                parameter.mul_(6)
    model.train(False)
    return model


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Models this small are slower on several threads than on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


KINDS = ("llama", "llama with biases", "qwen2", "mistral")


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return made(request.param)


@pytest.fixture(params=["cached", "fused"])
def rows(request: pytest.FixtureRequest, model: PreTrainedModel) -> Rows:
    if request.param == "cached":
        return CachedRows(model, 0)
    assert foldable(model)
    return FusedRows(Folded(model))


def prompts(*lengths: int) -> list[Prompt]:
    generator = torch.Generator().manual_seed(sum(lengths))
    ids = [torch.randint(2, 320, (n,), generator=generator).tolist() for n in lengths]
    return [Prompt(tuple(one[:-1]), (one[-1],)) for one in ids]


def plain(model: PreTrainedModel, ids: list[int]) -> torch.Tensor:
    """The logits after `ids`, (V,), from one pass over them all."""
    with torch.inference_mode():
        logits: torch.Tensor = model(torch.tensor([ids])).logits[0, -1]
    return logits


def line(prompt: Prompt, room: int) -> Line:
    return Line(prompt, frozenset(), room)


def test_tokens_are_those_of_generate(model: PreTrainedModel, rows: Rows) -> None:
    asked = prompts(3, 9, 9, 1, 14, 5)
    lines = [line(prompt, 20) for prompt in asked]
    with torch.inference_mode():
        loop = Loop(rows)
        loop.join(lines)
        while loop.live:
            loop.step()
    for prompt, ours in zip(asked, lines, strict=True):
        ids = torch.tensor([prompt.ids])
        theirs = model.generate(  # type: ignore[operator]  # a mixin that mypy cannot see
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=20,
            max_new_tokens=20,
            eos_token_id=None,
        )[0, len(prompt.ids) :].tolist()
        assert [token.id for token in ours.written] == theirs


def test_rows_that_join_late_and_leave_early_disturb_nobody(
    model: PreTrainedModel, rows: Rows
) -> None:
    # A longer prompt than all that is there, a short one, and room for more than one cache.
    first, later, last = prompts(4, 7), prompts(30, 2), prompts(6)
    lines = [
        *(line(p, room) for p, room in zip(first, (3, 40), strict=True)),
        *(line(p, room) for p, room in zip(later, (25, 80), strict=True)),
        *(line(p, 10) for p in last),
    ]
    with torch.inference_mode():
        loop = Loop(rows)
        loop.join(lines[:2])
        for _ in range(5):
            loop.step()
        loop.join(lines[2:4])
        for _ in range(60):
            loop.step()
        assert loop.live == 1
        loop.join(lines[4:])
        while loop.live:
            loop.step()
    for one in lines:
        ids = list(one.prompt.ids)
        assert len(one.written) == one.room
        for token in one.written[:: max(1, one.room // 6)]:
            at = one.written.index(token)
            before = [*ids, *(other.id for other in one.written[:at])]
            logprobs = plain(model, before).log_softmax(-1)
            best = logprobs.topk(2)
            assert token.id == int(best.indices[0])
            assert token.logprob == pytest.approx(float(best.values[0]), abs=1e-4)
            assert token.gap == pytest.approx(float(best.values[0] - best.values[1]), abs=2e-4)


def test_copied_and_reordered_rows_go_on_as_their_originals(
    model: PreTrainedModel, rows: Rows
) -> None:
    asked = prompts(5, 8)
    order = [1, 0, 1, 1]
    with torch.inference_mode():
        rows.join(asked)
        rows.keep(order)
        logits = rows.step(torch.tensor([7, 8, 9, 10]))
    for row, (source, token) in enumerate(zip(order, (7, 8, 9, 10), strict=True)):
        wanted = plain(model, [*asked[source].ids, token])
        torch.testing.assert_close(logits[row], wanted, atol=1e-4, rtol=1e-4)


def test_many_tokens_are_read_at_once(model: PreTrainedModel, rows: Rows) -> None:
    asked = prompts(5, 8)
    more = torch.tensor([[7, 8, 9], [10, 11, 12]])
    with torch.inference_mode():
        rows.join(asked)
        logits = rows.extend(more)
    assert logits.shape == (2, 3, 320)
    for row in range(2):
        for count in range(3):
            wanted = plain(model, [*asked[row].ids, *more[row, : count + 1].tolist()])
            torch.testing.assert_close(logits[row, count], wanted, atol=1e-4, rtol=1e-4)


@pytest.fixture(scope="module")
def t5() -> T5ForConditionalGeneration:
    torch.manual_seed(0)
    shape: dict[str, Any] = {
        "vocab_size": 320,
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 48,
        "num_layers": 2,
        "num_heads": 4,
        "decoder_start_token_id": 0,
        "pad_token_id": 0,
        "eos_token_id": 1,
    }
    model = T5ForConditionalGeneration(T5Config(**shape))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(1.5)
    model.train(False)
    return model


def plain_pair(model: T5ForConditionalGeneration, prompt: Prompt, said: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model(
            input_ids=torch.tensor([prompt.input]),
            decoder_input_ids=torch.tensor([[0, *prompt.begin, *said]]),
        ).logits[0, -1]
    return logits


def test_an_encoder_decoder_writes_what_it_would_write_alone(
    t5: T5ForConditionalGeneration,
) -> None:
    begun = [(7,), (7, 8, 9), (7, 8)]
    asked = [Prompt(one.ids, begin) for one, begin in zip(prompts(4, 9, 6), begun, strict=True)]
    lines = [line(prompt, room) for prompt, room in zip(asked, (3, 8, 8), strict=True)]
    with torch.inference_mode():
        loop = Loop(PairedRows(t5, 0))
        loop.join(lines)
        while loop.live:
            loop.step()
    for one in lines:
        said = [token.id for token in one.written]
        for at, token in enumerate(one.written):
            logprobs = plain_pair(t5, one.prompt, said[:at]).log_softmax(-1)
            assert token.id == int(logprobs.argmax())
            assert token.logprob == pytest.approx(float(logprobs.max()), abs=1e-4)


def test_scores_of_an_encoder_decoder_are_those_of_a_full_pass(
    t5: T5ForConditionalGeneration,
) -> None:
    asked = [Prompt(one.ids, (7,)) for one in prompts(4, 9)]
    choices = [[[5, 6], [9]], [[10, 11, 12]]]
    with torch.inference_mode():
        scores = score(PairedRows(t5, 0), asked, choices, stops=[1, 3])
    assert [len(some) for some in scores] == [2, 1]
    for prompt, some, found in zip(asked, choices, scores, strict=True):
        for choice, total in zip(some, found, strict=True):
            wanted = 0.0
            for at, token in enumerate(choice):
                wanted += float(plain_pair(t5, prompt, choice[:at]).log_softmax(-1)[token])
            ends = plain_pair(t5, prompt, choice).log_softmax(-1)[[1, 3]]
            assert total == pytest.approx(wanted + float(ends.logsumexp(0)), abs=1e-4)


def test_a_model_that_is_more_than_its_plain_layers_is_not_folded() -> None:
    model = made("llama")
    assert foldable(model)
    assert not foldable(made("llama").bfloat16())
    model.config.rope_parameters = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}
    assert not foldable(model)
    sliding = MistralForCausalLM(
        MistralConfig(**SHAPE, num_key_value_heads=2, sliding_window=8)
    ).eval()
    assert not foldable(sliding)

    class Adapted(torch.nn.Linear):
        """What an adapter looks like: a layer that does more than its weight says."""

    adapted = made("llama")
    mlp = adapted.model.layers[0].mlp
    mlp.down_proj = Adapted(48, 32, bias=False)
    assert not foldable(adapted)


def test_a_model_that_was_trained_further_has_another_version() -> None:
    model = made("llama")
    before = version(model)
    assert version(model) == before
    with torch.no_grad():
        model.lm_head.weight.add_(1.0)
    assert version(model) != before


@pytest.mark.parametrize(("rows", "size"), [(16, 2048), (1, 2048), (9, 100), (9, 64)])
def test_the_two_best_are_those_of_a_full_search(rows: int, size: int) -> None:
    logits = torch.randn(rows, size, generator=torch.Generator().manual_seed(1))
    best, at = two_best(logits)
    wanted = logits.topk(2)
    assert torch.equal(best, wanted.values)
    assert torch.equal(at, wanted.indices)


def test_draws_follow_the_softmax_at_the_temperature() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    shares = torch.softmax(logits[0] / 0.5, dim=-1)
    edges = shares.cumsum(0)
    for token in range(4):
        low = float(edges[token - 1]) if token else 0.0
        for draw in (low + 1e-5, float(edges[token]) - 1e-5):
            asked = Line(Prompt((), ()), frozenset(), 1, temperature=0.5, draws=[draw])
            chosen, logprobs, gaps = drawn(logits, [asked])
            assert chosen.tolist() == [token]
            # Both are the model's own, at temperature 1.
            assert logprobs[0] == pytest.approx(float(logits.log_softmax(-1)[0, token]))
            other = 1.0 if token == 0 else 2.0
            assert gaps[0] == pytest.approx(float(logits[0, token]) - other)


def test_a_line_of_temperature_0_among_drawn_ones_is_greedy() -> None:
    logits = torch.randn(3, 128, generator=torch.Generator().manual_seed(2))
    lines = [
        Line(Prompt((), ()), frozenset(), 1, temperature=heat, draws=[0.99]) for heat in (1.0, 0, 1)
    ]
    tokens, logprobs, gaps = drawn(logits, lines)
    best, first, lead = likeliest(logits)
    assert int(tokens[1]) == int(best[1])
    assert logprobs[1] == pytest.approx(first[1], abs=1e-5)
    assert gaps[1] == pytest.approx(lead[1], abs=1e-5)
