from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score

from limbeck.evaluate.outcome.scores import (
    NOTHING,
    choice_scores,
    distances,
    field_scores,
    kind_scores,
    number_scores,
)
from limbeck.types import AnswerForm, Example, Task


def example(truth: str, choices: tuple[str, ...] = ("a", "b", "c")) -> Example:
    return Example(trace_id=truth, input="q", choices=choices, answer=truth, truth=truth)


def test_macro_f1_is_that_of_scikit_learn() -> None:
    random = np.random.default_rng(1)
    truth = random.choice(["a", "b", "c"], 200, p=[0.6, 0.3, 0.1]).tolist()
    said = [t if random.random() < 0.7 else "b" for t in truth]
    found = choice_scores([example(t) for t in truth], said)
    assert found is not None
    assert found.macro_f1 == pytest.approx(f1_score(truth, said, average="macro"))
    assert found.interval.low < found.macro_f1 < found.interval.high


def test_no_answer_is_a_column_of_its_own_and_never_right() -> None:
    found = choice_scores([example("a"), example("a"), example("b")], ["A", None, "b"])
    assert found is not None
    assert {(a, b): n for a, b, n in found.confusion} == {
        ("a", "a"): 1, ("a", NOTHING): 1, ("b", "b"): 1,
    }  # fmt: skip
    [first, second] = found.classes
    assert (first.n, first.right, first.said) == (2, 1, 1)
    assert (second.n, second.right) == (1, 1)


def test_distances_are_relative_and_at_most_one() -> None:
    examples = [example(t) for t in ("100", "0", "50", "4", "10")]
    assert distances(examples, ["103", "0.5", None, "400", "many"]).tolist() == [
        pytest.approx(0.03), 0.5, 1.0, 1.0, 1.0,
    ]  # fmt: skip


def test_numbers_are_counted_within_each_distance() -> None:
    found = number_scores(
        [example(t) for t in ("100", "100", "100", "100")], ["100", "101", "107", None]
    )
    assert [one.right for one in found.near] == [1, 2, 2, 3]
    assert found.distance == pytest.approx((0 + 0.01 + 0.07 + 1) / 4)


def test_json_is_scored_by_field() -> None:
    truth = json.dumps({"city": "Oslo", "n": 3})
    said = ['{"city": "oslo", "n": 4}', '{"city": "Oslo"}', "nonsense"]
    found = field_scores([example(truth)] * 3, said)
    assert found is not None
    assert {one.field: (one.right, one.n) for one in found.fields} == {"city": (2, 3), "n": (0, 3)}
    assert found.unreadable == 1
    # Two right values, six wanted, three given.
    assert found.micro_f1 == pytest.approx(2 * 2 / (6 + 3))


def test_text_without_fields_has_no_field_scores() -> None:
    assert field_scores([example("free text")], ["free text"]) is None


def test_the_kind_of_answer_chooses_the_scores() -> None:
    number = Task(name="n", answer=AnswerForm(kind="number"))
    found = kind_scores(number, [example("2")], [["2"], ["3"]])
    assert found.choice is None
    assert found.number is not None
    assert found.number.n == 2
