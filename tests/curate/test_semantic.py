from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from limbeck.curate import semantic
from limbeck.curate.curate import curate
from limbeck.curate.dataset import read_dataset
from limbeck.curate.semantic import load_embedder
from limbeck.curate.settings import resolve_settings
from limbeck.errors import ConfigError, MissingExtraError
from limbeck.types import Task, Trace

Make = Callable[..., Trace]
MEANINGS = {"money": 0, "refund": 0, "cash": 0, "parcel": 1, "package": 1, "late": 2, "delayed": 2}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A static model in which words of one meaning have one vector."""
    model2vec = pytest.importorskip("model2vec", reason="needs the extra embed")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"[UNK]": 0, "[PAD]": 1} | {word: n for n, word in enumerate(MEANINGS, start=2)}
    vectors = np.zeros((len(words), 3), dtype=np.float32)
    for word, meaning in MEANINGS.items():
        vectors[words[word], meaning] = 1
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    folder = tmp_path_factory.mktemp("embedder")
    model2vec.StaticModel(vectors, tokenizer, config={}).save_pretrained(folder)
    return folder


def kept(task: Task, made: list[Trace], out: Path, model: Path) -> tuple[list[str], pl.DataFrame]:
    settings = resolve_settings(task, {"duplicates": {"embedder": str(model)}})
    dataset = read_dataset(curate(made, {}, task, out, settings).path)
    return sorted(dataset.rows("train")["input"]), dataset.dropped()


def test_inputs_that_mean_the_same_are_one_example(
    trace: Make, choice_task: Task, tmp_path: Path, model: Path
) -> None:
    made = [
        trace("late parcel", raw="It is late, and late is late.\nAnswer: refund"),
        trace("delayed package", raw="It is late.\nAnswer: refund"),
        trace("package delayed", raw="It is late.\nAnswer: deny"),
        trace("parcel late 2", raw="It is late.\nAnswer: refund"),
        trace("cash", raw="It is money.\nAnswer: refund"),
        trace("nothing known", raw="It is so.\nAnswer: refund"),
        trace("unknown words", raw="It is so.\nAnswer: refund"),
    ]
    inputs, dropped = kept(choice_task, made, tmp_path, model)
    # Another answer, another number and words without a meaning are no reason to drop.
    assert inputs == [
        "cash", "delayed package", "nothing known", "package delayed", "parcel late 2",
        "unknown words",
    ]  # fmt: skip
    [row] = dropped.to_dicts()
    assert (row["input"], row["reason"]) == ("late parcel", "same_meaning")
    [best] = [one for one in made if one.input == "delayed package"]
    assert row["evidence"] == (
        f"its input means the same (cosine 1.0) as {best.id[:19]}…, which is kept"
    )


def test_what_is_missing_is_said_before_any_work(
    trace: Make, choice_task: Task, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, said in ((tmp_path / "none", "no folder"), (tmp_path, "holds no model2vec model")):
        with pytest.raises(ConfigError, match=said):
            kept(choice_task, [], tmp_path / "out", folder)
    monkeypatch.setitem(sys.modules, "model2vec", None)
    with pytest.raises(MissingExtraError, match=r"limbeck\[embed\]"):
        load_embedder(str(model))


def test_every_dropped_text_is_near_a_kept_one_and_no_two_kept_are_near(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(semantic, "_AT_ONCE", 7)
    drawn = np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32)
    vectors = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    rows = np.arange(100, 160)
    stand_in, cosine = semantic._thinned(vectors, rows, 0.9)
    gone = np.flatnonzero(stand_in >= 0)
    alike = vectors @ vectors.T
    assert 0 < gone.size < 60
    assert np.all(stand_in[stand_in[gone] - 100] == -1)
    assert np.allclose(alike[gone, stand_in[gone] - 100], cosine[gone], atol=1e-4)
    assert np.all(cosine[gone] >= 0.9)
    left = alike[np.ix_(stand_in < 0, stand_in < 0)]
    assert np.all(left[~np.eye(len(left), dtype=bool)] < 0.9001)
