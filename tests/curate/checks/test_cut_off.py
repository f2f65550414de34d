from __future__ import annotations

from collections.abc import Callable

import pytest

from limbeck.types import Task

Evidence = Callable[..., str | None]


@pytest.mark.parametrize("stop", ["max_tokens", "length"])
def test_a_limit_before_the_answer_is_caught(
    stop: str, choice_task: Task, evidence: Evidence
) -> None:
    said = evidence("cut_off", choice_task, stop_reason=stop, reply="the item is", rationale="the")
    assert said == f"the reply stopped at a limit ({stop}): 'the item is'"


def test_a_limit_inside_the_answer_is_caught(number_task: Task, evidence: Evidence) -> None:
    said = evidence(
        "cut_off", number_task, stop_reason="length", answer_raw="12", reply="Answer: 12"
    )
    assert said is not None


def test_a_limit_after_the_answer_passes(choice_task: Task, evidence: Evidence) -> None:
    said = evidence(
        "cut_off", choice_task, stop_reason="max_tokens", answer_raw="deny", ran_on=True
    )
    assert said is None


@pytest.mark.parametrize(
    "chain", ["so the total is", "the price,", "12 +", "It was late and", "the customer wan"]
)
def test_an_end_in_mid_sentence_without_an_answer_is_caught(
    chain: str, choice_task: Task, evidence: Evidence
) -> None:
    said = evidence("cut_off", choice_task, rationale=chain)
    assert said is not None
    assert "mid-sentence" in said


@pytest.mark.parametrize(
    "chain",
    [
        "It was late.",
        "12 + 7 = 19",
        "so it is **7**",
        "It is <b>late</b>",
        "a) late b) broken.",
        "1) is (6 + 3) late :(.",
    ],
)
def test_a_finished_chain_passes(chain: str, choice_task: Task, evidence: Evidence) -> None:
    assert evidence("cut_off", choice_task, rationale=chain, answer_raw="deny") is None


def test_a_lead_in_to_the_answer_is_no_cut(choice_task: Task, evidence: Evidence) -> None:
    for chain in ("It was late. So", "In total that is", "Therefore:"):
        assert evidence("cut_off", choice_task, rationale=chain, answer_raw="deny") is None
        assert evidence("cut_off", choice_task, rationale=chain) is not None


def test_a_dangling_end_before_an_answer_is_caught(choice_task: Task, evidence: Evidence) -> None:
    for chain in ("It was late and", "The price, the days,", "12 + 7 +"):
        assert evidence("cut_off", choice_task, rationale=chain, answer_raw="deny") is not None


def test_a_bracket_that_never_closes_is_caught(choice_task: Task, evidence: Evidence) -> None:
    said = evidence(
        "cut_off", choice_task, rationale="The item (a radio is late.", answer_raw="deny"
    )
    assert said is not None
    assert "opens '('" in said
    off = {"brackets": False}
    same = evidence(
        "cut_off", choice_task, off, rationale="The item (a radio is late.", answer_raw="deny"
    )
    assert same is None


def test_a_bracket_after_a_digit_is_no_smiley_and_a_forgotten_one_is_no_cut(
    choice_task: Task, evidence: Evidence
) -> None:
    for chain in ("(5/8) of 40 is 25.", "It is late (by a day. The window is 30 days. So deny."):
        assert evidence("cut_off", choice_task, rationale=chain, answer_raw="deny") is None
