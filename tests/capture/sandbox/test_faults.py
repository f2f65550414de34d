from __future__ import annotations

import random
import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from limbeck.capture.sandbox.faults import (
    FAULTS,
    Fault,
    FaultRates,
    Reply,
    draw,
    draw_trouble,
    rng_of,
    spoil,
)
from limbeck.capture.sandbox.tasks import TABLE, Item, load, render
from limbeck.errors import ConfigError

NAMES = list(TABLE)
ITEMS = {name: load(name).generate(60, 1) for name in NAMES}


def spoiled(name: str, fault: Fault) -> list[tuple[Item, Reply]]:
    task = load(name)
    return [
        (item, spoil(item, fault, rng_of(item.input, seed), task))
        for seed, item in enumerate(ITEMS[name])
    ]


def answer_line(reply: Reply) -> str | None:
    *_, last = reply.text.split("\n")
    return last.removeprefix("Answer: ") if last.startswith("Answer: ") else None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_spoiled_reply_differs_and_its_truth_fits_its_text(name: str, fault: Fault) -> None:
    for item, reply in spoiled(name, fault):
        assert reply.fault == fault
        assert reply.text != render(item)
        assert reply.answer == answer_line(reply)
        assert reply.correct is (reply.answer == item.truth)
        assert (reply.stop_reason == "max_tokens") is (fault == "cut_off")


@pytest.mark.parametrize("name", NAMES)
def test_a_reply_without_a_fault_is_the_clean_one(name: str) -> None:
    for item in ITEMS[name]:
        reply = spoil(item, None, random.Random(0), load(name))
        assert reply == Reply(render(item), "end_turn", None, item.truth, True)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_same_call_is_spoiled_the_same_way_again(name: str, fault: Fault) -> None:
    assert spoiled(name, fault) == spoiled(name, fault)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("right", [True, False])
def test_a_wrong_step_is_where_the_truth_says(name: str, right: bool) -> None:
    fault: Fault = "wrong_step_right_answer" if right else "wrong_step_wrong_answer"
    for item, reply in spoiled(name, fault):
        assert reply.step is not None
        steps = reply.text.split("\n")[:-1]
        assert steps[: reply.step] == list(item.steps[: reply.step])
        assert steps[reply.step] != item.steps[reply.step]
        assert reply.correct is right
        if reply.detail == "arithmetic":
            assert not equation_holds(steps[reply.step])


def equation_holds(step: str) -> bool:
    found = re.search(r"([0-9]+(?: [-+*/] [0-9]+)+) = (-?[0-9]+)", step)
    assert found, step
    total = 0
    for sign, number in re.findall(r"([-+]?) ?([0-9]+)", found[1]):
        total += -int(number) if sign == "-" else int(number)
    return total == int(found[2])


@pytest.mark.parametrize("name", NAMES)
def test_a_loop_repeats_one_step_many_times_and_still_answers_right(name: str) -> None:
    for item, reply in spoiled(name, "loop"):
        counts = Counter(reply.text.split("\n"))
        assert counts.most_common(1)[0][1] >= 8
        assert reply.answer == item.truth


@pytest.mark.parametrize("name", NAMES)
def test_a_cut_off_reply_ends_inside_a_step(name: str) -> None:
    for item, reply in spoiled(name, "cut_off"):
        assert render(item).startswith(reply.text)
        last = reply.text.split("\n")[-1]
        assert last not in item.steps
        assert any(step.startswith(f"{last} ") for step in item.steps)


@pytest.mark.parametrize("name", NAMES)
def test_a_contradiction_argues_for_the_right_answer_and_gives_another(name: str) -> None:
    task = load(name)
    for item, reply in spoiled(name, "contradiction"):
        *steps, _ = reply.text.split("\n")
        assert tuple(steps) == item.steps
        assert item.truth in steps[-1]
        assert reply.answer != item.truth
        assert not task.answer.choices or reply.answer in task.answer.choices


