from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from limbeck.distill.checkpoint import FILE, load_checkpoint
from limbeck.distill.recipes.table import load_recipe, recipe_settings
from limbeck.distill.settings import DistillSettings
from limbeck.distill.tokens import EncodedTree, Encoder
from limbeck.distill.train import Progress, Trained, train
from limbeck.errors import Interrupted, PreflightError, TrainingError
from limbeck.models.local import weights_hash
from limbeck.types import Example

Make = Callable[..., PreTrainedModel]
Run = Callable[..., Trained]
STEPS = 8


@pytest.fixture
def trees(examples: list[Example], tokenizer: PreTrainedTokenizerBase) -> list[EncodedTree]:
    recipe = load_recipe("multitask")
    made = recipe.trees(examples, recipe_settings(recipe, {}))
    return Encoder(tokenizer, part_mean=False).trees(made)


@pytest.fixture
def run(tiny: Make, trees: list[EncodedTree], folder: Path) -> Run:
    """`run(stop_at=..., settings...)`: one call of `train` with a new model in the same folder."""

    def make(
        stop_at: int = 0,
        identity: str = "a run",
        where: Path = folder,
        score: Callable[[PreTrainedModel], float] | None = None,
        scratch: bool = True,
        **given: object,
    ) -> Trained:
        steps: list[Progress] = []
        return train(
            tiny(seed=int(str(given.get("seed", 0)))),
            trees,
            DistillSettings.model_validate({"steps": STEPS, "batch": 3, **given}),
            where,
            pad=0,
            scratch=scratch,
            identity=identity,
            score=score,
            watch=steps.append,
            should_stop=lambda: steps[-1].step == stop_at,
        )

    return make


@pytest.mark.parametrize("precision", ["float32", "auto", "bfloat16"])
@pytest.mark.parametrize("stop_at", [1, 5])
def test_a_stopped_run_continues_to_the_identical_weights(
    run: Run, tmp_path: Path, stop_at: int, precision: str
) -> None:
    whole = run(where=tmp_path, precision=precision)
    with pytest.raises(Interrupted, match=f"stopped at step {stop_at} of {STEPS}"):
        run(stop_at=stop_at, precision=precision)
    continued = run(precision=precision)
    assert weights_hash(continued.weights) == weights_hash(whole.weights)
    assert (continued.steps, continued.tokens) == (whole.steps, whole.tokens)
    assert continued.loss == whole.loss


def test_a_run_may_be_stopped_more_than_once(run: Run, tmp_path: Path) -> None:
    whole = run(where=tmp_path)
    for stop_at in (2, 4, 7):
        with pytest.raises(Interrupted):
            run(stop_at=stop_at)
    assert weights_hash(run().weights) == weights_hash(whole.weights)


def test_the_best_weights_so_far_survive_a_stop(run: Run, tmp_path: Path) -> None:
    def scorer() -> Callable[[PreTrainedModel], float]:
        accuracies = iter([0.5, 0.9, 0.1, 0.2])
        return lambda model: next(accuracies)

    settings = {"evaluate_every": 2}
    whole = run(where=tmp_path, score=scorer(), **settings)
    assert (whole.accuracy, [row["accuracy"] for row in whole.history]) == (
        0.9,
        [0.5, 0.9, 0.1, 0.2],
    )
    with pytest.raises(Interrupted):
        run(stop_at=5, score=scorer(), **settings)
    rest = iter([0.1, 0.2])
    continued = run(score=lambda model: next(rest), **settings)
    assert continued.accuracy == 0.9
    assert weights_hash(continued.weights) == weights_hash(whole.weights)
    with pytest.raises(Interrupted):
        run(where=tmp_path, stop_at=4, identity="four steps", score=None, **settings)
    found = load_checkpoint(tmp_path)
    assert found is not None
    fourth = {
        name.removeprefix("weight/"): value
        for name, value in found[0].items()
        if name.startswith("weight/")
    }
    assert weights_hash(fourth) == weights_hash(whole.weights)


def test_the_checkpoint_of_another_run_is_passed_over(run: Run, tmp_path: Path) -> None:
    whole = run(where=tmp_path)
    with pytest.raises(Interrupted):
        run(stop_at=3, identity="other data", seed=5)
    assert weights_hash(run().weights) == weights_hash(whole.weights)


def test_another_seed_gives_other_weights(run: Run, tmp_path: Path) -> None:
    assert weights_hash(run().weights) != weights_hash(run(where=tmp_path, seed=1).weights)


def test_a_checkpoint_is_written_on_time_and_not_at_every_step(run: Run, folder: Path) -> None:
    run(checkpoint_every_s=1e-9)
    found = load_checkpoint(folder)
    assert found is not None
    assert found[1]["run"]["step"] == STEPS
    (folder / FILE).unlink()
    run(checkpoint_every_s=3600)
    assert load_checkpoint(folder) is None


@pytest.mark.parametrize("scratch", [True, False])
def test_a_loss_that_is_no_number_stops_the_run_and_names_the_batch(
    run: Run, folder: Path, scratch: bool
) -> None:
    with pytest.raises(TrainingError, match="lower the learning rate") as caught:
        run(learning_rate=1e30, muon_rate=1e30, warmup=0, scratch=scratch)
    assert not isinstance(caught.value, Interrupted)
    batch = json.loads((folder / "diverged.json").read_text())
    assert len(batch["trees"]) == len(batch["ids"]) == 3
    assert batch["ids"][0]["prompt"]
    assert str(folder / "diverged.json") in str(caught.value)
    assert load_checkpoint(folder) is None


def test_training_lowers_the_loss(run: Run) -> None:
    losses: list[float] = []
    trained = run(steps=40, score=lambda model: losses.append(0.0) or 0.0)  # type: ignore[func-returns-value]  # counts calls
    assert len(losses) == 1
    begin = torch.tensor(512.0).log().item()
    assert trained.loss["rationale"] < 0.8 * begin


def test_the_score_is_taken_from_the_float32_weights(run: Run) -> None:
    seen: list[str] = []

    def score(model: PreTrainedModel) -> float:
        seen.append(weights_hash(dict(model.named_parameters())))
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        assert not model.training
        return 1.0

    trained = run(precision="bfloat16", score=score)
    assert seen == [weights_hash(trained.weights)]


def test_a_run_without_a_better_answer_ends_early(run: Run) -> None:
    accuracies = iter([0.5, 0.5, 0.4, 0.9])
    trained = run(score=lambda model: next(accuracies), evaluate_every=2, patience=2)
    assert (trained.steps, trained.accuracy) == (6, 0.5)


def test_a_loss_that_rises_far_above_a_guess_stops_the_run(run: Run, folder: Path) -> None:
    with pytest.raises(TrainingError, match=r"the loss rose to .* nats a token at step"):
        run(learning_rate=3.0, warmup=0, scratch=False, steps=30, precision="float32")
    assert json.loads((folder / "diverged.json").read_text())["step"] > 0


def test_a_run_that_does_not_fit_into_memory_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limbeck.distill.memory.free_bytes", lambda device: 1000)
    with pytest.raises(PreflightError, match="take a smaller student"):
        run()
