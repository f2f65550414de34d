from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from limbeck.monitor.drift import Drift, Reference, find_drift, inputs_differ
from limbeck.monitor.settings import MonitorSettings
from limbeck.types import Policy

Make = Callable[..., Any]
SETTINGS = MonitorSettings(sampled=150)


def texts(n: int, seed: int, things: str = "parcel letter refund order") -> list[str]:
    random = np.random.default_rng(seed)
    words = [*things.split(), *(f"word{i}" for i in range(30))]
    return [" ".join(random.choice(words, size=random.integers(6, 14))) for _ in range(n)]


def by_name(found: list[Drift]) -> dict[str, Drift]:
    return {one.what: one for one in found}


def test_inputs_of_one_kind_rarely_differ_and_others_do() -> None:
    differed = [
        inputs_differ(texts(100, seed), texts(100, 1000 + seed)) < 0.05 for seed in range(16)
    ]
    assert np.mean(differed) <= 0.25
    other = texts(100, 7, "rechnung vertrag frist kündigung bescheid")
    assert inputs_differ(texts(100, 3), other) < 0.02


def test_texts_that_share_no_word_are_compared_too() -> None:
    assert inputs_differ([f"a{i}" for i in range(60)], [f"b{i}" for i in range(60)]) > 0.5


def test_the_same_kind_of_calls_raises_no_warning(
    read: Make, call: Make, policy: Callable[..., Policy]
) -> None:
    before, now = texts(150, 1), texts(150, 2)
    labels = ["grant", "deny"] * 75
    traces = [
        call(number, text=text, answer=labels[number], local=number % 5 > 0, student=number % 5 > 0)
        for number, text in enumerate(now)
    ]
    found = find_drift(read(traces, []), Reference(before, labels), policy(), SETTINGS)
    assert set(by_name(found)) == {"label mix", "length", "escalation", "inputs"}
    assert not any(one.warns for one in found)


def test_what_changed_is_named(read: Make, call: Make, policy: Callable[..., Policy]) -> None:
    before = texts(150, 1)
    labels = ["grant", "deny"] * 75
    traces = [
        call(number, text=f"{text} {text} {text}", answer="deny", local=False, student=False)
        for number, text in enumerate(texts(150, 2, "vertrag frist kündigung"))
    ]
    found = by_name(find_drift(read(traces, []), Reference(before, labels), policy(), SETTINGS))
    assert all(one.warns for one in found.values())
    assert found["escalation"].value == pytest.approx(0.8)


def test_too_few_calls_say_nothing(read: Make, call: Make, policy: Callable[..., Policy]) -> None:
    calls = read([call(number) for number in range(20)], [])
    assert find_drift(calls, Reference(texts(150, 1), ["grant"] * 150), policy(), SETTINGS) == []
