"""What a trivial model already gets: TF-IDF and logistic regression, cross-validated, at several sizes.

Each input is there once, and inputs of one group stand on one side. Every fold learns from nested parts
of its training inputs; its last part is all of them, and makes the accuracy that is reported.
"""

from __future__ import annotations

import math
import warnings

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse, stats
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from limbeck.curate.assess.chance import proportion
from limbeck.curate.assess.curve import extrapolate
from limbeck.curate.assess.findings import Baseline, CurvePoint, Estimate, Labels
from limbeck.curate.assess.intake import Intake, Told
from limbeck.curate.assess.settings import AssessSettings

FOLDS = 5
TEST_TO_TRAIN = 1 / (FOLDS - 1)
REPEATS = 2
FEW_LABELS = 50
"""With more labels than this the folds are made once, not `REPEATS` times."""
SIZES = 6
LEAST = 50
"""Labelled inputs that a curve takes."""
A_LABEL = 5
"""Inputs a label, in the mean; with fewer there is nothing to learn of a label."""
FEATURES = 30_000
WORK = 4e7
"""Words times labels of all inputs that are learned from; more are sampled down to it, which keeps a
fit within about a second."""


def find_baseline(
    read: Intake,
    column: str,
    labels: Labels,
    settings: AssessSettings,
    target: float | None,
    told: Told = lambda what, done: None,
) -> Baseline:
    """The linear model over the sampled inputs that have a label in `column`."""
    rows = read.texts.filter(pl.col(column).is_not_null()).sort("key")
    why_not = _why_not(read, rows, labels, settings)
    if why_not is not None:
        return Baseline(why_not=why_not, inputs=rows.height, labels=labels.distinct)
    words = count_words(rows["input"].to_list())
    if words is None:
        return Baseline(why_not="the inputs hold no words", inputs=rows.height)
    _, y = np.unique(rows[column].to_numpy(), return_inverse=True)
    work = words.nnz * len(np.unique(y))
    if work > WORK:
        # Rows stand in the order of a hash, so that the first ones are a sample.
        keep = max(10 * LEAST, int(len(y) * WORK / work))
        words, y = words[:keep], y[:keep]
    groups = rows.select(pl.coalesce("group", pl.col("key").cast(pl.String)))["group"].to_numpy()
    _, of_group = np.unique(groups[: len(y)], return_inverse=True)
    sizes, accuracies = learn(words, y, of_group, settings.seed, told)
    beyond = extrapolate(sizes, accuracies, labels.inputs, target, settings)
    return Baseline(
        inputs=len(y),
        labels=len(np.unique(y)),
        accuracy=over_folds(accuracies[:, -1], len(y)),
        points=tuple(
            CurvePoint(labelled=int(size), accuracy=over_folds(part, len(y)))
            for size, part in zip(sizes, accuracies.T, strict=True)
        ),
        ceiling=beyond.ceiling,
        doubling=beyond.doubling,
        flat_after=beyond.flat_after,
        needed=beyond.needed,
        missed=beyond.missed,
    )


def _why_not(
    read: Intake, rows: pl.DataFrame, labels: Labels, settings: AssessSettings
) -> str | None:
    if rows.height < LEAST:
        return f"{rows.height:,} labelled inputs are too few; it takes {LEAST}"
    if labels.distinct < 2:
        return "all answers are the same"
    if read.calls["choices"].max() or 0:
        return "the choices differ from call to call"
    if labels.distinct > settings.max_labels or A_LABEL * labels.distinct > labels.inputs:
        return f"{labels.distinct:,} different answers to {labels.inputs:,} inputs are no labels"
    return None


def count_words(texts: list[str]) -> sparse.csr_matrix | None:
    """Counts of words and pairs of words, (N, F); None where there are none.

    The vocabulary is of all texts, also those that are tested on: it holds no label.
    """
    counter = CountVectorizer(
        ngram_range=(1, 2), min_df=2, max_features=FEATURES, token_pattern=r"(?u)\b\w+\b"
    )
    try:
        return counter.fit_transform(texts).tocsr()
    except ValueError:
        return None


def learn(
    words: sparse.csr_matrix,
    y: NDArray[np.int64],
    groups: NDArray[np.int64],
    seed: int,
    told: Told = lambda what, done: None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The sizes (K,) and the accuracy of each fold at each size (F, K); `groups` (N,) are numbered."""
    random = np.random.default_rng(seed)
    repeats = REPEATS if len(np.unique(y)) <= FEW_LABELS else 1
    folds = [fold for _ in range(repeats) for fold in _folds(groups, random)]
    largest = min(int((~fold).sum()) for fold in folds)
    least = min(max(20, largest // 32), largest)
    sizes = np.unique(np.geomspace(least, largest, SIZES).astype(np.int64))
    accuracies = []
    for fold in folds:
        train = random.permutation(np.flatnonzero(~fold))
        test = np.flatnonzero(fold)
        accuracies.append([_accuracy(words, y, train[:size], test) for size in sizes])
        told("fitting the baseline", len(accuracies))
    return sizes, np.asarray(accuracies)


def _folds(groups: NDArray[np.int64], random: np.random.Generator) -> list[NDArray[np.bool_]]:
    """Masks (N,) of what is tested; whole groups, the largest first, each to the emptiest fold."""
    sizes = np.bincount(groups)
    order = random.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    of_group = np.zeros(len(sizes), dtype=np.int64)
    filled = np.zeros(FOLDS, dtype=np.int64)
    for group in order:
        fold = int(filled.argmin())
        of_group[group] = fold
        filled[fold] += sizes[group]
    return [of_group[groups] == fold for fold in range(FOLDS) if filled[fold]]


def _accuracy(
    words: sparse.csr_matrix,
    y: NDArray[np.int64],
    train: NDArray[np.int64],
    test: NDArray[np.int64],
) -> float:
    learned = y[train]
    if (learned == learned[0]).all():
        return float((y[test] == learned[0]).mean())
    weigh = TfidfTransformer(sublinear_tf=True)
    model = OneVsRestClassifier(LogisticRegression(C=10.0, solver="liblinear", tol=1e-2))
    with warnings.catch_warnings():
        # That a label is rare or a fit not exact changes nothing in what a trivial model gets.
        warnings.simplefilter("ignore")
        model.fit(weigh.fit_transform(words[train]), learned)
    return float((model.predict(weigh.transform(words[test])) == y[test]).mean())


def over_folds(accuracies: NDArray[np.float64], items: int) -> Estimate:
    """The mean over folds of one size, with the wider of two intervals.

    That of Nadeau and Bengio (2003) knows that folds share training inputs, so that their spread alone
    is too narrow; that of Wilson knows that only so many `items` were tested.
    """
    n, mean = len(accuracies), float(accuracies.mean())
    spread = float(accuracies.var(ddof=1)) if n > 1 else 0.0
    half = float(stats.t.ppf(0.975, max(n - 1, 1))) * math.sqrt((1 / n + TEST_TO_TRAIN) * spread)
    tested = proportion(mean * items, items)
    assert tested is not None
    low, high = min(mean - half, tested.low), max(mean + half, tested.high)
    return Estimate(value=mean, low=max(0.0, low), high=min(1.0, high))
