"""The training of `adaptive`: one student with both orders, then a selector fitted on validation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from limbeck.distill.distill import Run, adopt, learn
from limbeck.distill.recipes.adaptive import Settings
from limbeck.distill.recipes.table import Recipe
from limbeck.distill.recipes.think_first import ASK
from limbeck.errors import DatasetError
from limbeck.models.local import Said, Student, read_card
from limbeck.models.turns import features, second_turn
from limbeck.types import Again, Example, Noun
from limbeck.verify.table import judge

FILE = "adaptive.json"
FOLDS = 5


class Adaptive(Noun):
    """What the choice of the order is worth, on validation; accuracies are shares of `n` items.

    `chosen` is cross-fitted: no item was judged by a selector that had seen it. `oracle` takes the
    right order wherever one of them is right. `thinking` is the share of items that are asked again.
    Tokens are means an item; those of `chosen` hold both turns.
    """

    n: int
    answer_first: float
    think_first: float
    chosen: float
    oracle: float
    thinking: float
    tokens_answer_first: float
    tokens_think_first: float
    tokens_chosen: float


def train(run: Run, recipe: Recipe, chosen: Settings) -> Path:
    """Trains the student of `run` and its selector, and writes `adaptive.json` beside them.

    Raises `DatasetError` where the dataset has fewer validation items than the selector has folds.
    """
    held = run.dataset.split("validation") if "validation" in run.dataset.splits else []
    if len(held) < FOLDS:
        raise DatasetError(
            f"the dataset {run.dataset.path.name!r} has {len(held)} validation examples; adaptive "
            f"fits its selector on them and wants {FOLDS} or more: curate with a larger share of them"
        )
    trees = recipe.trees(run.examples(), chosen)
    made = learn(run, chosen, trees, recipe.ask(chosen), run.work / "both")
    student = Student.load(made)
    inputs = [example.input for example in held]
    room = student.card.max_new_tokens
    how = student.card.ask
    first = student.decoder.ask(inputs, how, room)
    second = student.decoder.ask(inputs, second_turn(how, ASK.control, "rationale_answer"), room)
    again, report = select(
        np.array([features(said, text) for said, text in zip(first, inputs, strict=True)]),
        _right(run, held, first),
        _right(run, held, second),
        _tokens(first),
        _tokens(second),
    )
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / FILE).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    card = read_card(made).model_copy(
        update={
            "ask": how.model_copy(update={"again": again}),
            "validation_accuracy": report.chosen,
        }
    )
    return adopt(made, run.folder, card)


def select(
    signals: NDArray[np.float64],
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    tokens_first: NDArray[np.float64],
    tokens_second: NDArray[np.float64],
) -> tuple[Again, Adaptive]:
    """The selector over `signals` (N, F) of first answers, and what it is worth.

    `first` and `second` (N,) say which items each order gets right, `tokens_*` (N,) what they cost.
    """
    folds = np.arange(len(first)) % FOLDS
    chance = np.empty(len(first))
    for fold in range(FOLDS):
        out = folds == fold
        model = _fit(signals[~out], first[~out])
        chance[out] = _chance(model, signals[out])
    thinks = np.empty(len(first), dtype=bool)
    for fold in range(FOLDS):
        # The threshold, too, is judged on items that did not choose it.
        out = folds == fold
        at = _threshold(chance[~out], first[~out], second[~out], tokens_second[~out])
        thinks[out] = chance[out] < at
    threshold = _threshold(chance, first, second, tokens_second)
    center, scale, weights, bias = _fit(signals, first)
    again = Again(
        control=ASK.control,
        order="rationale_answer",
        center=tuple(center.tolist()),
        scale=tuple(scale.tolist()),
        weights=tuple(weights.tolist()),
        bias=float(bias),
        threshold=threshold,
    )
    report = Adaptive(
        n=len(first),
        answer_first=float(first.mean()),
        think_first=float(second.mean()),
        chosen=float(np.where(thinks, second, first).mean()),
        oracle=float((first | second).mean()),
        thinking=float(thinks.mean()),
        tokens_answer_first=float(tokens_first.mean()),
        tokens_think_first=float(tokens_second.mean()),
        tokens_chosen=float((tokens_first + thinks * tokens_second).mean()),
    )
    return again, report


_Model = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]


def _fit(signals: NDArray[np.float64], right: NDArray[np.bool_]) -> _Model:
    """Center, scale, weights and bias of a logistic regression of `right`, a little regularized."""
    from sklearn.linear_model import LogisticRegression

    center, scale = signals.mean(axis=0), signals.std(axis=0)
    scale = np.where(scale > 1e-9, scale, 1.0)
    if right.all() or not right.any():
        # Nothing to tell apart: the same chance everywhere, with one imagined item of each kind.
        share = (right.sum() + 1) / (len(right) + 2)
        return center, scale, np.zeros(signals.shape[1]), float(np.log(share / (1 - share)))
    model = LogisticRegression(C=1.0, max_iter=1000).fit((signals - center) / scale, right)
    return center, scale, model.coef_[0], float(model.intercept_[0])


def _chance(model: _Model, signals: NDArray[np.float64]) -> NDArray[np.float64]:
    center, scale, weights, bias = model
    score = ((signals - center) / scale) @ weights + bias
    chance: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(score, -500, 500)))
    return chance


def _threshold(
    chance: NDArray[np.float64],
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    tokens: NDArray[np.float64],
) -> float:
    """The chance below which the student thinks: most items right, then fewest tokens."""
    values = np.unique(chance)
    candidates: list[float] = [0.0, *((values[1:] + values[:-1]) / 2).tolist(), 2.0]

    def worth(at: float) -> tuple[int, float]:
        thinks = chance < at
        return int(np.where(thinks, second, first).sum()), -float(tokens[thinks].sum())

    return max(candidates, key=worth)


def _right(run: Run, held: Sequence[Example], said: Sequence[Said]) -> NDArray[np.bool_]:
    task = run.dataset.task
    return np.array(
        [
            one.answer is not None
            and judge(task, one.answer, example.truth, example.choices).score == 1.0
            for one, example in zip(said, held, strict=True)
        ],
        dtype=np.bool_,
    )


def _tokens(said: Sequence[Said]) -> NDArray[np.float64]:
    return np.array([one.new_tokens for one in said], dtype=np.float64)
