from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.distill.adaptive import select
from limbeck.models.turns import FEATURES, is_unsure
from limbeck.types import Again

N = 250


def planted(seed: int, first: float, second: float, tells: float) -> tuple[Again, dict[str, float]]:
    """A selector fitted on items of which the orders get a share right; the margin `tells` which."""
    rng = np.random.default_rng(seed)
    right = rng.random(N) < first
    signals = rng.normal(size=(N, len(FEATURES)))
    signals[:, 2] += tells * right
    tokens = np.full(N, 3.0), np.full(N, 60.0)
    again, report = select(signals, right, rng.random(N) < second, *tokens)
    return again, report.model_dump()


def test_where_the_first_answer_shows_its_doubts_the_choice_beats_both_orders() -> None:
    _, found = planted(0, first=0.6, second=0.8, tells=6.0)
    assert found["chosen"] > max(found["answer_first"], found["think_first"]) + 0.05
    assert found["oracle"] - 0.03 < found["chosen"] <= found["oracle"]
    assert found["thinking"] == pytest.approx(0.4, abs=0.08)
    assert 3 < found["tokens_chosen"] < 63


def test_where_thinking_never_helps_the_student_does_not_think() -> None:
    again, found = planted(1, first=0.9, second=0.0, tells=0.0)
    assert again.threshold == 0.0
    assert found["thinking"] < 0.02
    assert found["tokens_chosen"] == pytest.approx(found["tokens_answer_first"], abs=1.5)


def test_where_nothing_tells_the_better_order_is_taken_throughout() -> None:
    _, found = planted(2, first=0.3, second=1.0, tells=0.0)
    assert (found["thinking"], found["chosen"]) == (1.0, 1.0)


@pytest.mark.parametrize("first", [0.0, 1.0])
def test_items_of_one_kind_still_give_a_selector(first: float) -> None:
    again, found = planted(3, first=first, second=0.5, tells=0.0)
    assert set(again.weights) == {0.0}
    assert found["chosen"] == max(first, found["think_first"])


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.floats(0.1, 0.9), st.floats(0.1, 0.9), st.floats(0, 4))
def test_no_choice_beats_the_oracle(seed: int, first: float, second: float, tells: float) -> None:
    _, found = planted(seed, first, second, tells)
    assert found["chosen"] <= found["oracle"]
    assert found["oracle"] >= max(found["answer_first"], found["think_first"])
    total = found["tokens_answer_first"] + found["thinking"] * 60
    assert found["tokens_chosen"] == pytest.approx(total)


def test_what_is_kept_in_the_card_decides_as_the_fit_did() -> None:
    from limbeck.models.local import Said
    from limbeck.models.turns import features

    again = Again(
        control="think",
        order="rationale_answer",
        center=(0.0,) * len(FEATURES),
        scale=(1.0,) * len(FEATURES),
        weights=(0.0, 0.0, 1.0, 0.0, 0.0),
        bias=-2.0,
        threshold=0.5,
    )

    def said(margin: float, answer: str | None = "yes") -> Said:
        return Said(answer, None, (-0.1, -0.2), margin, 0.0, 2, answer is not None)

    assert features(said(1.0), "abc") == pytest.approx((-0.15, -0.3, 1.0, 2.0, np.log(4)))
    assert is_unsure(said(1.9), "abc", again)
    assert not is_unsure(said(2.1), "abc", again)
    assert is_unsure(said(9.0, answer=None), "abc", again)