@pytest.mark.parametrize("name", NAMES)
def test_nonsense_holds_no_step_of_the_chain(name: str) -> None:
    for item, reply in spoiled(name, "nonsense"):
        assert not any(step in reply.text for step in item.steps)
        assert len(reply.text.split()) >= 12


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_answer_leaves_the_chain_whole(name: str) -> None:
    for item, reply in spoiled(name, "missing_answer"):
        assert reply.text == "\n".join(item.steps)


def test_refusals_come_with_and_without_the_stop_reason() -> None:
    assert {reply.stop_reason for _, reply in spoiled("refunds", "refusal")} == {
        "end_turn",
        "refusal",
    }


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ConfigError, match="no fault 'typo'; wanted one of wrong_step"):
        spoil(ITEMS["ledger"][0], "typo", random.Random(0), load("ledger"))  # type: ignore[arg-type]  # wrong on purpose


# ---- rates --------------------------------------------------------------------------------------


def test_about_three_in_ten_chains_go_wrong_by_default() -> None:
    assert FaultRates().total == pytest.approx(0.30)


@given(st.floats(0, 1))
def test_a_total_scales_every_chain_fault_alike(total: float) -> None:
    rates, default = FaultRates.of_total(total), FaultRates()
    assert rates.total == pytest.approx(total)
    for fault in FAULTS:
        assert rates.rate(fault) == pytest.approx(default.rate(fault) * total / default.total)
    assert rates.http_429 == default.http_429
    assert FaultRates.model_validate_json(rates.model_dump_json()) == rates


@pytest.mark.parametrize("total", [-0.1, 1.1])
def test_a_total_that_is_no_share_is_refused(total: float) -> None:
    with pytest.raises(ConfigError, match="wanted a share from 0 to 1"):
        FaultRates.of_total(total)


@pytest.mark.parametrize(
    "rates", [{"loop": 0.9}, {"loop": -0.1}, {"http_429": 0.999}, {"lop": 0.1}]
)
def test_rates_that_cannot_be_are_refused(rates: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        FaultRates.model_validate(rates)


def test_faults_are_drawn_at_their_rates() -> None:
    rates = FaultRates.of_total(0.37)
    drawn = Counter(draw(rates, f"question {i}", 3) for i in range(20_000))
    for fault in FAULTS:
        expected = 20_000 * rates.rate(fault)
        assert abs(drawn[fault] - expected) < 5 * expected**0.5
    assert abs(drawn[None] - 20_000 * 0.63) < 5 * (20_000 * 0.63 * 0.37) ** 0.5


@settings(max_examples=50)
@given(key=st.text(), seed=st.integers())
def test_the_same_question_has_the_same_fault_on_every_run(key: str, seed: int) -> None:
    rates = FaultRates()
    assert draw(rates, key, seed) == draw(rates, key, seed)
    assert draw(FaultRates.none(), key, seed) is None
    assert draw_trouble(FaultRates.none(), key, seed) is None
    assert draw(FaultRates.of_total(1), key, seed) is not None


def test_the_draw_is_fixed_by_its_key_and_not_by_the_process() -> None:
    # Known values: a run on another machine must meet the same faults.
    drawn = [draw(FaultRates.of_total(0.9), f"q{i}", 0) for i in range(4)]
    assert drawn == [
        "wrong_step_wrong_answer",
        "contradiction",
        "wrong_step_wrong_answer",
        "contradiction",
    ]


def test_another_seed_spoils_other_calls() -> None:
    rates = FaultRates()
    a = [draw(rates, f"q{i}", 1) for i in range(200)]
    assert a != [draw(rates, f"q{i}", 2) for i in range(200)]


def test_a_retry_is_drawn_anew_so_that_it_succeeds_in_the_end() -> None:
    rates = FaultRates(http_429=0.3, http_529=0.2)
    for i in range(200):
        attempts = [draw_trouble(rates, f"q{i}", 1, attempt) for attempt in range(40)]
        assert any(trouble not in ("http_429", "http_529") for trouble in attempts)
    first = Counter(draw_trouble(rates, f"q{i}", 1) for i in range(5_000))
    assert abs(first["http_429"] - 1_500) < 5 * 1_500**0.5
    assert abs(first["http_529"] - 1_000) < 5 * 1_000**0.5
