from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from limbeck.curate.dataset import Dataset
from limbeck.distill.distill import WORK, distill
from limbeck.distill.perturb import Perturbation
from limbeck.distill.recipes.table import TABLE, load_recipe, recipe_settings
from limbeck.distill.settings import DistillSettings
from limbeck.distill.students import PRESETS, Preset
from limbeck.errors import StudentError
from limbeck.models.local import Student, read_card
from limbeck.models.local.worker import Worker

TWO_STEPS = DistillSettings(steps=2, batch=4, vocabulary=400, evaluate_items=2, threads=1)

GIVEN: dict[str, dict[str, Any]] = {
    "bootstrap": {"rounds": 1},
    "on-policy": {"warmup": 0.5, "own": 1.0},
}


@pytest.fixture(scope="module", autouse=True)
def smaller() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "nano", Preset(layers=1, width=32, heads=2, hidden=48))
        yield


@pytest.fixture(scope="module")
def teacher(smaller: None, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student of the same data, which has the same tokenizer."""
    return distill(dataset, "think-first", tmp_path_factory.mktemp("students"), settings=TWO_STEPS)


@pytest.mark.parametrize(
    ("name", "given"),
    [*((name, GIVEN.get(name, {})) for name in TABLE), ("socratic", {"students": "two"})],
    ids=[*TABLE, "socratic-two"],
)
def test_every_recipe_trains_a_student_that_is_asked_as_it_says(
    name: str, given: dict[str, Any], dataset: Dataset, teacher: Path
) -> None:
    if name == "on-policy":
        given = {**given, "teacher": teacher.name}
    students = teacher.parent
    folder = distill(dataset, name, students, settings=TWO_STEPS, recipe_given=given)
    card = read_card(folder)
    recipe = load_recipe(name)
    wanted = recipe.ask(recipe_settings(recipe, given))
    assert card.ask.model_copy(update={"again": None}) == wanted
    assert (card.ask.again is not None) == (name == "adaptive")
    trainings = 2 if name == "bootstrap" or "students" in given else 1
    assert (card.recipe, card.steps) == (name, 2 * trainings)
    assert card.validation_accuracy is not None
    assert not (folder / WORK).exists()
    said = Student.load(folder).ask([example.input for example in dataset.split("test")[:3]])
    assert all(1 <= one.new_tokens <= 2 * card.max_new_tokens for one in said)
    before = (folder / "limbeck.json").stat().st_mtime_ns
    assert distill(dataset, name, students, settings=TWO_STEPS, recipe_given=given) == folder
    assert (folder / "limbeck.json").stat().st_mtime_ns == before


def test_a_perturbed_student_has_a_name_of_its_own_and_the_same_tokenizer(
    dataset: Dataset, teacher: Path
) -> None:
    spoiled = distill(
        dataset,
        "think-first",
        teacher.parent,
        settings=TWO_STEPS,
        perturbation=Perturbation(kind="filler", dose=1),
    )
    assert spoiled != teacher
    tokenizers = [(folder / "tokenizer.json").read_text() for folder in (spoiled, teacher)]
    assert json.loads(tokenizers[0]) == json.loads(tokenizers[1])
    assert read_card(spoiled).weights != read_card(teacher).weights


@pytest.mark.slow
def test_replies_side_by_side_refuse_a_student_that_is_asked_again(
    dataset: Dataset, teacher: Path
) -> None:
    folder = distill(dataset, "adaptive", teacher.parent, settings=TWO_STEPS)
    with pytest.raises(StudentError, match="is asked again where its first answer is unsure"):
        Worker(folder, threads=1)
