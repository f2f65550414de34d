from __future__ import annotations

import pytest

from limbeck.capture.sandbox.tasks import Item
from limbeck.demo.asking import Answered
from limbeck.demo.measure import POINTS, capture_numbers, cascade_numbers, thinned
from limbeck.evaluate.risk import Point
from limbeck.types import Price

PRICE = Price(input=3.0, output=15.0)


def answered(right: bool, local: bool = False, seconds: float = 0.1) -> Answered:
    item = Item(input="?", truth="a", steps=(), choices=(), group="g", meta={})
    tokens = (0, 0) if local else (1000, 100)
    return Answered(item, "a" if right else "b", right, local, seconds, *tokens)


def test_a_cascade_is_compared_with_the_teacher_on_the_same_questions() -> None:
    through = [answered(True, local=True), answered(False, local=True), answered(True), None]
    alone = [answered(True), answered(True), answered(False), answered(True)]
    found = cascade_numbers(through, alone, PRICE)
    assert (found.calls, found.local, found.local_errors) == (3, 2, 1)
    assert (found.right, found.teacher_right) == (2, 2)
    assert found.cost_usd == pytest.approx(0.0045)
    assert found.teacher_only_usd == pytest.approx(3 * 0.0045)
    assert found.local_risk.low < 0.5 < found.local_risk.high


def test_calls_without_a_reply_are_counted_and_cost_nothing() -> None:
    found = capture_numbers(
        [answered(True, seconds=0.2), None],
        teacher="t",
        simulated=True,
        price=PRICE,
        outcomes=1,
        seconds=1.0,
    )
    assert (found.calls, found.refused_by_teacher) == (2, 1)
    assert found.cost_usd == pytest.approx(0.0045)
    assert found.latency_p50 == pytest.approx(0.2)


def test_a_thinned_curve_keeps_its_ends() -> None:
    points = [Point(threshold=1 - n / 500, coverage=n / 500, risk=0.0) for n in range(1, 501)]
    thin = thinned(points)
    assert len(thin) <= POINTS
    assert (thin[0], thin[-1]) == (points[0], points[-1])
    assert thinned(points[:5]) == tuple(points[:5])
