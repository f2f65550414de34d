from __future__ import annotations

from dataclasses import replace

import pytest

from limbeck.capture.sandbox.refund_policy import Facts, work

PLAIN = Facts("lamp", False, "home", 60, 20, member=False, opened=False, damaged=False, new=False)


@pytest.mark.parametrize(
    ("changes", "label"),
    [
        ({}, "full_refund"),
        ({"opened": True}, "partial_refund"),
        ({"opened": True, "damaged": True}, "full_refund"),
        ({"days": 30}, "full_refund"),
        ({"days": 31}, "store_credit"),
        ({"days": 45}, "store_credit"),
        ({"days": 46}, "deny"),
        ({"days": 45, "member": True}, "full_refund"),
        ({"days": 40, "damaged": True}, "full_refund"),
        ({"days": 21, "opened": True, "electronics": True}, "store_credit"),
        ({"days": 45, "opened": True, "electronics": True}, "deny"),
        (
            {"days": 45, "opened": True, "electronics": True, "member": True, "damaged": True},
            "full_refund",
        ),
        ({"new": True, "price": 100}, "exchange"),
        ({"new": True, "price": 101}, "full_refund"),
        ({"new": True, "price": 150, "member": True}, "exchange"),
        ({"new": True, "price": 130, "damaged": True}, "exchange"),
        ({"new": True, "price": 181, "damaged": True, "member": True}, "full_refund"),
        ({"new": True, "price": 101, "opened": True}, "partial_refund"),
        ({"new": True, "days": 31}, "store_credit"),
    ],
)
def test_the_policy_at_its_thresholds(changes: dict[str, object], label: str) -> None:
    assert work(replace(PLAIN, **changes))[1] == label  # type: ignore[arg-type]  # by field name


def test_an_error_in_a_sum_is_carried_on() -> None:
    steps, label = work(replace(PLAIN, member=True, days=46), off={"window": 1})
    assert steps[1:] == ("window 30 + 15 = 46.", "days 46 <= 46, in time.", "so full_refund.")
    assert label == "full_refund"


def test_an_inverted_comparison_is_carried_on() -> None:
    steps, label = work(replace(PLAIN, days=31), misjudge="days")
    assert steps[2:] == ("days 31 <= 30, in time.", "so full_refund.")
    assert label == "full_refund"
