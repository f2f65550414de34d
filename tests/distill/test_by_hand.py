from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import PreTrainedModel

from limbeck.distill import by_hand
from limbeck.distill.attention import NAME
from limbeck.distill.loss import batch_loss, pack
from limbeck.distill.places import Heads, last_places
from limbeck.distill.rows import Batch, rows_of
from limbeck.distill.tokens import EncodedBranch, EncodedTree
from limbeck.types import Role

Make = Callable[..., PreTrainedModel]
ROLE: Role = "answer"


def trees(branches: tuple[int, ...]) -> list[EncodedTree]:
    """Trees of unequal prompts and branches; the first token of some branches is given, not learned."""
    made = []
    for number, many in enumerate(branches):
        prompt = tuple(20 + (7 * number + at) % 40 for at in range(5 + 3 * number))
        some = []
        for at in range(many):
            ids = tuple(20 + (number + 3 * at + one) % 40 for one in range(4 + (number + at) % 4))
            weights = (float(at % 2), *(0.5 + at for _ in ids[1:]))
            some.append(EncodedBranch(ids, weights, tuple(ROLE for _ in ids)))
        made.append(EncodedTree(prompt, tuple(some), 1.0 + number))
    return made


def gradients(
    model: PreTrainedModel, branches: tuple[int, ...], layout: str, dtype: torch.dtype
) -> tuple[float, float, torch.Tensor]:
    """The loss, the nats of its tokens, and the gradient of every weight as one vector."""
    model.zero_grad()
    (batch,) = pack(model, rows_of(trees(branches), layout), 10_000, 0)
    loss = batch_loss(model, batch, 9.0, dtype)
    loss.value.backward()
    grads = [p.grad.float().flatten() for p in model.parameters() if p.grad is not None]
    return float(loss.value.detach()), loss.by_role[ROLE][0], torch.cat(grads)


def scaled(model: PreTrainedModel) -> PreTrainedModel:
    """Norms and biases of their own, so that a scale that is left out is seen."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return model


@pytest.mark.parametrize("branches", [(1, 1, 1), (3, 2, 4), (1, 3, 2)], ids=str)
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("kind", ["llama", "qwen2", "mistral"])
def test_layers_by_hand_have_the_gradient_of_the_librarys(
    kind: str, tied: bool, branches: tuple[int, ...], tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = scaled(tiny(kind, tied, NAME))
    assert by_hand.possible(model)
    layout = "tree" if max(branches) > 1 else "plain"
    ours = gradients(model, branches, layout, torch.float32)
    monkeypatch.setattr(by_hand, "possible", lambda model: False)
    theirs = gradients(model, branches, layout, torch.float32)
    assert ours[:2] == pytest.approx(theirs[:2], rel=1e-5)
    assert float((ours[2] - theirs[2]).norm() / theirs[2].norm()) < 1e-4


def test_in_bfloat16_they_are_as_near_as_its_rounding(
    tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = scaled(tiny(attention=NAME)).to(torch.bfloat16)  # type: ignore[arg-type]
    ours = gradients(model, (2, 3), "tree", torch.bfloat16)
    monkeypatch.setattr(by_hand, "possible", lambda model: False)
    theirs = gradients(model, (2, 3), "tree", torch.bfloat16)
    assert ours[1] == pytest.approx(theirs[1], rel=0.01)
    assert float((ours[2] - theirs[2]).norm() / theirs[2].norm()) < 0.03


def test_a_large_vocabulary_goes_through_the_head_in_pieces(
    tiny: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny(attention=NAME)
    whole = gradients(model, (2, 3), "tree", torch.float32)
    monkeypatch.setattr(by_hand, "MOST_LOGITS", 3 * model.config.vocab_size)
    pieces = gradients(model, (2, 3), "tree", torch.float32)
    assert pieces[:2] == pytest.approx(whole[:2], rel=1e-6)
    assert torch.allclose(pieces[2], whole[2], atol=1e-6)


# The adapters' library asks under the old name.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_a_model_that_does_more_than_its_weights_say_is_left_to_the_library(tiny: Make) -> None:
    def with_dropout(model: PreTrainedModel) -> None:
        model.config.attention_dropout = 0.1

    def frozen(model: PreTrainedModel) -> None:
        next(model.parameters()).requires_grad_(False)

    def checkpointing(model: PreTrainedModel) -> None:
        model.activation_checkpointing_enable()

    for change in (with_dropout, frozen, checkpointing):
        model = tiny(attention=NAME)
        change(model)
        assert not by_hand.possible(model)
    adapted = get_peft_model(tiny(attention=NAME), LoraConfig(r=2, target_modules="all-linear"))
    assert not by_hand.possible(adapted)


def test_the_last_layer_is_asked_only_where_something_is_predicted(tiny: Make) -> None:
    model = tiny(attention=NAME)
    (batch,) = pack(model, rows_of(trees((1, 1)), "plain"), 10_000, 0)
    assert isinstance(batch, Batch)
    assert batch.blocks is not None
    heads = Heads(kv=2, group=2, half=4)
    sources = batch.sources.numpy()
    last = last_places(batch.blocks.lengths, sources, heads, torch.zeros(1))
    assert last.kept is not None
    assert last.kept.tolist() == sorted(set(batch.sources.tolist()))
    rows, asked, known, *_ = last.shape
    assert rows == 2
    assert asked < known
