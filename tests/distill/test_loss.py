from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from limbeck.distill.attention import NAME
from limbeck.distill.loss import PLAIN_HEAD, batch_loss, pack, rows_for
from limbeck.distill.recipes.table import TABLE, load_recipe, recipe_settings
from limbeck.distill.rows import collate, rows_of
from limbeck.distill.tokens import EncodedBranch, EncodedTree, Encoder
from limbeck.types import Example

Make = Callable[..., PreTrainedModel]


def encode(
    recipe: str, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase, part_mean: bool
) -> list[EncodedTree]:
    found = load_recipe(recipe)
    trees = found.trees(examples, recipe_settings(found, {}))
    return Encoder(tokenizer, part_mean).trees(trees)


def gradient(
    model: PreTrainedModel, trees: Sequence[EncodedTree], layout: str, tokens: int = 10_000
) -> tuple[float, torch.Tensor]:
    """The loss and the gradient of all weights, as one vector."""
    model.zero_grad()
    rows = rows_for(model, trees, layout)
    norm = sum(weight for row in rows for weight in row.weights)
    value = 0.0
    for batch in pack(model, rows, tokens, 0):
        loss = batch_loss(model, batch, norm, torch.float32)
        loss.value.backward()
        value += float(loss.value.detach())
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    return value, torch.cat([grad.flatten() for grad in grads])


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


@pytest.mark.parametrize("recipe", TABLE)
@pytest.mark.parametrize("attention", ["sdpa", NAME])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("kind", ["llama", "qwen2", "mistral"])
def test_a_tree_has_the_gradient_of_its_branches_apart(
    kind: str,
    tied: bool,
    attention: str,
    recipe: str,
    tiny: Make,
    examples: list[Example],
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    trees = encode(recipe, examples, tokenizer, part_mean=False)
    model = tiny(kind, tied, attention)
    shared, plain = gradient(model, trees, "tree"), gradient(model, trees, "plain")
    assert shared[0] == pytest.approx(plain[0], rel=1e-5)
    assert relative(shared[1], plain[1]) < 1e-4


@pytest.mark.parametrize("attention", ["sdpa", NAME])
@pytest.mark.parametrize("part_mean", [True, False])
def test_many_branches_of_one_prompt_do_not_see_each_other(
    part_mean: bool,
    attention: str,
    tiny: Make,
    examples: list[Example],
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    trees = [
        EncodedTree(tree.prompt, tree.branches * 2 + tree.branches[:1], tree.weight)
        for tree in encode("multitask", examples, tokenizer, part_mean)
    ]
    assert max(len(tree.branches) for tree in trees) == 5
    model = tiny(attention=attention)
    shared, plain = gradient(model, trees, "tree"), gradient(model, trees, "plain")
    assert relative(shared[1], plain[1]) < 1e-4


def test_a_prompt_is_computed_once_for_its_branches(
    examples: list[Example], tokenizer: PreTrainedTokenizerBase
) -> None:
    tree = encode("multitask", examples, tokenizer, part_mean=False)[0]
    assert [len(row.ids) for row in rows_of([tree], "tree")] == [tree.tokens]
    assert sum(len(row.ids) for row in rows_of([tree], "plain")) == tree.unshared_tokens
    assert tree.unshared_tokens - tree.tokens == len(tree.prompt)


def test_cutting_a_step_into_pieces_changes_no_gradient(
    tiny: Make, examples: list[Example], tokenizer: PreTrainedTokenizerBase
) -> None:
    trees = encode("multitask", examples, tokenizer, part_mean=False)
    model = tiny()
    whole, pieces = gradient(model, trees, "tree"), gradient(model, trees, "tree", tokens=600)
    assert relative(pieces[1], whole[1]) < 1e-4


def hugging_face_loss(model: PreTrainedModel, trees: Sequence[EncodedTree]) -> float:
    """The loss that the library itself computes, with -100 everywhere but on what is supervised."""
    length = max(len(tree.prompt) + len(tree.branches[0].ids) for tree in trees)
    ids = torch.zeros(len(trees), length, dtype=torch.long)
    labels = torch.full_like(ids, -100)
    mask = torch.zeros_like(ids)
    for row, tree in enumerate(trees):
        branch = tree.branches[0]
        text = torch.tensor([*tree.prompt, *branch.ids])
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
        supervised = torch.tensor([False] * len(tree.prompt) + [w > 0 for w in branch.weights])
        labels[row, : len(text)][supervised] = text[supervised]
    return float(model(input_ids=ids, attention_mask=mask, labels=labels).loss.detach())


@pytest.mark.parametrize("kind", ["llama", "qwen2", "mistral"])
@pytest.mark.parametrize("recipe", ["label", "think-first", "answer-first"])
def test_one_branch_has_the_librarys_own_loss(
    recipe: str,
    kind: str,
    tiny: Make,
    examples: list[Example],
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    even = [example.model_copy(update={"weight": 1.0}) for example in examples]
    trees = encode(recipe, even, tokenizer, part_mean=False)
    model = tiny(kind)
    ours, _ = gradient(model, trees, "tree")
    assert ours == pytest.approx(hugging_face_loss(model, trees), rel=1e-5)


def test_a_model_that_caps_its_logits_goes_through_its_own_head(
    examples: list[Example], tokenizer: PreTrainedTokenizerBase
) -> None:
    assert "gemma2" not in PLAIN_HEAD
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        query_pre_attn_scalar=8,
        # Far below what the head gives, so that a loss without the cap is another loss.
        final_logit_softcapping=0.05,
    )
    config._attn_implementation = "eager"
    model = Gemma2ForCausalLM(config)
    even = [example.model_copy(update={"weight": 1.0}) for example in examples]
    trees = encode("think-first", even, tokenizer, part_mean=False)
    wanted = hugging_face_loss(model, trees)
    ours, grad = gradient(model, trees, "tree")
    assert ours == pytest.approx(wanted, rel=1e-5)
    several = encode("multitask", even, tokenizer, part_mean=False)
    shared, plain = gradient(model, several, "tree"), gradient(model, several, "plain")
    assert relative(shared[1], plain[1]) < 1e-4
    model.config.final_logit_softcapping = None
    assert abs(hugging_face_loss(model, trees) - wanted) > 1e-3
    assert bool(grad.isfinite().all())


def test_a_part_of_weight_zero_teaches_nothing(tiny: Make) -> None:
    silent = EncodedBranch((5, 6, 7), (0.0, 0.0, 1.0), ("rationale", "rationale", "answer"))
    row = rows_of([EncodedTree((1, 2), (silent,), 1.0)], "tree")[0]
    assert [row.ids[at] for at in row.targets] == [7]
    assert row.sources == [3]


def test_the_loss_is_shown_by_part_in_nats(
    tiny: Make, examples: list[Example], tokenizer: PreTrainedTokenizerBase
) -> None:
    trees = encode("multitask", examples, tokenizer, part_mean=False)
    rows = rows_of(trees, "tree")
    loss = batch_loss(tiny(), collate(rows, 0), 1.0, torch.float32)
    counts = {role: count for role, (_, count) in loss.by_role.items()}
    assert counts == {
        role: sum(row.roles.count(role) for row in rows) for role in ("answer", "rationale")
    }
    nats = sum(total for total, _ in loss.by_role.values()) / sum(counts.values())
    # An untrained model is about as good as a guess among the whole vocabulary.
    assert nats == pytest.approx(torch.tensor(float(len(tokenizer))).log().item(), abs=0.5)
