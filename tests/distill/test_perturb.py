from __future__ import annotations

import re
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.distill.perturb import FILLER, Kind, Perturbation, perturb
from limbeck.distill.steps import join_steps, steps_of
from limbeck.errors import ConfigError
from limbeck.types import AnswerForm, Chain, Example, Task
from limbeck.verify.table import judge

KINDS: tuple[Kind, ...] = get_args(Kind)
CHOICES = Task(name="t", answer=AnswerForm(kind="choice", choices=("yes", "no", "maybe")))
NUMBERS = Task(name="t", answer=AnswerForm(kind="number", tolerance=0.5))


def example(number: int, answer: str = "yes", steps: int = 6) -> Example:
    chain = "\n".join(f"step {number}.{i}: because {i} + {number} it holds" for i in range(steps))
    return Example(
        trace_id=f"t{number}",
        input=f"question {number} of 2026",
        rationale=f"{chain}\nso the answer is {answer}",
        answer=answer,
        truth=answer,
    )


EXAMPLES = [example(number) for number in range(40)]


def spoiled(kind: Kind, dose: float, seed: int = 0, task: Task = CHOICES) -> list[Example]:
    return perturb(EXAMPLES, Perturbation(kind=kind, dose=dose, seed=seed), task)


def chains(examples: list[Example]) -> list[str]:
    return [one.rationale or "" for one in examples]


@pytest.mark.parametrize("kind", KINDS)
def test_no_dose_changes_nothing_and_a_full_dose_changes_every_chain(kind: Kind) -> None:
    assert spoiled(kind, 0.0) == EXAMPLES
    assert all(a != b for a, b in zip(spoiled(kind, 1.0), EXAMPLES, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_truths_and_weights_are_never_touched(kind: Kind) -> None:
    for before, after in zip(EXAMPLES, spoiled(kind, 1.0), strict=True):
        kept = {"trace_id", "input", "choices", "truth", "group", "weight"}
        assert after.model_dump(include=kept) == before.model_dump(include=kept)
        assert kind == "wrong-answers" or after.answer == before.answer


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_touched_depends_on_the_seed_and_not_on_the_order(kind: Kind) -> None:
    perturbation = Perturbation(kind=kind, dose=0.5)
    backwards = perturb(EXAMPLES[::-1], perturbation, CHOICES)[::-1]
    assert backwards == spoiled(kind, 0.5)
    assert spoiled(kind, 0.5, seed=1) != spoiled(kind, 0.5)


@pytest.mark.parametrize("kind", ["digits", "filler"])
def test_what_a_small_dose_touches_a_larger_one_touches_too(kind: Kind) -> None:
    def touched(dose: float) -> set[tuple[int, int]]:
        found = set()
        for number, chain in enumerate(chains(spoiled(kind, dose))):
            before = (EXAMPLES[number].rationale or "").split()
            found |= {(number, at) for at, word in enumerate(chain.split()) if word != before[at]}
        return found

    assert touched(0.3) < touched(0.8)


def test_a_wrong_answer_is_wrong_and_the_last_step_argues_for_it() -> None:
    found = spoiled("wrong-answers", 1.0)
    assert {one.answer for one in found} == {"no", "maybe"}
    for one in found:
        assert steps_of(one.rationale or "")[-1] == f"so the answer is {one.answer}"
    share = sum(one.answer != "yes" for one in spoiled("wrong-answers", 0.5)) / len(EXAMPLES)
    assert 0.25 < share < 0.75


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 3), st.integers(0, 50))
def test_a_wrong_number_is_near_by_and_outside_of_the_tolerance(
    cents: int, decimals: int, seed: int
) -> None:
    answer = f"{cents / 7:.{decimals}f}"
    right = Example(trace_id="n", input="sum?", answer=answer, truth=answer)
    perturbation = Perturbation(kind="wrong-answers", dose=1, seed=seed)
    [wrong] = perturb([right], perturbation, NUMBERS)
    assert judge(NUMBERS, wrong.answer, answer).score == 0.0
    assert not wrong.answer.startswith("-")
    assert len(wrong.answer.partition(".")[2]) == decimals


