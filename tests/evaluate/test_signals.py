from __future__ import annotations

import math

import pytest

from limbeck.evaluate.signals import FLOOR, SIGNALS, read_signals
from limbeck.models.local import Said


def said(**given: object) -> Said:
    values: dict[str, object] = {
        "answer": "yes",
        "rationale": None,
        "logprobs": (-0.5, -2.0, -0.5),
        "margin": 1.5,
        "rationale_logprob": -0.25,
        "new_tokens": 4,
        "stopped": True,
    }
    return Said(**{**values, **given})  # type: ignore[arg-type]  # values of a plain dictionary


def test_signals_are_read_in_the_order_of_the_table() -> None:
    named = dict(zip(SIGNALS, read_signals(said()), strict=True))
    assert named == {
        "lowest": -2.0,
        "average": -1.0,
        "margin": 1.5,
        "rationale": -0.25,
        "length": pytest.approx(math.log(5)),
    }


def test_a_longer_answer_is_not_punished_for_its_length() -> None:
    assert read_signals(said(logprobs=(-2.0, -0.5)))[0] == read_signals(said())[0]


def test_extreme_and_absent_numbers_stay_finite() -> None:
    wild = said(logprobs=(-1e9,), margin=math.inf, rationale_logprob=-math.inf)
    for reply in (wild, said(logprobs=(), new_tokens=0)):
        assert all(math.isfinite(value) for value in read_signals(reply))
    assert read_signals(wild)[:4] == (FLOOR, FLOOR, -FLOOR, FLOOR)
