from __future__ import annotations

import threading

import pytest

from limbeck.capture import correlate, task
from limbeck.capture.sdk.scope import Scope, current_scope


def test_an_inner_block_adds_to_the_outer_one_and_ends_with_it() -> None:
    with task("refunds"), correlate("a", subject="s"):
        with correlate("b"):
            assert current_scope() == Scope("b", "s", "refunds")
        assert current_scope() == Scope("a", "s", "refunds")
    assert current_scope() == Scope()


def test_a_block_ends_with_an_error_too() -> None:
    with pytest.raises(RuntimeError), correlate("a"):
        raise RuntimeError
    assert current_scope() == Scope()


def test_a_new_thread_begins_without_a_scope() -> None:
    seen: list[Scope] = []
    with correlate("a"):
        thread = threading.Thread(target=lambda: seen.append(current_scope()))
        thread.start()
        thread.join()
    assert seen == [Scope()]


@pytest.mark.parametrize("key", ["", " a", "a\n", "a\r\nx-api-key: b", "schlüssel"])
def test_a_key_that_no_header_can_carry_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"), correlate(key):
        pass
