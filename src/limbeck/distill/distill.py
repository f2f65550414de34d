"""From a dataset and a recipe to a student on disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck import __version__
from limbeck.curate.dataset import Dataset
from limbeck.distill.perturb import Perturbation, perturb
from limbeck.distill.preflight import check_same_examples, check_sharded
from limbeck.distill.recipes.table import (
    Recipe,
    code_hash,
    load_recipe,
    recipe_settings,
    short_name,
    training_of,
)
from limbeck.distill.settings import DistillSettings
from limbeck.distill.track import Log, tracking
from limbeck.distill.world import World
from limbeck.errors import DatasetError, MissingExtraError, StudentError
from limbeck.models.local import CARD, read_card, weights_hash
from limbeck.models.turns import answers
from limbeck.types import Ask, Example, Noun, StudentCard, Task, Tree, content_hash
from limbeck.verify.table import judge

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from limbeck.distill.train import Progress, Trained, Watcher
    from limbeck.models.local import Decoder, Said

WORK = "unfinished"
"""Folder, inside the student's, that holds the checkpoint of a run under way."""


@dataclass(frozen=True)
class Run:
    """What one call of `distill` is about; a recipe of several trainings gets it whole.

    `folder` is where the student goes. `perturbation` spoils the training chains by a stated dose.
    """

    dataset: Dataset
    recipe: str
    base: str
    settings: DistillSettings
    given: dict[str, Any]
    folder: Path
    perturbation: Perturbation | None = None
    trust_remote_code: bool = False
    watch: Watcher | None = None
    should_stop: Callable[[], bool] = lambda: False
    track: str | None = None
    writes: bool = True
    """False in all processes of a run but one: what is trained is the same in each."""

    @property
    def work(self) -> Path:
        """What is not finished yet; it goes when the student is whole."""
        return self.folder / WORK

    def examples(self) -> list[Example]:
        """The training examples, perturbed where that is asked; raises `DatasetError` on none."""
        examples = self.dataset.split("train")
        if not examples:
            raise DatasetError(
                f"the dataset {self.dataset.path.name!r} has no training examples; "
                "curate more traces first"
            )
        if self.perturbation is None:
            return examples
        return perturb(examples, self.perturbation, self.dataset.task)


def student_name(
    dataset: Dataset,
    recipe: str,
    base: str,
    settings: DistillSettings,
    recipe_given: dict[str, Any] | None = None,
    perturbation: Perturbation | None = None,
) -> str:
    """The folder name of a run: readable, and the same for the same data, recipe and settings."""
    identity = _identity(dataset, recipe, base, settings, recipe_given or {}, perturbation)
    short = identity.removeprefix("sha256:")[:8]
    return f"{dataset.task.name}-{short_name(recipe)}-s{settings.seed}-{short}"


def distill(
    dataset: Dataset,
    recipe: str,
    students: Path,
    *,
    base: str = "nano",
    settings: DistillSettings | None = None,
    recipe_given: dict[str, Any] | None = None,
    perturbation: Perturbation | None = None,
    trust_remote_code: bool = False,
    watch: Watcher | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    track: str | None = None,
    writes: bool = True,
) -> Path:
    """Trains a student and returns its folder under `students`.

    `track` names a tracker of accelerate. The folder's name is a function of the arguments: a finished
    student is returned as it is, and an interrupted run continues where it stopped. Raises
    `ConfigError`, `DatasetError`, `StudentError`, `PreflightError`, `TrainingError` or `Interrupted`.
    """
    settings = settings or DistillSettings()
    found = load_recipe(recipe)
    chosen = recipe_settings(found, recipe_given or {})
    name = student_name(dataset, recipe, base, settings, recipe_given, perturbation)
    folder = students / name
    if (folder / CARD).exists():
        read_card(folder)
        return folder
    run = Run(
        dataset=dataset,
        recipe=recipe,
        base=base,
        settings=settings,
        given=recipe_given or {},
        folder=folder,
        perturbation=perturbation,
        trust_remote_code=trust_remote_code,
        watch=watch,
        should_stop=should_stop,
        track=track,
        writes=writes,
    )
    training = training_of(found)
    if World().sharded:
        from limbeck.distill.students import is_scratch

        check_sharded(settings, scratch=is_scratch(base), loops=training is not None)
    if training is not None:
        return training(run, found, chosen)
    trees = found.trees(run.examples(), chosen)
    check_same_examples(run.examples(), trees)
    return learn(run, chosen, trees, found.ask(chosen), folder)


