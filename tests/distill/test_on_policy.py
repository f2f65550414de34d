from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from limbeck.curate.dataset import Dataset
from limbeck.distill.distill import distill
from limbeck.distill.on_policy import beta_of, divergence, is_own, load_teacher, own_chains
from limbeck.distill.recipes.on_policy import Settings
from limbeck.distill.recipes.table import load_recipe, recipe_settings
from limbeck.distill.settings import DistillSettings
from limbeck.distill.students import PRESETS, Preset
from limbeck.distill.tokens import Encoder, train_tokenizer
from limbeck.errors import ConfigError, Interrupted
from limbeck.models.local import read_card
from limbeck.types import Example

QUICK = DistillSettings(steps=4, batch=4, vocabulary=400, evaluate_items=2, threads=1)


@pytest.fixture(autouse=True)
def smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "nano", Preset(layers=1, width=32, heads=2, hidden=48))


@pytest.fixture
def logits() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(5, 7), torch.randn(5, 7)


def kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    return (p * (p / q).log()).sum(-1)


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.9])
def test_the_divergence_is_the_papers(
    beta: float, logits: tuple[torch.Tensor, torch.Tensor]
) -> None:
    q, p = (one.softmax(-1) for one in logits)
    mixed = beta * p + (1 - beta) * q
    wanted = beta * kl(p, mixed) + (1 - beta) * kl(q, mixed)
    torch.testing.assert_close(divergence(*logits, beta), wanted)
    torch.testing.assert_close(
        divergence(logits[0], logits[0], beta), torch.zeros(5), atol=1e-6, rtol=0
    )


def test_at_its_ends_the_divergence_is_forward_and_reverse(
    logits: tuple[torch.Tensor, torch.Tensor],
) -> None:
    q, p = (one.softmax(-1) for one in logits)
    torch.testing.assert_close(divergence(*logits, 0), kl(p, q))
    torch.testing.assert_close(divergence(*logits, 1), kl(q, p))
    near = divergence(logits[0], logits[1], 1e-3) / 1e-3
    torch.testing.assert_close(near, kl(p, q), rtol=2e-2, atol=1e-3)


def test_half_way_the_divergence_does_not_care_who_teaches(
    logits: tuple[torch.Tensor, torch.Tensor],
) -> None:
    torch.testing.assert_close(divergence(*logits, 0.5), divergence(*logits[::-1], 0.5))
    assert float(divergence(*logits, 0.5).max()) <= float(torch.tensor(2.0).log())


def test_own_chains_begin_after_the_warm_up_in_their_share() -> None:
    settings, chosen = QUICK.model_copy(update={"steps": 1000}), Settings(own=0.3, warmup=0.2)
    own = [is_own(step, settings, chosen) for step in range(1000)]
    assert not any(own[:200])
    assert sum(own) / 800 == pytest.approx(0.3, abs=0.05)


def test_the_warm_up_is_of_the_unbounded_divergence() -> None:
    chosen = Settings(teacher="any", beta=0.5, warmup=0.25)
    settings = DistillSettings(steps=8)
    assert [beta_of(step, settings, chosen) for step in range(4)] == [0.0, 0.0, 0.5, 0.5]


def test_an_own_chain_is_what_the_student_writes_and_all_of_it_counts(
    tiny: Callable[..., PreTrainedModel],
    tokenizer: PreTrainedTokenizerBase,
    examples: list[Example],
) -> None:
    recipe = load_recipe("on-policy")
    trees = Encoder(tokenizer, part_mean=False).trees(
        recipe.trees(examples[:3], recipe_settings(recipe, {}))
    )
    model = tiny().eval()

    def written(step: int) -> list[tuple[int, ...]]:
        made = own_chains(model, tokenizer, trees, 12, 1.0, step, QUICK)
        for tree, given in zip(made, trees, strict=True):
            [branch] = tree.branches
            assert (tree.prompt, tree.weight) == (given.prompt, given.weight)
            assert branch.ids[0] == given.branches[0].ids[0]
            assert branch.weights == (0.0, *[1.0] * (len(branch.ids) - 1))
            assert 2 <= len(branch.ids) <= 13
        return [tree.branches[0].ids for tree in made]

    assert written(1) == written(1) != written(2)


@pytest.fixture
def teacher(dataset: Dataset, tmp_path: Path) -> Path:
    return distill(dataset, "think-first", tmp_path, settings=QUICK)


def run(dataset: Dataset, students: Path, teacher: str, **more: Any) -> Path:
    given = {"teacher": teacher, "warmup": 0.25, "own": 1.0}
    return distill(dataset, "on-policy", students, settings=QUICK, recipe_given=given, **more)


def test_a_stopped_run_goes_on_to_the_identical_student(
    dataset: Dataset, teacher: Path, tmp_path: Path
) -> None:
    whole = run(dataset, tmp_path, teacher.name)
    [row] = json.loads((whole / "training.json").read_text())
    assert row["own_chains"] == 3 * QUICK.batch
    asked = iter(range(1, 100))
    other = tmp_path / "stopped"
    with pytest.raises(Interrupted, match="stopped at step 2 of 4"):
        run(dataset, other, str(teacher), should_stop=lambda: next(asked) == 2)
    # A teacher named by its path is the same teacher, but another name and so another folder.
    again = run(dataset, other, str(teacher))
    assert read_card(again).weights == read_card(whole).weights


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "on-policy got no teacher; on-policy compares the distributions"),
        ("claude-opus", "the teacher 'claude-opus' is no folder with a model"),
    ],
)
def test_a_teacher_without_probabilities_is_refused(
    name: str, said: str, dataset: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        run(dataset, tmp_path, name)
    assert said in str(caught.value)
    assert "which no API gives" in str(caught.value)


def test_a_teacher_with_other_tokens_is_refused(
    tiny: Callable[..., PreTrainedModel], tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    tiny("llama").save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert not any(p.requires_grad for p in load_teacher(tmp_path, tokenizer).parameters())
    with pytest.raises(ConfigError, match=r"the tokenizer of the teacher '.*' is another"):
        load_teacher(tmp_path, train_tokenizer(["other words", "other words"], 400))
