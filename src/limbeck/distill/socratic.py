"""The trainings of `socratic`: one student that asks and solves, or an asker and then its solver."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from limbeck.distill.distill import Run, adopt, learn, summed
from limbeck.distill.recipes.socratic import Settings
from limbeck.distill.recipes.table import Recipe
from limbeck.errors import DatasetError
from limbeck.models.local.solver import ASKING, Solver
from limbeck.types import Ask, Tree

if TYPE_CHECKING:
    from limbeck.models.local import Decoder, Said


def train(run: Run, recipe: Recipe, chosen: Settings) -> Path:
    """Trains the student of `run`; two students are one folder with the asker's inside of it.

    Raises `DatasetError` where two students are wanted and no example has a chain to ask about.
    """
    trees = recipe.trees(run.examples(), chosen)
    ask = recipe.ask(chosen)
    if ask.asker is None:
        return learn(run, chosen, trees, ask, run.folder)
    from limbeck.models.local import Student, read_card

    asked = _only(trees, "ask")
    if not asked:
        raise DatasetError(
            f"no example of {run.dataset.path.name!r} has a rationale, so there is nothing to ask "
            "about; elicit rationales first, or use the recipe label"
        )
    asker = learn(run, chosen, asked, ASKING, run.folder / ask.asker, asking=None)
    loaded = Student.load(asker)

    def asking(decoder: Decoder, inputs: Sequence[str], ask: Ask, room: int) -> list[Said]:
        how, its_room = loaded.card.ask, loaded.card.max_new_tokens
        return Solver.of(decoder, loaded.decoder, how, its_room).ask(inputs, ask, room)

    solver = learn(run, chosen, _only(trees, "solve"), ask, run.work / "solver", asking=asking)
    of_asker = read_card(asker)
    card = summed(read_card(solver), [of_asker])
    both = card.parameters + of_asker.parameters
    return adopt(solver, run.folder, card.model_copy(update={"parameters": both}))


def _only(trees: Sequence[Tree], control: str) -> list[Tree]:
    """The trees with those branches alone that begin with the control token."""
    kept = []
    for tree in trees:
        branches = tuple(one for one in tree.branches if one.parts[0].text == control)
        if branches:
            kept.append(tree.model_copy(update={"branches": branches}))
    return kept
