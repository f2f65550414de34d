"""False alarms, detection and coverage are counted over simulated streams with fixed seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from limbeck.evaluate.betting import (
    alarm_capital,
    confidence_sequence,
    first_alarm,
    hedged_capital,
    likely_rise,
    mean_below,
    surely_above,
)

DELTA = 0.05


def at_most(share: float, streams: int) -> float:
    """What chance makes of a rate of exactly `share` in all but one of a thousand such counts."""
    return float(stats.binom.ppf(0.999, streams, share) / streams)


@pytest.mark.parametrize("risk", [0.02, 0.05, 0.2])
def test_at_exactly_the_promised_risk_few_streams_of_10_000_ever_raise_an_alarm(
    risk: float,
) -> None:
    wrong = np.random.default_rng(1).random((300, 10_000)) < risk
    # The largest capital of a stream is what somebody who looks after every audit would see.
    alarmed = (alarm_capital(wrong, risk).max(axis=-1) >= 1 / DELTA).mean()
    assert alarmed <= at_most(DELTA, 300)
    # Not only kept far from: a rule that never fires would pass too.
    assert alarmed > 0


def test_what_came_before_does_not_help_a_stream_that_keeps_the_promise_to_an_alarm() -> None:
    random = np.random.default_rng(2)
    wrong = np.zeros((300, 4000), dtype=np.bool_)
    streak = np.zeros(300, dtype=np.int64)
    for at in range(4000):
        # The risk depends on what came before, and is never above what is promised.
        wrong[:, at] = random.random(300) < np.where(streak % 3 == 0, 0.05, 0.03)
        streak = np.where(wrong[:, at], streak + 1, 0)
    assert (alarm_capital(wrong, 0.05).max(axis=-1) >= 1 / DELTA).mean() <= at_most(DELTA, 300)


@pytest.mark.parametrize(
    ("before", "times", "within"),
    [(0, 2, 450), (0, 4, 80), (500, 2, 900), (500, 4, 160), (2000, 2, 1050), (2000, 4, 180)],
)
def test_a_jump_of_the_risk_is_found_within_a_stated_number_of_audits(
    before: int, times: int, within: int
) -> None:
    """Nine streams of ten; `before` audits at half of the promised risk of 5 % come first."""
    random = np.random.default_rng(3)
    good = random.random((200, before)) < 0.025
    bad = random.random((200, within)) < times * 0.05
    capital = alarm_capital(np.concatenate([good, bad], axis=1), 0.05)
    found = (capital >= 1 / DELTA).any(axis=1).mean()
    early = (capital[:, :before] >= 1 / DELTA).any(axis=1).mean() if before else 0.0
    assert early <= 0.02
    assert found >= 0.9 - 3 * np.sqrt(0.09 / 200)


def test_one_stream_gives_what_many_give_together() -> None:
    wrong = np.random.default_rng(4).random((3, 400)) < 0.3
    together = alarm_capital(wrong, 0.1)
    for stream, capital in zip(wrong, together, strict=True):
        assert np.allclose(alarm_capital(stream, 0.1), capital)
        reached = first_alarm(stream, 0.1, DELTA)
        assert reached is not None
        assert capital[reached - 1] >= 20 > capital[: reached - 1].max(initial=0)
    assert first_alarm(np.zeros(500, dtype=np.bool_), 0.1, DELTA) is None
    assert first_alarm(np.zeros(0, dtype=np.bool_), 0.1, DELTA) is None


def test_the_capital_is_a_martingale_where_the_risk_is_exactly_the_promised_one() -> None:
    # All streams of length 10, weighed by how likely they are.
    streams = (np.arange(1024)[:, None] >> np.arange(10)) & 1 == 1
    weight = 0.2 ** streams.sum(axis=1) * 0.8 ** (10 - streams.sum(axis=1))
    assert weight @ alarm_capital(streams, 0.2) == pytest.approx(np.ones(10))


@pytest.mark.parametrize("mean", [0.02, 0.3, 0.95])
def test_a_confidence_sequence_holds_the_mean_at_all_times_at_once(mean: float) -> None:
    values = (np.random.default_rng(5).random((400, 1500)) < mean).astype(np.float64)
    capital = hedged_capital(values, np.array([mean]), DELTA)[..., 0]
    assert (capital.max(axis=-1) >= 1 / DELTA).mean() <= at_most(DELTA, 400)


def test_a_confidence_sequence_narrows_to_the_mean() -> None:
    values = np.random.default_rng(6).beta(2, 6, size=4000)
    width = []
    for n in (30, 300, 4000):
        found = confidence_sequence(values[:n], DELTA)
        assert found.low < 0.25 < found.high
        width.append(found.high - found.low)
    assert width[0] > 2 * width[1] > 4 * width[2]
    assert width[2] < 0.03


def test_no_outcomes_and_outcomes_all_alike_have_an_interval() -> None:
    nothing = confidence_sequence(np.array([]), DELTA)
    assert (nothing.low, nothing.high) == (0, 1)
    never, always = (confidence_sequence(np.full(200, value), DELTA) for value in (0.0, 1.0))
    assert never.low == 0 < never.high < 0.07
    assert 0.93 < always.low < always.high == 1


def test_a_p_value_by_betting_is_rarely_small_where_the_mean_is_at_the_bound() -> None:
    random = np.random.default_rng(7)
    losses = random.choice([0.0, 0.5, 1.0], p=[0.05, 0.8, 0.15], size=(400, 500))
    assert np.mean([mean_below(one, 0.55, DELTA) <= DELTA for one in losses]) <= at_most(DELTA, 400)
    assert np.mean([mean_below(one, 0.6, DELTA) <= DELTA for one in losses]) > 0.95
    assert mean_below(np.array([]), 0.5, DELTA) == 1.0


def test_what_is_surely_exceeded_passes_the_promise_when_the_alarm_is_raised() -> None:
    random = np.random.default_rng(0)
    for rate in (0.02, 0.1, 0.3, 0.6):
        wrong = random.random(60) < rate
        raised = bool((alarm_capital(wrong, 0.05) >= 20).any())
        assert (surely_above(wrong, 0.05) >= 0.05 - 2e-3) is raised


def test_a_rise_is_found_near_where_it_was_and_at_the_start_where_it_was_always() -> None:
    random = np.random.default_rng(3)
    early, late = random.random(400) < 0.03, random.random(60) < 0.4
    assert abs(likely_rise(np.concatenate([early, late]), 0.05) - 400) <= 12
    assert likely_rise(late, 0.05) <= 3
