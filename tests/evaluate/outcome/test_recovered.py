from __future__ import annotations

import numpy as np
import pytest

from limbeck.curate.dataset import Dataset
from limbeck.evaluate.outcome.recovered import recovered, teacher_right


def test_the_share_is_taken_where_the_teacher_is_known() -> None:
    teacher = np.array([1.0] * 80 + [0.0] * 20 + [np.nan] * 50)
    student = np.array([[True] * 60 + [False] * 40 + [True] * 50])
    found = recovered(student, teacher, np.zeros(150, dtype=np.bool_))
    assert found is not None
    assert (found.n, found.student, found.teacher) == (100, 0.6, 0.8)
    assert found.share == pytest.approx(0.75)
    assert found.interval.low < 0.75 < found.interval.high
    assert found.versus.verdict == "worse"


def test_beyond_the_commonest_answer_counts_from_there() -> None:
    teacher = np.array([1.0] * 90 + [0.0] * 10)
    student = np.array([[True] * 70 + [False] * 30])
    plain = np.array([True] * 50 + [False] * 50)
    found = recovered(student, teacher, plain)
    assert found is not None
    assert found.beyond == pytest.approx((0.7 - 0.5) / (0.9 - 0.5))


def test_a_teacher_no_better_than_the_commonest_answer_leaves_nothing_to_recover() -> None:
    teacher = np.array([1.0] * 50 + [0.0] * 50)
    plain = np.roll(np.array([True] * 50 + [False] * 50), 25)
    found = recovered(np.ones((1, 100), dtype=np.bool_), teacher, plain)
    assert found is not None
    assert found.beyond is None


def test_without_a_known_teacher_there_is_no_share() -> None:
    right = np.ones((1, 3), dtype=np.bool_)
    assert recovered(right, np.full(3, np.nan), right[0]) is None


def test_the_teachers_verdicts_stand_beside_their_items(dataset: Dataset) -> None:
    examples = dataset.split("test")
    found = teacher_right(dataset, "test", examples[::-1])
    assert found[::-1].astype(bool).tolist() == dataset.teacher_correct("test")