Asking = Callable[["Decoder", Sequence[str], Ask, int], "list[Said]"]
"""How inputs are put to a model that is still in training: with at most so many new tokens each."""

Trainer = Callable[..., "Trained"]


def learn(
    run: Run,
    chosen: Noun,
    trees: Sequence[Tree],
    ask: Ask,
    folder: Path,
    *,
    asking: Asking | None = answers,
    trainer: Trainer | None = None,
) -> Path:
    """Trains one student on `trees` into `folder`, which gets its card last; returns the folder.

    `chosen` are the recipe's settings and `ask` is how the student is asked afterwards. A finished
    student in `folder` is kept, and an interrupted training continues. `asking` is how validation is
    asked, where that differs; None: not at all, for a student that gives no answers. `trainer` is
    called as `train` is, with the tokenizer besides, where the targets are made while it trains.
    """
    dataset, settings, base = run.dataset, run.settings, run.base
    if (folder / CARD).exists():
        read_card(folder)
        return folder
    try:
        from limbeck.distill import preflight
        from limbeck.distill.adapters import FOLDER, adapt
        from limbeck.distill.chat import frame_of, template_for
        from limbeck.distill.loss import rows_for
        from limbeck.distill.students import check_saved, is_scratch, save_model, start
        from limbeck.distill.tokens import Encoder
        from limbeck.distill.train import train
    except ImportError as error:
        raise MissingExtraError(error.name or "torch", "train") from None

    examples = dataset.split("train")
    model, tokenizer = start(
        base, _texts(examples), settings, trust_remote_code=run.trust_remote_code
    )
    preflight.check_tokenizer(tokenizer)
    preflight.check_answers(dataset.task, examples, tokenizer)
    ask = ask.model_copy(update={"frame": frame_of(tokenizer, dataset.task, settings)})
    encoded = Encoder(tokenizer, settings.mean == "part", ask.frame).trees(trees)
    eos, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    assert isinstance(eos, int)
    assert isinstance(pad, int)
    preflight.check_targets(encoded, eos, trees)
    preflight.check_rows(rows_for(model, encoded[:256], settings.layout))
    long = preflight.too_long(examples, tokenizer, settings.max_length)
    left = {index for index, tree in enumerate(trees) if tree.prompt in long}
    fits, _ = preflight.fit_length(encoded, settings, left)
    encoded = [encoded[index] for index in fits]
    if settings.tune != "full":
        model = adapt(model, tokenizer, encoded, settings)

    longest = max(len(branch.ids) for tree in encoded for branch in tree.branches)
    room = longest + longest // 4 + 8
    work = folder / WORK
    work.mkdir(parents=True, exist_ok=True)
    identity = _identity(dataset, run.recipe, base, settings, run.given, run.perturbation)
    teach: Trainer = train if trainer is None else partial(trainer, tokenizer=tokenizer)
    with tracking(run.track, folder.name, folder, settings.model_dump(mode="json")) as log:
        trained = teach(
            model,
            encoded,
            settings,
            work,
            pad=pad,
            scratch=is_scratch(base),
            identity=identity,
            score=_scorer(dataset, tokenizer, ask, room, settings, asking),
            watch=_both(run.watch, log),
            should_stop=run.should_stop,
        )
    if not run.writes:
        World().wait()
        return folder
    card = StudentCard(
        task=dataset.task,
        recipe=run.recipe,
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
        instruction_tokens=0 if settings.with_instructions else _length(tokenizer, dataset.task),
    )
    with _writing(folder):
        tokenizer.chat_template = template_for(tokenizer, ask) or tokenizer.chat_template
        adapter = folder / FOLDER if settings.keep_adapter else None
        save_model(model, tokenizer, trained.weights, folder, adapter)
        check_saved(folder, tokenizer, [example.input for example in examples[:64]])
        (folder / "training.json").write_text(
            json.dumps(trained.history, indent=1) + "\n", encoding="utf-8"
        )
        _write_card(card, folder)
    shutil.rmtree(work, ignore_errors=True)
    # A recipe of several trainings reads what is written here, in every process.
    World().wait()
    return folder


