from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from limbeck.capture.sandbox.tasks import load
from limbeck.curate.dataset import Dataset
from limbeck.evaluate.shifted.generated import fresh, generator_of, solver_of
from limbeck.evaluate.shifted.shifted import shifted_suite
from limbeck.evaluate.subject import Progress, Replies, Subject, verified
from limbeck.types import Example, StudentCard, Task

REFUNDS = load("refunds")


class Scripted:
    def __init__(self, card: StudentCard, rule: Callable[[Example], str]) -> None:
        self.card, self.name = card, "scripted"
        self._rule = rule

    def ask(self, examples: Sequence[Example], *, progress: Progress | None = None) -> Replies:
        return verified(self.card.task, examples, [self._rule(one) for one in examples])

    def of_task(self, task: Task) -> Subject:
        return self


@pytest.fixture
def knower(card: Callable[..., StudentCard]) -> Scripted:
    return Scripted(card(task=REFUNDS.task()), lambda one: one.truth)


@pytest.fixture
def rote(card: Callable[..., StudentCard]) -> Scripted:
    """Right on what training's wordings say, and on nothing else."""
    known = REFUNDS.generate(400, seed=9)
    groups = {part for item in known for part in item.group.split("-")}

    def rule(one: Example) -> str:
        seen = one.group is None or set(one.group.split("-")) <= groups
        return one.truth if seen else "no idea"

    return Scripted(card(task=REFUNDS.task()), rule)


def test_a_task_is_its_generators_by_its_items_and_not_by_its_name(dataset: Dataset) -> None:
    items = dataset.split("test")
    task = dataset.task
    assert generator_of(task, items) is REFUNDS
    assert generator_of(task, [items[0].model_copy(update={"input": "hello"})]) is None
    wrong = [
        one.model_copy(update={"truth": "deny" if one.truth != "deny" else "exchange"})
        for one in items
    ]
    assert generator_of(task, wrong) is None
    assert generator_of(task.model_copy(update={"name": "mine"}), items) is None
    assert solver_of(None) is None


def test_fresh_items_are_new_and_the_same_again() -> None:
    first = fresh(REFUNDS, 20, 1, None, [])
    assert fresh(REFUNDS, 20, 1, None, []) == first
    again = fresh(REFUNDS, 20, 1, None, [one.input for one in first])
    assert not {one.input for one in again} & {one.input for one in first}


def test_who_knows_the_job_loses_nothing(knower: Scripted, dataset: Dataset) -> None:
    found = shifted_suite(knower, dataset, dataset.split("test"), fresh_items=40)
    assert found.before == 1.0
    # Their truths are labels, so that there is no result to add to, and nothing is asked in them.
    assert "one-more-step" not in {one.name for one in found.drops} | set(found.left_out)
    assert "without the question" in found.left_out
    assert {one.name for one in found.drops} >= {f"generated: {s}" for s in REFUNDS.shifts}
    assert all(one.drop == 0 for one in found.drops)
    assert found.overfit is not None
    assert found.overfit.index == 0
    assert any("No drop beyond luck" in text for text in found.findings)


def test_who_learned_the_wordings_overfits_and_the_index_says_so(
    rote: Scripted, dataset: Dataset
) -> None:
    found = shifted_suite(rote, dataset, dataset.split("test"), fresh_items=60)
    assert found.overfit is not None
    assert found.overfit.seen > 0.9
    assert found.overfit.new == 0.0
    assert found.overfit.interval.low > 0.5
    worst = min(found.drops, key=lambda one: one.drop)
    assert worst.name == "generated: unseen-wording"
    assert worst.interval.high < 0
    assert any("learned its templates" in text for text in found.findings)


def sums(n: int) -> list[Example]:
    """A task of nobody's generator, with a question in each text."""
    return [
        Example(
            trace_id=str(at),
            input=f"Anna has {20 + at} nuts. Tom brings {3 + at % 6} more. How many are there?",
            rationale=f"{20 + at} + {3 + at % 6} = {23 + at + at % 6}",
            answer=str(23 + at + at % 6),
            truth=str(23 + at + at % 6),
        )
        for at in range(n)
    ]


def test_changes_of_any_task_are_paired_with_its_own_items(
    card: Callable[..., StudentCard], dataset: Dataset
) -> None:
    task = Task.model_validate({"name": "sums", "answer": {"kind": "number"}})
    names = ("Anna", "Tom")

    def by_heart(one: Example) -> str:
        return one.truth if all(name in one.input for name in names) else "0"

    found = shifted_suite(Scripted(card(task=task), by_heart), dataset, sums(60))
    drops = {one.name: one for one in found.drops}
    assert drops["renamed"].drop == -1.0
    assert drops["renamed"].truth == {"renamed": 60}
    assert drops["renamed"].p_value is not None
    assert drops["renamed"].p_value < 1e-9
    assert drops["new-numbers"].drop == 0.0
    assert set(drops["new-numbers"].truth) == {"derived"}
    assert drops["reordered"].truth == {"assumed": 60}
    assert drops["one-more-step"].truth == {"derived": 60}
    assert all(one.paired for one in found.drops)


def test_who_answers_without_the_question_is_guessing(
    card: Callable[..., StudentCard], dataset: Dataset
) -> None:
    task = Task.model_validate({"name": "sums", "answer": {"kind": "number"}})
    found = shifted_suite(Scripted(card(task=task), lambda one: one.truth), dataset, sums(40))
    assert found.guess is not None
    assert found.guess.guessing
    honest = Scripted(card(task=task), lambda one: one.truth if "?" in one.input else "0")
    fair = shifted_suite(honest, dataset, sums(40))
    assert fair.guess is not None
    assert not fair.guess.guessing
