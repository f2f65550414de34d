from __future__ import annotations

from limbeck.capture.elicit.body import found, mentions, raised, replaced, small_limit

BODY = {"a": [{"b": 1}, {"c": "needle here"}], "max": 20}


def test_a_place_is_found_or_none() -> None:
    assert found(BODY, ("a", 0, "b")) == 1
    for path in (("a", 2), ("a", "b"), ("x",), ("a", 0, "b", "c"), ("a", -1)):
        assert found(BODY, path) is None


def test_a_replacement_copies_only_its_path() -> None:
    changed = replaced(BODY, ("a", 0, "b"), 2)
    assert changed == {"a": [{"b": 2}, {"c": "needle here"}], "max": 20}
    assert found(BODY, ("a", 0, "b")) == 1
    assert changed["a"][1] is BODY["a"][1]  # type: ignore[index]  # a list, as written above


def test_a_word_is_found_in_any_text() -> None:
    assert mentions(BODY, "needle")
    assert not mentions(BODY, "max")


def test_only_limits_that_are_set_are_raised() -> None:
    assert raised({"max": 20, "least": None, "most": True}, ("max", "least", "most"), 5) == {
        "max": 25,
        "least": None,
        "most": True,
    }
    assert small_limit({"max": 20}, ("max", "other")) is None
    assert small_limit({"max": 20, "other": 3}, ("max", "other")) == 3
