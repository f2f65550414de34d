from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from limbeck.curate.dataset import Dataset
from limbeck.errors import DatasetError, StudentError, UsageError
from limbeck.evaluate.result import Result
from limbeck.evaluate.subject import TEACHER, Progress, Replies, Subject, remote_card, verified
from limbeck.evaluate.suites import Plan, run_suites, unseen_items
from limbeck.types import Example, StudentCard, Task


class Scripted:
    """Right on every second item."""

    def __init__(self, card: StudentCard, name: str = "scripted") -> None:
        self.card, self.name = card, name

    def ask(self, examples: Sequence[Example], *, progress: Progress | None = None) -> Replies:
        said = [one.truth if at % 2 else None for at, one in enumerate(examples)]
        return verified(self.card.task, examples, said)

    def of_task(self, task: Task) -> Subject:
        return self


@pytest.fixture
def student(card: Callable[..., StudentCard], dataset: Dataset) -> Scripted:
    return Scripted(card(task=dataset.task, recipe="label"))


def test_what_was_not_asked_for_is_not_there_and_the_result_is_read_back(
    student: Scripted, dataset: Dataset
) -> None:
    found = run_suites(Plan(suites=("outcome",)), dataset, [student])
    assert found.outcome is not None
    assert (found.shifted, found.dependence, found.bias, found.calibration) == ((), (), (), ())
    assert found.n == len(dataset.split("test"))
    assert Result.model_validate_json(found.model_dump_json()) == found


def test_the_teacher_is_evaluated_as_any_other_and_no_rationales_are_claimed_of_it(
    student: Scripted, dataset: Dataset
) -> None:
    teacher = Scripted(remote_card(dataset.task, TEACHER, "m"), "teacher:m")
    found = run_suites(Plan(suites=("outcome",)), dataset, [student, teacher])
    assert found.outcome is not None
    assert [arm.recipe for arm in found.outcome.evaluation.arms] == ["label", TEACHER]
    assert not any("under teacher" in text for text in found.outcome.evaluation.findings)


def test_seen_items_are_refused_or_left_out_for_everybody(
    student: Scripted, dataset: Dataset, tmp_path: object
) -> None:
    class Leaky:
        """The same dataset, with some of the test items in its training split."""

        def __getattr__(self, name: str) -> object:
            return getattr(dataset, name)

        def rows(self, split: str) -> object:
            return dataset.rows("test").head(5) if split == "train" else dataset.rows(split)

    leaky = Leaky()
    plan = Plan(suites=("outcome",), data={student.name: leaky})  # type: ignore[dict-item]
    with pytest.raises(
        DatasetError, match=r"5 of .* were seen in the training or selection of 'scripted'"
    ):
        unseen_items(plan, dataset, [student])
    skipping = Plan(suites=("outcome",), data={student.name: leaky}, skip_seen=True)  # type: ignore[dict-item]
    kept, seen = unseen_items(skipping, dataset, [student])
    assert len(kept) == len(dataset.split("test")) - 5
    assert seen[student.name].exact == 5


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_split_that_trained_or_chose_is_refused(
    student: Scripted, dataset: Dataset, split: str
) -> None:
    with pytest.raises(DatasetError, match="name a fresh one"):
        run_suites(Plan(suites=("outcome",), split=split), dataset, [student])


@pytest.mark.parametrize("suite", ["dependence", "calibration"])
def test_what_needs_weights_says_so_of_somebody_without(
    student: Scripted, dataset: Dataset, suite: str
) -> None:
    with pytest.raises(StudentError, match="name a student's folder"):
        run_suites(Plan(suites=(suite,)), dataset, [student])


def test_nobody_is_wrong_usage(dataset: Dataset) -> None:
    with pytest.raises(UsageError, match="nobody to evaluate"):
        run_suites(Plan(suites=("outcome",)), dataset, [])


def test_the_longer_suites_take_one_seed_of_a_recipe(
    card: Callable[..., StudentCard], dataset: Dataset
) -> None:
    seeds = [Scripted(card(task=dataset.task, seed=s), f"s{s}") for s in (1, 0)]
    found = run_suites(Plan(suites=("shifted",), items=30), dataset, seeds)
    assert [one.student for one in found.shifted] == ["s0"]