def adopt(made: Path, folder: Path, card: StudentCard) -> Path:
    """Makes the student in `made`, a folder inside `folder`, the student of `folder`.

    For recipes of several trainings: the card, which may say more than the one in `made`, comes last.
    """
    with _writing(folder):
        for file in sorted(made.iterdir()):
            if file.is_file() and file.name != CARD:
                shutil.copyfile(file, folder / file.name)
        _write_card(card, folder)
    shutil.rmtree(folder / WORK, ignore_errors=True)
    return folder


def summed(last: StudentCard, others: Sequence[StudentCard]) -> StudentCard:
    """The card of a student that took more trainings than its own: what they cost counts."""
    cards = [last, *others]
    return last.model_copy(
        update={
            "steps": sum(card.steps for card in cards),
            "tokens_seen": sum(card.tokens_seen for card in cards),
            "seconds": round(sum(card.seconds for card in cards), 3),
        }
    )


def _write_card(card: StudentCard, folder: Path) -> None:
    # The card comes last: a folder with a card is a whole student.
    partial = folder / f"{CARD}.partial"
    partial.write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / CARD)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """The boundary to the disk: what it says becomes one sentence."""
    try:
        yield
    except OSError as error:
        raise StudentError(
            f"the student cannot be written to {str(folder)!r} ({error.strerror or error}); "
            "free some space and run the same command again"
        ) from None


def _both(watch: Watcher | None, log: Log) -> Watcher:
    """Tells the watcher of the run, and its tracker, of every step."""

    def told(progress: Progress) -> None:
        values = {f"loss/{role}": nats for role, nats in progress.loss.items()}
        values["tokens_per_second"] = progress.tokens / max(progress.seconds, 1e-9)
        if progress.accuracy is not None:
            values["verified_accuracy"] = progress.accuracy
        log(values, progress.step)
        if watch is not None:
            watch(progress)

    return told


def _length(tokenizer: PreTrainedTokenizerBase, task: Task) -> int:
    return len(tokenizer(task.instruction, add_special_tokens=False)["input_ids"])


def _texts(examples: Sequence[Example]) -> list[str]:
    """What a tokenizer from scratch is trained on: all that stands in the examples, for any recipe
    and dose, so that all of them and the control get the same tokenizer."""
    texts = [text for e in examples for text in (e.input, e.rationale or "", e.answer, *e.choices)]
    return texts + [chain.rationale for e in examples for chain in e.others]


def _scorer(
    dataset: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    ask: Ask,
    room: int,
    settings: DistillSettings,
    asking: Asking | None,
) -> Callable[[PreTrainedModel], float] | None:
    """Verified accuracy on validation, or None where there is nothing to ask."""
    from limbeck.models.local import Decoder

    held = dataset.split("validation")[: settings.evaluate_items]
    if not held or asking is None:
        return None

    def score(model: PreTrainedModel) -> float:
        inputs = [example.input for example in held]
        said = asking(Decoder(model, tokenizer), inputs, ask, room)
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
    dataset: Dataset,
    recipe: str,
    base: str,
    settings: DistillSettings,
    given: dict[str, Any],
    perturbation: Perturbation | None,
) -> str:
    content = {
        "dataset": dataset.hash,
        "recipe": recipe,
        "given": given,
        "base": base,
        # What has its default value is left out, so that a new setting renames no student.
        "settings": settings.model_dump(mode="json", exclude_defaults=True),
    }
    # Only where they are there, so that the other students keep their names.
    code = code_hash(recipe)
    if code is not None:
        content["code"] = code
    if perturbation is not None:
        content["perturbation"] = perturbation.model_dump(mode="json")
    return content_hash(content)


__all__ = ["Recipe", "Run", "adopt", "distill", "learn", "student_name", "summed", "verified_share"]
