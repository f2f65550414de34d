from __future__ import annotations

import random
import re
from collections import Counter

import pytest

from limbeck.capture.sandbox.clauses import (
    CHATTER,
    CLAUSES,
    DISTRACTORS,
    HELD_OUT_ITEMS,
    ITEMS,
    SEPARATORS,
    TURNED,
)
from limbeck.capture.sandbox.refund_policy import LABELS
from limbeck.capture.sandbox.refunds import SANDBOX, RefundKnobs, solve
from limbeck.capture.sandbox.wording import read
from limbeck.errors import ConfigError, DataError

ALL_WORDINGS = [
    w for bank in (*CLAUSES.values(), *TURNED.values(), CHATTER, DISTRACTORS) for w in bank
]


def test_a_request_is_decided_from_its_text_with_the_sums_written_out() -> None:
    item = solve(
        "order: item camera, kind electronics, price 120, days 48, member yes.\n"
        "message: hello. i used it once, but it came with a crack; please pay me back."
    )
    assert item.steps == (
        "member yes, electronics yes, opened yes, damaged yes, wants money.",
        "window 30 + 15 + 10 - 10 = 45.",
        "days 48 > 45, late.",
        "grace 45 + 15 = 60.",
        "days 48 <= 60, a little.",
        "so store_credit.",
    )
    assert item.truth == "store_credit"


def test_what_the_customer_does_not_mention_is_not_so() -> None:
    item = solve(
        "order: item lamp, kind home, price 9, days 3, member no.\nmessage: please pay me back."
    )
    assert item.steps[0].endswith("opened no, damaged no, wants money.")


def test_what_happened_to_other_orders_does_not_count() -> None:
    item = solve(
        "order: item lamp, kind home, price 9, days 3, member no.\n"
        "message: a friend of mine got a broken one after 40 days. i want a new one, and "
        "my sister opened hers and got 12 euros back."
    )
    assert item.steps[0].endswith("opened no, damaged no, wants new.")


def test_every_wording_is_read_with_its_own_meaning_and_no_other() -> None:
    for wording in ALL_WORDINGS:
        for seed in range(40):
            text = wording.say(random.Random(seed), {"item": "lamp", "n": 12})
            found = [w.meaning for w in ALL_WORDINGS if read(text, [w])]
            assert found == [wording.meaning], text
            assert not any(separator in text for separator in SEPARATORS), text


def test_held_out_clauses_and_items_stand_in_no_training_text() -> None:
    held = [w for bank in CLAUSES.values() for w in bank if w.held_out]
    foreign = [*held, *DISTRACTORS, *(w for bank in TURNED.values() for w in bank)]
    held_items = {item for item, _ in HELD_OUT_ITEMS}
    assert not held_items & {item for item, _ in ITEMS}
    separators = "|".join(map(re.escape, SEPARATORS))
    for item in SANDBOX.generate(600, 11):
        message = item.input.partition("message: ")[2].removesuffix(".")
        for clause in re.split(separators, message):
            assert not any(read(clause, [w]) for w in foreign), clause
        assert not held_items & set(re.findall("[a-z]+", item.input))
        assert item.meta["window_terms"] < 4


def test_later_inputs_have_turned_clauses_and_are_read_by_the_same_solver() -> None:
    assert SANDBOX.later is not None
    assert set(TURNED) == set(CLAUSES)
    items = SANDBOX.generate(300, 5, knobs=SANDBOX.later.knobs)
    turned = [item for item in items if "turned" in item.group]
    assert 0.5 < len(turned) / len(items) < 0.9
    assert all(solve(item.input).truth == item.truth for item in turned)
    assert min(Counter(item.truth for item in items).values()) > 30


def test_each_shift_shows_what_it_is_named_for() -> None:
    held = [w for bank in CLAUSES.values() for w in bank if w.held_out]
    known = [w for bank in CLAUSES.values() for w in bank if not w.held_out]
    separators = "|".join(map(re.escape, SEPARATORS))
    for item in SANDBOX.generate(100, 1, shift="unseen-wording"):
        clauses = re.split(separators, item.input.partition("message: ")[2].removesuffix("."))
        assert not any(read(clause, known) for clause in clauses)
        assert any(read(clause, held) for clause in clauses)
    entities = SANDBOX.generate(100, 1, shift="unseen-entities")
    assert {item.meta["item"] for item in entities} <= {item for item, _ in HELD_OUT_ITEMS}
    longer = SANDBOX.generate(100, 1, shift="one-more-step")
    assert {item.meta["window_terms"] for item in longer} == {4}
    for item in SANDBOX.generate(100, 1, shift="reordered"):
        assert item.input.startswith("message: ")
        assert solve("\n".join(reversed(item.input.split("\n")))).truth == item.truth


def test_the_message_decides_and_not_the_order_line_alone() -> None:
    labels: dict[str, set[str]] = {}
    order = "order: item phone, kind electronics, price 90, days 28, member no.\nmessage: "
    for message in (
        "i used it once. i want a refund.",
        "nobody has used it. i want a refund.",
        "nobody has used it. i want a new one.",
    ):
        labels.setdefault(order, set()).add(solve(f"{order}{message}").truth)
    assert labels[order] == {"store_credit", "full_refund", "exchange"}


def test_labels_stay_balanced_over_all_knobs() -> None:
    for knobs in (RefundKnobs(near=1, silence=0, chatter=1), RefundKnobs(near=0, max_days=90)):
        counts = Counter(item.truth for item in SANDBOX.generate(600, 2, knobs=knobs))
        assert all(0.1 <= counts[label] / 600 <= 0.35 for label in LABELS)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("order: item lamp.\nmessage: thanks.", "lacks kind, price, days, member"),
        (
            "order: item lamp, kind home, price 9, days 3, member maybe.\nmessage: thanks.",
            "'member maybe'",
        ),
        (
            "order: item lamp, kind home, price 9, days 3, days 4, member no.\nmessage: thanks.",
            "'days 4'",
        ),
        (
            "order: item lamp, kind home, price 9, days 3, member no.\nmessage: it ate my cat.",
            "'it ate my cat'",
        ),
        (
            "order: item lamp, kind home, price 9, days 3, member no.\n"
            "message: please pay me back. i want a new one.",
            "speaks twice about the fact 'wants'",
        ),
        ("message: thanks.\nmessage: thanks.", "wanted one line 'order: ...'"),
    ],
)
def test_an_unreadable_request_is_refused_with_the_place(text: str, says: str) -> None:
    with pytest.raises(DataError, match=re.escape(says)):
        solve(text)


def test_knobs_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"near is 1\.5"):
        RefundKnobs(near=1.5)
    with pytest.raises(ConfigError, match="max_days 10"):
        RefundKnobs(max_days=10)
