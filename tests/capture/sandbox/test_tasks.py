"""What holds for every sandbox task."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.capture import sandbox
from limbeck.capture.sandbox.tasks import SHIFTS, TABLE, Item, SandboxTask, load, render, verifier
from limbeck.errors import ConfigError, DataError
from limbeck.types import Provenance, Task, Trace

CASES = [(name, shift) for name in TABLE for shift in (None, *load(name).shifts)]
NAMES = list(TABLE)


def without_shift(item: Item) -> Item:
    return replace(item, meta={k: v for k, v in item.meta.items() if k != "shift"})


@pytest.mark.parametrize(("name", "shift"), CASES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_solver_reads_every_generated_text_back(
    name: str, shift: str | None, seed: int
) -> None:
    task = load(name)
    for item in task.generate(8, seed, shift=shift):
        assert task.solve(item.input) == without_shift(item)
        assert item.meta["shift"] == shift


@pytest.mark.parametrize(("name", "shift"), CASES)
def test_inputs_are_distinct_and_the_same_for_the_same_seed(name: str, shift: str | None) -> None:
    task = load(name)
    items = task.generate(200, 7, shift=shift)
    assert len({item.input for item in items}) == 200
    assert task.generate(200, 7, shift=shift) == items
    assert task.generate(50, 7, shift=shift) == items[:50]
    assert task.generate(200, 8, shift=shift) != items


@pytest.mark.parametrize("name", NAMES)
def test_excluded_inputs_do_not_come_back(name: str) -> None:
    task = load(name)
    first = task.generate(100, 3)
    exclude = {item.input for item in first[::2]}
    again = task.generate(100, 3, exclude=exclude)
    assert not exclude & {item.input for item in again}
    assert again[0] == first[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_shift_changes_the_items_and_an_unknown_shift_is_refused(name: str) -> None:
    task = load(name)
    plain = {item.input for item in task.generate(300, 1)}
    assert set(task.shifts) <= set(SHIFTS)
    for shift in task.shifts:
        assert not plain & {item.input for item in task.generate(300, 1, shift=shift)}
    with pytest.raises(ConfigError, match=r"shift 'sideways'.*unseen-wording"):
        task.generate(1, 1, shift="sideways")


@pytest.mark.parametrize("name", NAMES)
def test_the_distractor_changes_the_text_but_no_step_of_the_chain(name: str) -> None:
    task = load(name)
    plain, shifted = task.generate(400, 1), task.generate(400, 1, shift="distractor")

    def average(items: list[Item], what: str) -> float:
        return sum(len(i.input if what == "input" else render(i)) for i in items) / len(items)

    assert average(shifted, "input") > average(plain, "input") + 8
    assert {len(i.steps) for i in shifted} <= {len(i.steps) for i in plain}


@pytest.mark.parametrize("name", [n for n in NAMES if load(n).answer.choices])
def test_every_label_is_used_and_none_dominates(name: str) -> None:
    task = load(name)
    counts = Counter(item.truth for item in task.generate(1_000, 5))
    assert set(counts) == set(task.answer.choices)
    assert min(counts.values()) / 1_000 >= 0.10
    assert max(counts.values()) / 1_000 <= 0.35


@pytest.mark.parametrize("name", NAMES)
def test_a_group_is_shared_by_items_of_the_same_wording(name: str) -> None:
    items = load(name).generate(1_500, 2)
    groups = Counter(item.group for item in items)
    assert 20 < len(groups) < 1_400
    assert groups.most_common(1)[0][1] > 1


@pytest.mark.parametrize("name", NAMES)
def test_texts_and_chains_are_short_enough_for_a_small_student(name: str) -> None:
    for item in load(name).generate(200, 4):
        assert len(item.input.split()) < 80
        assert len(render(item).split()) < 60


@pytest.mark.parametrize("name", NAMES)
def test_the_clean_reply_ends_on_the_answer_line(name: str) -> None:
    for item in load(name).generate(50, 4):
        *steps, answer = render(item).split("\n")
        assert tuple(steps) == item.steps
        assert answer == f"Answer: {item.truth}"


@pytest.mark.parametrize("name", NAMES)
def test_the_instruction_says_how_to_answer(name: str) -> None:
    task = load(name).task()
    assert task.name == name
    assert task.reply.answer_markers == ("Answer:",)
    assert 'Then write "Answer: "' in task.instruction or 'write "Answer: "' in task.instruction
    assert all(choice in task.instruction for choice in task.answer.choices)
    assert (task.teacher.price.input, task.teacher.price.output) == (3.0, 15.0)
    assert Task.model_validate_json(task.model_dump_json()) == task


def test_instructions_differ_so_that_a_call_can_be_told_by_its_own() -> None:
    instructions = [load(name).instruction for name in NAMES]
    assert not any(a in b for a in instructions for b in instructions if a is not b)


def trace(input_: str, task: str) -> Trace:
    return Trace(task=task, input=input_, provenance=Provenance(source="import", simulated=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_verifier_accepts_the_truth_and_nothing_else(name: str) -> None:
    sandbox_task = load(name)
    task = sandbox_task.task()
    for item in sandbox_task.generate(20, 6):
        asked = trace(item.input, name)
        assert verifier(task, asked, item.truth).score == 1.0
        assert verifier(task, asked, f" {item.truth.upper()} ").score == 1.0
        for wrong in [c for c in item.choices if c != item.truth] or [f"{item.truth}1", "", "many"]:
            verdict = verifier(task, asked, wrong)
            assert verdict.score == 0.0
            assert verdict.reason


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "text", ["", "what is the capital of France?", "order: x\nmessage: y", "?."]
)
def test_text_of_another_kind_is_refused(name: str, text: str) -> None:
    with pytest.raises(DataError):
        load(name).solve(text)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 500), data=st.data())
def test_a_damaged_text_is_refused_or_read_but_never_crashes(
    name: str, seed: int, data: st.DataObject
) -> None:
    task = load(name)
    text = task.generate(1, seed)[0].input
    at = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:at] + data.draw(st.text(max_size=3)) + text[at + 1 :]
    try:
        item = task.solve(damaged)
    except DataError:
        return
    assert item.input == damaged
    assert item.truth in (item.choices or {item.truth})


@pytest.mark.parametrize(("name", "shift"), CASES)
@pytest.mark.parametrize("keep_answer", [True, False])
def test_a_slip_makes_one_step_wrong_and_keeps_or_loses_the_answer(
    name: str, shift: str | None, keep_answer: bool
) -> None:
    task: SandboxTask[Any] = load(name)
    for seed, item in enumerate(task.generate(60, 9, shift=shift)):
        slip = task.slip(item, random.Random(seed), keep_answer)
        assert (slip.answer == item.truth) is keep_answer
        assert slip.steps[: slip.step] == item.steps[: slip.step]
        assert slip.steps[slip.step] != item.steps[slip.step]
        # The chain goes for the answer that the reply gives.
        assert slip.answer in slip.steps[-1]


def test_too_many_items_for_the_knobs_are_refused_with_a_remedy() -> None:
    task = load("ledger")
    few = task.generate(3, 1)
    narrow = replace(task, write=lambda rng, knobs, shift: rng.choice(few))
    assert len(narrow.generate(3, 1)) == 3
    with pytest.raises(DataError, match=r"found 3 distinct inputs of the 4 wanted; ask for fewer"):
        narrow.generate(4, 1)


def test_an_unknown_task_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"'chess'; wanted one of refunds, ledger, routes"):
        load("chess")


def test_the_table_names_every_task_module_of_the_folder() -> None:
    folder = Path(sandbox.__path__[0])
    holders = {p.stem for p in folder.glob("*.py") if "\nSANDBOX = " in p.read_text("utf-8")}
    assert holders == set(TABLE)
