from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.curate.samplers import SAMPLERS, Candidate, sample
from limbeck.errors import ConfigError

CHAINS = st.lists(
    st.builds(
        Candidate,
        text=st.text(max_size=40),
        correct=st.sampled_from([True, False, None]),
        log_likelihood=st.none() | st.floats(-9, 0),
    ),
    max_size=8,
    unique_by=lambda chain: chain.text,
)


@pytest.mark.parametrize("name", SAMPLERS)
@given(chains=CHAINS, budget=st.integers(0, 10), seed=st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_a_sampler_keeps_what_the_budget_allows_in_whatever_order_the_chains_stand(
    name: str, chains: list[Candidate], budget: int, seed: int
) -> None:
    kept = sample(name, chains, budget, seed)
    assert kept == sorted(set(kept))
    allowed = [c for c in chains if name != "shortest_correct" or c.correct is not False]
    assert len(kept) == min(budget, len(allowed))
    turned = list(reversed(chains))
    again = sample(name, turned, budget, seed)
    assert {turned[place].text for place in again} == {chains[place].text for place in kept}


def chains(*texts: str) -> list[Candidate]:
    return [Candidate(text=text) for text in texts]


def test_the_diverse_ones_are_those_that_differ() -> None:
    given = chains("a b c d", "a b c e", "x y z w", "a b c d f")
    for seed in range(5):
        assert 2 in sample("diverse", given, 2, seed)


def test_the_shortest_right_one_comes_before_what_nobody_knows_and_wrong_ones_never() -> None:
    given = [
        Candidate(text="one two three", correct=True),
        Candidate(text="one", correct=False),
        Candidate(text="one two", correct=None),
        Candidate(text="one two three four", correct=True),
    ]
    assert sample("shortest_correct", given, 1) == [0]
    assert sample("shortest_correct", given, 9) == [0, 2, 3]


def test_the_likeliest_are_those_the_teacher_held_likely() -> None:
    given = [
        Candidate(text="a", log_likelihood=-3),
        Candidate(text="b"),
        Candidate(text="c", log_likelihood=-1),
    ]
    assert sample("likeliest", given, 2) == [0, 2]


def test_mixed_levels_have_the_shortest_and_the_longest() -> None:
    given = chains(*("word " * n for n in (5, 1, 9, 3, 7)))
    assert sample("mixed_levels", given, 3) == [0, 1, 2]


def test_an_unknown_sampler_is_refused() -> None:
    with pytest.raises(ConfigError, match="wanted one of random"):
        sample("best", chains("a"), 1)
