"""From a dataset and a recipe to a student on disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck import __version__
from limbeck.curate.dataset import Dataset
from limbeck.distill.recipes.table import Recipe, load_recipe, recipe_settings
from limbeck.distill.settings import DistillSettings
from limbeck.errors import DatasetError, MissingExtraError, StudentError
from limbeck.models.local import CARD, read_card, weights_hash
from limbeck.types import Ask, Example, StudentCard, Task, content_hash
from limbeck.verify.table import judge

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from limbeck.distill.train import Watcher

WORK = "unfinished"
"""Folder, inside the student's, that holds the checkpoint of a run under way."""


def student_name(
    dataset: Dataset,
    recipe: str,
    base: str,
    settings: DistillSettings,
    recipe_given: dict[str, Any] | None = None,
) -> str:
    """The folder name of a run: readable, and the same for the same data, recipe and settings."""
    short = _identity(dataset, recipe, base, settings, recipe_given or {}).removeprefix("sha256:")[
        :8
    ]
    return f"{dataset.task.name}-{recipe.rsplit('.', 1)[-1]}-s{settings.seed}-{short}"


def distill(
    dataset: Dataset,
    recipe: str,
    students: Path,
    *,
    base: str = "nano",
    settings: DistillSettings | None = None,
    recipe_given: dict[str, Any] | None = None,
    trust_remote_code: bool = False,
    watch: Watcher | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Path:
    """Trains a student and returns its folder under `students`.

    The folder's name is a function of the arguments: a finished student is returned as it is, and an
    interrupted run continues where it stopped. Raises `ConfigError`, `DatasetError`, `StudentError`,
    `PreflightError`, `TrainingError` or `Interrupted`.
    """
    settings = settings or DistillSettings()
    found = load_recipe(recipe)
    chosen = recipe_settings(found, recipe_given or {})
    folder = students / student_name(dataset, recipe, base, settings, recipe_given)
    if (folder / CARD).exists():
        read_card(folder)
        return folder
    try:
        from limbeck.distill import preflight
        from limbeck.distill.students import check_saved, is_scratch, save_model, start
        from limbeck.distill.tokens import Encoder
        from limbeck.distill.train import train
    except ImportError as error:
        raise MissingExtraError(error.name or "torch", "train") from None

    examples = dataset.split("train")
    if not examples:
        raise DatasetError(
            f"the dataset {dataset.path.name!r} has no training examples; curate more traces first"
        )
    model, tokenizer = start(base, _texts(examples), settings, trust_remote_code=trust_remote_code)
    preflight.check_tokenizer(tokenizer)
    preflight.check_answers(dataset.task, examples, tokenizer)
    trees = found.trees(examples, chosen)
    encoded = Encoder(tokenizer, settings.mean == "part").trees(trees)
    eos, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    assert isinstance(eos, int)
    assert isinstance(pad, int)
    preflight.check_targets(encoded, eos, trees)
    fits, _ = preflight.fit_length(encoded, settings)
    encoded = [encoded[index] for index in fits]

    ask = found.ask(chosen)
    longest = max(len(branch.ids) for tree in encoded for branch in tree.branches)
    room = longest + longest // 4 + 8
    work = folder / WORK
    work.mkdir(parents=True, exist_ok=True)
    trained = train(
        model,
        encoded,
        settings,
        work,
        pad=pad,
        scratch=is_scratch(base),
        identity=_identity(dataset, recipe, base, settings, recipe_given or {}),
        score=_scorer(dataset, tokenizer, ask, room, settings),
        watch=watch,
        should_stop=should_stop,
    )
    card = StudentCard(
        task=dataset.task,
        recipe=recipe,
        recipe_settings=chosen.model_dump(mode="json"),
        settings=settings.model_dump(mode="json"),
        ask=ask,
        base=base,
        parameters=sum(p.numel() for p in model.parameters()),
        dataset=dataset.hash,
        train_examples=len(encoded),
        skeleton=dataset.task.skeleton,
        simulated=dataset.simulated,
        seed=settings.seed,
        steps=trained.steps,
        tokens_seen=trained.tokens,
        seconds=round(trained.seconds, 3),
        final_loss={role: round(value, 6) for role, value in trained.loss.items()},
        validation_accuracy=trained.accuracy,
        max_new_tokens=room,
        weights=weights_hash(trained.weights),
        version=__version__,
    )
    try:
        save_model(model, tokenizer, trained.weights, folder)
        check_saved(folder, tokenizer, [example.input for example in examples[:64]])
        (folder / "training.json").write_text(
            json.dumps(trained.history, indent=1) + "\n", encoding="utf-8"
        )
        # The card comes last: a folder with a card is a whole student.
        partial = folder / f"{CARD}.partial"
        partial.write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
        partial.replace(folder / CARD)
    except OSError as error:
        raise StudentError(
            f"the student cannot be written to {str(folder)!r} ({error.strerror or error}); "
            "free some space and run the same command again"
        ) from None
    shutil.rmtree(work, ignore_errors=True)
    return folder


def _texts(examples: Sequence[Example]) -> list[str]:
    """What a tokenizer from scratch is trained on: all that stands in the examples, for any recipe,
    so that every recipe and the control get the same tokenizer."""
    return [text for e in examples for text in (e.input, e.rationale or "", e.answer, *e.choices)]


def _scorer(
    dataset: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    ask: Ask,
    room: int,
    settings: DistillSettings,
) -> Callable[[PreTrainedModel], float] | None:
    """Verified accuracy on validation, or None where the dataset has no validation split."""
    from limbeck.models.local import Decoder

    held = dataset.split("validation")[: settings.evaluate_items]
    if not held:
        return None

    def score(model: PreTrainedModel) -> float:
        said = Decoder(model, tokenizer).ask([example.input for example in held], ask, room)
        return verified_share(dataset.task, held, [one.answer for one in said])

    return score


def verified_share(task: Task, examples: Sequence[Example], answers: Sequence[str | None]) -> float:
    """The share of answers that the task's verifier accepts; an absent answer is wrong."""
    right = sum(
        judge(task, answer, example.truth, example.choices).score
        for example, answer in zip(examples, answers, strict=True)
        if answer is not None
    )
    return right / len(examples)


def _identity(
    dataset: Dataset, recipe: str, base: str, settings: DistillSettings, given: dict[str, Any]
) -> str:
    return content_hash(
        {
            "dataset": dataset.hash,
            "recipe": recipe,
            "given": given,
            "base": base,
            "settings": settings.model_dump(mode="json"),
        }
    )


__all__ = ["Recipe", "distill", "student_name", "verified_share"]
