from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.curate.assess.chance import (
    chance_index,
    entropy_bits,
    labels_for_promise,
    mean_estimate,
    monthly_growth,
    proportion,
    stability_index,
)

counts = st.lists(st.integers(0, 5000), min_size=2, max_size=20)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_proportion_lies_within_its_interval(pair: tuple[int, int]) -> None:
    right, n = pair
    found = proportion(right, n)
    assert found is not None
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 0


def test_the_interval_is_that_of_wilson() -> None:
    found = proportion(8, 10)
    assert found is not None
    # Wilson 1927, by hand for 8 of 10.
    assert found.low == pytest.approx(0.4902, abs=1e-4)
    assert found.high == pytest.approx(0.9433, abs=1e-4)
    assert proportion(0, 0) is None


@given(counts)
def test_entropy_is_least_for_one_label_and_most_for_equal_ones(some: list[int]) -> None:
    assert -1e-12 <= entropy_bits(some) <= math.log2(len(some)) + 1e-9
    assert entropy_bits([7] * len(some)) == pytest.approx(math.log2(len(some)))
    assert entropy_bits([9, 0]) == 0.0


@given(counts, st.randoms())
def test_the_stability_index_is_zero_for_the_same_and_knows_no_direction(
    some: list[int], random: object
) -> None:
    before = np.asarray(some)
    assert stability_index(before, before) == pytest.approx(0.0, abs=1e-9)
    after = before[::-1].copy()
    assert stability_index(before, after) >= 0
    assert stability_index(before, after) == pytest.approx(stability_index(after, before))


def test_chance_rarely_makes_an_index_above_its_bound() -> None:
    random = np.random.default_rng(0)
    shares = np.full(10, 0.1)
    draws = [
        stability_index(random.multinomial(400, shares), random.multinomial(400, shares))
        for _ in range(400)
    ]
    above = np.mean([draw > chance_index(400, 400, 10) for draw in draws])
    # One in a hundred is meant; 400 draws tell that from one in twenty.
    assert above <= 0.03


@given(st.integers(-30, 60), st.integers(5, 12))
def test_growth_is_found_where_it_is_exact(percent: int, weeks: int) -> None:
    weekly = (1 + percent / 100) ** (7 / 30.4375)
    found = monthly_growth([round(1e6 * weekly**week) for week in range(weeks)])
    assert found is not None
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx(percent / 100, abs=1e-3)


@given(st.lists(st.integers(0, 3000), max_size=30))
def test_growth_of_any_weeks_is_finite_or_unknown(weeks: list[int]) -> None:
    found = monthly_growth(weeks)
    if found is None:
        assert len(weeks) < 4 or sum(weeks) == 0
    else:
        assert all(map(math.isfinite, (found.low, found.value, found.high)))


@given(st.lists(st.floats(0, 100), min_size=2, max_size=50))
def test_a_mean_comes_from_its_sums(values: list[float]) -> None:
    found = mean_estimate(sum(values), sum(v * v for v in values), len(values))
    assert found is not None
    assert found.value == pytest.approx(np.mean(values))
    assert found.low <= found.value <= found.high


def test_a_stricter_promise_takes_more_labels() -> None:
    needed = [labels_for_promise(risk, 0.95) for risk in (0.2, 0.1, 0.05, 0.02)]
    assert needed == sorted(needed)
    assert labels_for_promise(0.05, 0.99) > labels_for_promise(0.05, 0.95)
    # No error among n calls promises 5 % from n = 59 on; some errors must be allowed for.
    assert needed[2] > 59
