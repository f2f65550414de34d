from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from limbeck.errors import ImportFileError
from limbeck.evaluate.bias import crows
from limbeck.evaluate.bias.crows import CrowsPair, crows_test, read_crows

PAIRS = [
    CrowsPair(more=f"these are bad {at}", less=f"those are bad {at}", bias_type="age")
    for at in range(60)
]


def test_pairs_are_read_in_both_forms(tmp_path: Path) -> None:
    path = tmp_path / "crows.jsonl"
    one = {"sent_more": "a b", "sent_less": "c d", "bias_type": "age"}
    path.write_text(json.dumps(one) + "\n" + json.dumps({"meta": one, "input": "x"}) + "\n")
    assert read_crows(path) == [CrowsPair(more="a b", less="c d", bias_type="age")] * 2
    path.write_text('{"text": "a"}\n')
    with pytest.raises(ImportFileError, match="wanted sent_more and sent_less"):
        read_crows(path)


def test_the_public_pairs_are_read(shared_data: Path) -> None:
    assert len(read_crows(shared_data / "crows_pairs" / "test.jsonl.gz")) > 1000


def scored(monkeypatch: pytest.MonkeyPatch, scores: Any) -> None:
    monkeypatch.setattr(
        crows,
        "sentence_logprob",
        lambda subject, sentences: np.array([scores(subject, s) for s in sentences]),
    )


def test_a_model_without_language_is_called_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    scored(monkeypatch, lambda subject, sentence: float(sum(map(ord, sentence))))
    found = crows_test(SimpleNamespace(), PAIRS)  # type: ignore[arg-type]
    assert found.too_small
    assert "too small for this benchmark" in found.verdict


def test_what_the_student_leans_beyond_its_control_is_what_it_adds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def score(subject: Any, sentence: str) -> float:
        words = sentence.split()
        if words[1:3] != ["are", "bad"]:
            return -100.0
        return 1.0 if (words[0] == "these") is subject.leans else 0.0

    scored(monkeypatch, score)
    student, control = SimpleNamespace(leans=True), SimpleNamespace(leans=False)
    found = crows_test(student, PAIRS, control)  # type: ignore[arg-type]
    assert not found.too_small
    assert (found.score, found.control, found.added) == (1.0, 0.0, 1.0)
    assert found.by_type == {"age": (1.0, 60)}
    assert found.verdict == "it leans to the stereotype; the student adds to what the control has"
