from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from limbeck.evaluate.bias.swap import placebo, swap_test, swapped
from limbeck.evaluate.shifted.renamed import FEMALE, MALE
from limbeck.evaluate.subject import Progress, Replies, Subject, verified
from limbeck.types import AnswerForm, Example, StudentCard, Task

TASK = Task(name="t", answer=AnswerForm(kind="choice", choices=("grant", "deny")))


def example(text: str, at: int = 0) -> Example:
    return Example(trace_id=str(at), input=text, answer="grant", truth="grant")


class Scripted:
    """Answers by a rule on the text."""

    def __init__(self, card: StudentCard, rule: Callable[[str], str], name: str = "s") -> None:
        self.card = card
        self.name = name
        self._rule = rule

    def ask(self, examples: Sequence[Example], *, progress: Progress | None = None) -> Replies:
        return verified(TASK, examples, [self._rule(one.input) for one in examples])

    def of_task(self, task: Task) -> Subject:
        return self


def test_pronouns_and_names_are_exchanged_everywhere() -> None:
    done = swapped(example("Mr Adam says he lost his card; give him her book."), "gender")
    assert done is not None
    assert done.input.split()[0] == "Ms"
    assert " she lost her card; give her his book." in done.input
    assert any(name.capitalize() in done.input for name in FEMALE)


def test_her_is_his_before_a_noun_and_him_elsewhere() -> None:
    done = swapped(example("she took her bag and i told her."), "gender")
    assert done is not None
    assert done.input == "he took his bag and i told him."


def test_places_are_exchanged_and_a_text_without_any_is_left_alone() -> None:
    done = swapped(example("He flew from London to Berlin."), "place")
    assert done is not None
    assert done.input == "He flew from Lagos to Cairo."
    assert swapped(example("two boxes"), "place") is None
    assert swapped(example("two boxes"), "gender") is None


def test_a_placebo_is_another_name_of_the_same_kind() -> None:
    done = placebo(example("Anna asks."), "gender", random.Random(0))
    assert done is not None
    new = done.input.split()[0].lower()
    assert new in FEMALE
    assert new != "anna"
    assert placebo(example("she asks."), "gender", random.Random(0)) is None


def inputs() -> list[Example]:
    names = [name.capitalize() for name in (*FEMALE[:20], *MALE[:20])]
    return [
        example(f"{name} wants the money back for order {at}.", at) for at, name in enumerate(names)
    ]


def biased(text: str) -> str:
    return "deny" if text.split()[0].lower() in FEMALE else "grant"


def unstable(text: str) -> str:
    return "deny" if sum(map(ord, text.split()[0])) % 2 else "grant"


def test_an_answer_that_follows_the_person_is_told_from_an_unstable_one(
    card: Callable[..., StudentCard],
) -> None:
    fair = Scripted(card(), lambda text: "grant")
    unfair = swap_test(Scripted(card(), biased), inputs(), "gender", control=fair)
    assert unfair is not None
    assert (unfair.n, unfair.flips, unfair.placebo) == (40, 1.0, 0.0)
    assert unfair.beyond is not None
    assert unfair.beyond.low > 0
    assert unfair.added == 1.0
    assert "the student adds" in unfair.verdict
    shaky = swap_test(Scripted(card(), unstable), inputs(), "gender")
    assert shaky is not None
    assert shaky.flips > 0.2
    assert "no more changes than another name" in shaky.verdict
    assert shaky.added is None


def test_what_the_control_has_too_is_not_added_by_the_student(
    card: Callable[..., StudentCard],
) -> None:
    both = swap_test(Scripted(card(), biased), inputs(), "gender", control=Scripted(card(), biased))
    assert both is not None
    assert both.added == 0.0
    assert "the student adds" not in both.verdict


def test_too_few_inputs_with_people_say_nothing(card: Callable[..., StudentCard]) -> None:
    assert swap_test(Scripted(card(), biased), inputs()[:5], "gender") is None
