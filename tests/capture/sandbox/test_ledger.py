from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.capture.sandbox import ledger
from limbeck.capture.sandbox.ledger import SANDBOX, LedgerKnobs, solve
from limbeck.capture.sandbox.wording import read
from limbeck.errors import ConfigError, DataError


def sentences(text: str) -> list[str]:
    """The sentences of a problem without their days."""
    return [s.strip().rpartition(": ")[2] for s in re.findall(r"[^.?]+(?=[.?])", text)]


def test_a_problem_is_worked_step_by_step() -> None:
    item = solve(
        "mia has 12 coins. mon: mia finds 7 more. ben starts with 50 coins. tue: mia gives 4 coins "
        "to ben. wed: mia doubles the coins. thu: ben gives mia 2. how many coins does mia have now?"
    )
    assert item.steps == (
        "mon: 12 + 7 = 19",
        "tue: 19 - 4 = 15",
        "wed: 15 * 2 = 30",
        "thu: 30 + 2 = 32",
    )
    assert item.truth == "32"


def test_a_gift_counts_for_whoever_is_asked_about() -> None:
    story = (
        "ann has 9 eggs. ben has 3 eggs. mon: ann gives 4 eggs to ben. "
        "how many eggs does {} have now?"
    )
    assert solve(story.format("ann")).steps == ("mon: 9 - 4 = 5",)
    assert solve(story.format("ben")).steps == ("mon: 3 + 4 = 7",)


@pytest.mark.parametrize("shift", [None, *SANDBOX.shifts])
def test_every_equation_holds_and_starts_where_the_last_one_ended(shift: str | None) -> None:
    for item in SANDBOX.generate(200, 3, knobs=LedgerKnobs(scale=0.3), shift=shift):
        before = None
        for step in item.steps:
            _, a, sign, b, equals, c = step.split()
            assert equals == "="
            value = {"+": int(a) + int(b), "-": int(a) - int(b), "*": int(a) * int(b)}.get(sign)
            assert int(c) == (value if value is not None else int(a) / int(b))
            assert before in (None, a)
            before = c
        assert item.truth == before


@settings(max_examples=25, deadline=None)
@given(
    steps=st.tuples(st.integers(2, 4), st.integers(0, 2)),
    top=st.integers(20, 500),
    amount=st.integers(5, 99),
    scale=st.floats(0, 1),
)
def test_the_knobs_are_kept(steps: tuple[int, int], top: int, amount: int, scale: float) -> None:
    low, high = steps[0], steps[0] + steps[1]
    knobs = LedgerKnobs(low, high, top, amount, scale)
    for item in SANDBOX.generate(10, 1, knobs=knobs):
        assert low <= len(item.steps) <= high
        assert item.meta["largest"] <= top
        for _, a, sign, b, _, c in (step.split() for step in item.steps):
            assert 0 <= int(c) <= top
            assert sign in "*/" or 1 <= int(b) <= amount, (a, sign, b)
        assert solve(item.input).truth == item.truth


def test_steps_are_doubled_or_halved_only_where_the_knob_says_so() -> None:
    assert not any(item.meta["scaled"] for item in SANDBOX.generate(300, 1))
    scaled = SANDBOX.generate(300, 1, knobs=LedgerKnobs(scale=0.5))
    signs = Counter(step.split()[2] for item in scaled for step in item.steps)
    assert min(signs[sign] for sign in "+-*/") > 100


def test_answers_are_spread_over_the_range() -> None:
    answers = Counter(int(item.truth) for item in SANDBOX.generate(2_000, 1))
    assert max(answers.values()) < 100
    assert len(answers) > 45


def test_held_out_wordings_and_entities_stand_in_no_training_text() -> None:
    banks = (ledger.START, ledger.GAIN, ledger.LOSS, ledger.GIVE, ledger.QUESTION)
    foreign = [w for bank in banks for w in bank if w.held_out] + list(ledger.START_LAST)
    held_out = {*ledger.HELD_OUT_NAMES, *ledger.HELD_OUT_THINGS}
    assert not held_out & {*ledger.NAMES, *ledger.THINGS}
    for item in SANDBOX.generate(400, 5, knobs=LedgerKnobs(scale=0.2)):
        assert not held_out & set(re.findall("[a-z]+", item.input))
        for sentence in sentences(item.input):
            assert read(sentence, foreign) is None, sentence


def test_each_shift_shows_what_it_is_named_for() -> None:
    known = [
        w
        for bank in (ledger.START, ledger.GAIN, ledger.LOSS, ledger.GIVE, ledger.QUESTION)
        for w in bank
        if not w.held_out
    ]
    for item in SANDBOX.generate(100, 1, shift="unseen-wording"):
        assert not any(read(sentence, known) for sentence in sentences(item.input))
    for item in SANDBOX.generate(100, 1, shift="unseen-entities"):
        words = set(re.findall("[a-z]+", item.input))
        assert not words & {*ledger.NAMES, *ledger.THINGS}
    assert {i.meta["steps"] for i in SANDBOX.generate(50, 1, shift="one-more-step")} == {7}
    for item in SANDBOX.generate(100, 1, shift="reordered"):
        *_, last, _ = sentences(item.input)
        assert read(last, ledger.START_LAST)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mia has 3 eggs. mon: mia eats 2. how many eggs does mia have now?", "'mon: mia eats 2.'"),
        (
            "mia has 3 eggs. mia finds 2 more. how many eggs does mia have now?",
            "'mia finds 2 more.'",
        ),
        ("mia has 3 eggs. mon: mia finds 2 more.", "got 0 questions"),
        ("mia has 3 eggs. how many eggs does mia have now?", "0 steps of 'mia'"),
        ("mon: mia finds 2 more. how many eggs does mia have now?", "got 0 starting balances"),
        ("mia has 3 eggs. mon: mia loses 5. how many eggs does mia have now?", "falls below zero"),
        (
            "mia has 3 eggs. mon: mia halves the eggs. how many eggs does mia have now?",
            "breaks in two",
        ),
    ],
)
def test_an_unreadable_problem_is_refused_with_the_place(text: str, says: str) -> None:
    with pytest.raises(DataError, match=re.escape(says)):
        solve(text)


@pytest.mark.parametrize(
    "knobs",
    [
        {"min_steps": 1},
        {"min_steps": 5, "max_steps": 4},
        {"max_steps": 7},
        {"top": 2},
        {"scale": 1.5},
    ],
)
def test_knobs_out_of_range_are_refused(knobs: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="wanted"):
        LedgerKnobs(**knobs)  # type: ignore[arg-type]  # wrong on purpose
