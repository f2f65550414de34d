from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from limbeck.curate.dataset import Dataset
from limbeck.errors import UsageError
from limbeck.evaluate.answers import Answers
from limbeck.evaluate.evaluate import compare, evaluate
from limbeck.evaluate.intervals import mcnemar, wilson
from limbeck.types import Ask

THINK = Ask(control="think", order="rationale_answer", causal=True)


@pytest.fixture
def student(
    answers: Callable[..., Answers], dataset: Dataset
) -> Callable[[str, float, int], Answers]:
    """`student(recipe, share, seed)`: right on that share of the test items, the same easy ones."""
    examples = dataset.split("test")
    hard = np.random.default_rng(0).permutation(len(examples))

    def make(recipe: str, share: float, seed: int = 0) -> Answers:
        right = hard < share * len(examples)
        ask = {"ask": THINK} if recipe == "think-first" else {}
        return answers(right, examples=examples, recipe=recipe, seed=seed, **ask)

    return make


def test_an_arm_is_compared_with_the_control_item_by_item(
    student: Callable[..., Answers], dataset: Dataset
) -> None:
    label, think = student("label", 0.5), student("think-first", 1.0)
    found = evaluate(dataset, "test", [think, label])
    control, arm = found.arms
    n = len(label.right)
    assert (control.recipe, control.versus_control) == ("label", None)
    assert control.interval == wilson(int(label.right.sum()), n)
    assert (arm.recipe, arm.accuracy, arm.causal) == ("think-first", 1.0, True)
    versus = arm.versus_control
    assert versus is not None
    assert versus.difference == pytest.approx(1 - label.right.mean())
    assert versus.p_value == mcnemar(think.right.tolist(), label.right.tolist())
    assert versus.verdict == "better"
    assert versus.interval.low > 0
    assert any("Rationales helped here under think-first" in text for text in found.findings)


def test_a_worse_arm_is_called_worse(student: Callable[..., Answers], dataset: Dataset) -> None:
    found = evaluate(dataset, "test", [student("label", 1.0), student("multitask", 0.4)])
    assert found.arms[1].versus_control is not None
    assert found.arms[1].versus_control.verdict == "worse"
    assert any("Rationales hurt here under multitask" in text for text in found.findings)


def test_no_difference_is_said_plainly(student: Callable[..., Answers], dataset: Dataset) -> None:
    found = evaluate(dataset, "test", [student("label", 0.7), student("multitask", 0.7)])
    assert any("No difference seen between multitask" in text for text in found.findings)


def test_without_a_control_nothing_is_said_about_rationales(
    student: Callable[..., Answers], dataset: Dataset
) -> None:
    found = evaluate(dataset, "test", [student("multitask", 0.9)])
    assert found.arms[0].versus_control is None
    assert any("There is no label-only control here" in text for text in found.findings)


def test_a_control_of_another_base_is_no_control(
    answers: Callable[..., Answers], student: Callable[..., Answers], dataset: Dataset
) -> None:
    other = answers(
        np.ones(len(dataset.split("test")), dtype=np.bool_),
        examples=dataset.split("test"),
        base="micro",
        recipe="multitask",
    )
    found = evaluate(dataset, "test", [student("label", 0.5), other])
    assert [arm.versus_control for arm in found.arms] == [None, None]


def test_one_seed_is_called_one_seed_and_three_are_not(
    student: Callable[..., Answers], dataset: Dataset
) -> None:
    arms = [student(recipe, 0.7, seed) for recipe in ("label", "multitask") for seed in range(3)]
    few = evaluate(dataset, "test", [arms[0], arms[3]])
    assert any(text.startswith("One seed an arm") for text in few.findings)
    many = evaluate(dataset, "test", arms)
    assert not any("seed" in text for text in many.findings)
    assert [seed.seed for seed in many.arms[1].seeds] == [0, 1, 2]
    assert many.arms[1].versus_control is not None
    assert many.arms[1].versus_control.p_value is None


def test_seeds_are_paired_where_both_have_them(student: Callable[..., Answers]) -> None:
    mine = [student("multitask", share, seed) for seed, share in ((0, 0.9), (1, 0.5), (7, 0.1))]
    theirs = [student("label", share, seed) for seed, share in ((1, 0.5), (0, 0.9))]
    assert compare(mine, theirs, "label").difference == 0.0
    assert compare(mine[2:], theirs, "label").difference < 0


def test_unanswered_items_are_counted_and_wrong(
    answers: Callable[..., Answers], dataset: Dataset
) -> None:
    examples = dataset.split("test")
    right = np.ones(len(examples), dtype=np.bool_)
    usable = right.copy()
    usable[:3] = False
    [arm] = evaluate(dataset, "test", [answers(right, usable=usable, examples=examples)]).arms
    assert arm.unanswered == pytest.approx(3 / len(examples))
    assert arm.accuracy == pytest.approx(1 - 3 / len(examples))


def test_the_teacher_and_the_commonest_answer_stand_beside_the_students(
    student: Callable[..., Answers], dataset: Dataset
) -> None:
    found = evaluate(dataset, "test", [student("label", 0.5)])
    verdicts = dataset.teacher_correct("test")
    assert found.teacher is not None
    assert (found.teacher.right, found.teacher.n) == (sum(verdicts), len(verdicts))
    assert 0 < found.teacher.right < found.teacher.n
    [(common, _)] = Counter(e.truth for e in dataset.split("train")).most_common(1)
    tests = dataset.split("test")
    assert found.majority == sum(e.truth == common for e in tests) / len(tests)
    assert found.simulated
    assert found.truth_sources == {"gold": len(tests)}
    assert any("below its teacher" in text for text in found.findings)


def test_no_student_is_wrong_usage(dataset: Dataset) -> None:
    with pytest.raises(UsageError, match="no student to evaluate"):
        evaluate(dataset, "test", [])
