"""`limbeck distill`: students of a dataset, one for each recipe and seed, side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from limbeck.cli.find import find_dataset
from limbeck.cli.given import closest, read_pairs, settle
from limbeck.cli.training import watching
from limbeck.curate.dataset import Dataset
from limbeck.distill.arms import ArmSpec, train_arms
from limbeck.distill.distill import student_name
from limbeck.distill.recipes.table import CONTROL, load_recipe, recipe_settings
from limbeck.distill.settings import DistillSettings
from limbeck.errors import MissingExtraError, UsageError
from limbeck.models.local import CARD, read_card
from limbeck.workspace import Workspace


def command(
    dataset: Annotated[
        str, typer.Argument(help="A dataset: folder, name, beginning of a name, or a task.")
    ],
    recipe: Annotated[
        list[str] | None,
        typer.Option(help=f"A recipe; may be repeated (default: {CONTROL} and think-first)."),
    ] = None,
    student: Annotated[
        str, typer.Option(help="nano, micro, or the folder or hub id of a model.")
    ] = "nano",
    seed: Annotated[int | None, typer.Option(help="The first seed (default 0).")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds for each recipe.")] = 1,
    jobs: Annotated[int, typer.Option(min=0, help="Runs side by side; 0: one a core.")] = 0,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of training, such as steps=400.")
    ] = None,
    recipe_set: Annotated[
        list[str] | None,
        typer.Option(help="A setting of the recipes, such as alpha=0.5 or multitask.alpha=0.5."),
    ] = None,
    with_instructions: Annotated[
        bool,
        typer.Option("--with-instructions", help="Put the task's instruction before each input."),
    ] = False,
    track: Annotated[
        str | None, typer.Option(help="Also tell trackio, tensorboard, mlflow or wandb.")
    ] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Let the model's own code run.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train students on a dataset. A finished student is kept; an interrupted run continues."""
    if find_spec("torch") is None:
        raise MissingExtraError("torch", "train")
    workspace = Workspace.find()
    settings = settle(DistillSettings, workspace, "distill", set_ or [])
    if with_instructions:
        settings = settings.model_copy(update={"with_instructions": True})
    found = find_dataset(workspace, dataset)
    recipes = list(dict.fromkeys(recipe or [CONTROL, "think-first"]))
    given = read_recipe_settings(recipes, recipe_set or [])
    first = settings.seed if seed is None else seed
    base = str(Path(student).absolute()) if Path(student).is_dir() else student
    specs = [
        ArmSpec(
            dataset=found.path,
            students=workspace.students,
            recipe=name,
            base=base,
            settings=settings.model_copy(update={"seed": number}),
            recipe_given=given[name],
            trust_remote_code=trust_remote_code,
            track=track,
        )
        for name in recipes
        for number in range(first, first + seeds)
    ]
    console = Console(stderr=as_json)
    note = missing_control(found, workspace, specs)
    if note is not None:
        console.print(f"! {note}", markup=False, highlight=False, soft_wrap=True)
    there = [_is_finished(found, spec) for spec in specs]
    labels = [f"{spec.recipe} s{spec.settings.seed}" for spec in specs]
    with watching(labels, [spec.settings.steps for spec in specs]) as board:
        folders = train_arms(specs, jobs=jobs, watch=board.saw, finished=board.finished)
    rows = [
        {**_row(folder), "reused": was_there}
        for folder, was_there in zip(folders, there, strict=True)
    ]
    if as_json:
        answer = {"dataset": str(found.path), "note": note, "students": rows}
        print(json.dumps(answer, indent=2))
        return
    _show(console, rows)
    names = " ".join(folder.name for folder in folders)
    console.print(f"next     limbeck evaluate {names}", markup=False, soft_wrap=True)


def read_recipe_settings(recipes: Sequence[str], given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What `--recipe-set` says, by recipe, with values as the recipe's settings read them.

    A key without a recipe's name goes to every recipe that has it. Raises UsageError where a key
    belongs to none of `recipes`, and ConfigError on a wrong value.
    """
    loaded = {name: load_recipe(name) for name in recipes}
    raw: dict[str, dict[str, str]] = {name: {} for name in recipes}
    for full, value in read_pairs("--recipe-set", given).items():
        of, _, key = full.rpartition(".")
        takers = [
            name
            for name, recipe in loaded.items()
            if of in ("", name) and key in recipe.Settings.model_fields
        ]
        if not takers:
            known = [
                f"{n}.{k}" for n, recipe in loaded.items() for k in recipe.Settings.model_fields
            ]
            wanted = f"wanted one of {', '.join(known)}" if known else "they have no settings"
            raise UsageError(
                f"--recipe-set {full!r} is no setting of {', '.join(recipes)}"
                f"{closest(full, known)}; {wanted}"
            )
        for name in takers:
            raw[name][key] = value
    # As the settings read them, so that `0.5` and `0.50` name the same student.
    return {
        name: recipe_settings(loaded[name], values).model_dump(mode="json", include=set(values))
        for name, values in raw.items()
    }


def missing_control(dataset: Dataset, workspace: Workspace, specs: Sequence[ArmSpec]) -> str | None:
    """The sentence that is due where the recipes would have no control to be compared with."""
    if any(spec.recipe == CONTROL for spec in specs):
        return None
    controls = [spec.model_copy(update={"recipe": CONTROL, "recipe_given": {}}) for spec in specs]
    absent = sorted({c.settings.seed for c in controls if not _is_finished(dataset, c)})
    if not absent:
        return None
    return (
        f"the control {CONTROL!r} is not among the recipes and not trained yet with these settings "
        f"(seed {', '.join(map(str, absent))}), so nothing will show whether rationales helped; "
        f"add --recipe {CONTROL}"
    )


def _is_finished(dataset: Dataset, spec: ArmSpec) -> bool:
    name = student_name(dataset, spec.recipe, spec.base, spec.settings, spec.recipe_given)
    return (spec.students / name / CARD).exists()


def _row(folder: Path) -> dict[str, Any]:
    card = read_card(folder)
    return {
        "folder": str(folder),
        "recipe": card.recipe,
        "seed": card.seed,
        "parameters": card.parameters,
        "steps": card.steps,
        "seconds": card.seconds,
        "instruction_tokens": card.instruction_tokens,
        "validation_accuracy": card.validation_accuracy,
    }


def _show(console: Console, rows: Sequence[dict[str, Any]]) -> None:
    table = Table("recipe")
    for heading in ("seed", "parameters", "steps", "seconds", "validation"):
        table.add_column(heading, justify="right")
    for row in rows:
        accuracy = row["validation_accuracy"]
        table.add_row(
            row["recipe"],
            str(row["seed"]),
            f"{row['parameters']:,}",
            f"{row['steps']:,}",
            "kept" if row["reused"] else f"{row['seconds']:.0f}",
            "" if accuracy is None else f"{accuracy:.1%}",
        )
    console.print(table)
    saved = max((row["instruction_tokens"] for row in rows), default=0)
    if saved:
        # What a student has learned, no call has to carry.
        console.print(f"saved    {saved:,} tokens of instruction in every call", highlight=False)
    for row in rows:
        # A wrapped path could not be copied.
        console.print(f"student  {row['folder']}", markup=False, highlight=False, soft_wrap=True)
