"""One run in several processes, on one machine or more.

    accelerate launch --num_processes 2 -m limbeck.distill DATASET --students FOLDER --recipe think-first

DATASET is a dataset's folder. The student is the same as of `limbeck distill` with these settings, up
to the order of a sum. The first process writes, and prints the student's folder.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from limbeck.curate.dataset import read_dataset
from limbeck.distill.distill import distill
from limbeck.distill.settings import DistillSettings
from limbeck.distill.train import Progress
from limbeck.distill.world import World
from limbeck.errors import LimbeckError, UsageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit code."""
    given = _options().parse_args(arguments)
    world = World()
    try:
        folder = distill(
            read_dataset(given.dataset),
            given.recipe,
            given.students,
            base=given.student,
            settings=read_settings(given.set),
            recipe_given=_pairs(given.recipe_set),
            trust_remote_code=given.trust_remote_code,
            watch=_say,
            track=given.track if world.main else None,
            writes=world.main,
        )
    except LimbeckError as error:
        if world.main:
            sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    world.wait()
    if world.main:
        sys.stdout.write(f"{folder}\n")
    return 0


def read_settings(given: Sequence[str]) -> DistillSettings:
    """The settings that `--set key=value` say. Raises UsageError."""
    try:
        return DistillSettings.model_validate(_pairs(given))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"--set {place}: {first['msg']} (got {first.get('input')!r})") from None


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="python -m limbeck.distill")
    options.add_argument("dataset", type=Path, help="the folder of a dataset")
    options.add_argument("--students", type=Path, required=True, help="where the student goes")
    options.add_argument("--recipe", default="think-first")
    options.add_argument("--student", default="nano", help="nano, micro, a folder or a hub id")
    options.add_argument("--set", action="append", default=[], help="a setting, as in steps=400")
    options.add_argument("--recipe-set", action="append", default=[], help="one of the recipe")
    options.add_argument("--track", help="trackio, tensorboard, mlflow or wandb")
    options.add_argument("--trust-remote-code", action="store_true")
    return options


def _pairs(given: Sequence[str]) -> dict[str, str]:
    for pair in given:
        if "=" not in pair:
            raise UsageError(f"got {pair!r}; wanted key=value")
    return {key: value for key, _, value in (pair.partition("=") for pair in given)}


def _say(progress: Progress) -> None:
    if progress.step % 50 == 0 or progress.step == progress.steps:
        parts = ", ".join(f"{role} {nats:.3f}" for role, nats in sorted(progress.loss.items()))
        sys.stderr.write(f"step {progress.step:,} of {progress.steps:,}: {parts}\n")


if __name__ == "__main__":
    sys.exit(main())