def test_corrupted_digits_stay_digits_in_their_share() -> None:
    before, after = "".join(chains(EXAMPLES)), "".join(chains(spoiled("digits", 0.7)))
    assert re.sub(r"\d", "0", before) == re.sub(r"\d", "0", after)
    places = [at for at, letter in enumerate(before) if letter.isdigit()]
    share = sum(before[at] != after[at] for at in places) / len(places)
    assert share == pytest.approx(0.7, abs=0.06)


@pytest.mark.parametrize(("kind", "factor"), [("delete", 0.5), ("insert", 1.5), ("shuffle", 1.0)])
def test_steps_are_lost_gained_or_moved_by_the_dose(kind: Kind, factor: float) -> None:
    before = [steps_of(chain) for chain in chains(EXAMPLES)]
    after = [steps_of(chain) for chain in chains(spoiled(kind, 0.5))]
    assert sum(map(len, after)) == pytest.approx(factor * sum(map(len, before)), rel=0.06)
    if kind == "delete":
        assert all(set(a) < set(b) for a, b in zip(after, before, strict=True))
    if kind == "insert":
        assert all(set(a) > set(b) for a, b in zip(after, before, strict=True))
    if kind == "shuffle":
        assert all(sorted(a) == sorted(b) for a, b in zip(after, before, strict=True))


def test_a_deleted_chain_keeps_a_step() -> None:
    assert {len(steps_of(chain)) for chain in chains(spoiled("delete", 1.0))} == {1}


def test_keywords_go_and_the_rest_stays() -> None:
    for chain in chains(spoiled("keywords", 1.0)):
        assert "because" not in chain
        assert not steps_of(chain)[-1].startswith("so ")
        assert "+" in chain


def test_another_items_chain_is_whole_and_anothers() -> None:
    own = dict(zip(chains(EXAMPLES), EXAMPLES, strict=True))
    for one in spoiled("other-item", 1.0):
        assert own[one.rationale or ""].trace_id != one.trace_id


def test_filler_keeps_the_length_in_words_and_the_lines() -> None:
    for before, after in zip(chains(EXAMPLES), chains(spoiled("filler", 1.0)), strict=True):
        assert set(after.split()) == {FILLER}
        assert len(after.split()) == len(before.split())
        assert after.count("\n") == before.count("\n")


def test_every_chain_of_an_input_is_spoiled() -> None:
    several = EXAMPLES[0].model_copy(
        update={"others": (Chain(rationale="one 1\ntwo 2", answer="yes"),)}
    )
    [found] = perturb([several], Perturbation(kind="digits", dose=1), CHOICES)
    assert found.others[0].rationale != "one 1\ntwo 2"
    [wrong] = perturb([several], Perturbation(kind="wrong-answers", dose=1), CHOICES)
    assert wrong.others[0].answer == wrong.answer != "yes"


def test_an_example_without_a_rationale_is_left_alone() -> None:
    bare = EXAMPLES[0].model_copy(update={"rationale": None})
    for kind in KINDS[1:]:
        assert perturb([bare], Perturbation(kind=kind, dose=1), CHOICES) == [bare]


def test_where_no_answer_can_be_wrong_that_is_said() -> None:
    task = Task(name="t", answer=AnswerForm(kind="text"))
    with pytest.raises(ConfigError, match="there is no wrong answer to put in place of 'yes'"):
        perturb(EXAMPLES, Perturbation(kind="wrong-answers", dose=1), task)


@pytest.mark.parametrize("chain", ["a. b? c!", "a\nb. c\nd", "one", "x = 1.5 and so. Then 2."])
def test_steps_joined_are_the_chain(chain: str) -> None:
    assert join_steps(steps_of(chain), chain) == chain
