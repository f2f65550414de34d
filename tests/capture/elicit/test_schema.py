from __future__ import annotations

from typing import Any

import pytest

from limbeck.capture.elicit.schema import takes_field, with_field, without_field

STRICT: dict[str, Any] = {
    "type": "object",
    "properties": {"b": {"type": "string"}, "a": {"type": "number"}},
    "required": ["b", "a"],
    "additionalProperties": False,
}


def test_the_property_stands_first_and_is_required() -> None:
    longer = with_field(STRICT, "why", "Say why.")
    assert list(longer["properties"]) == ["why", "b", "a"]
    assert longer["properties"]["why"] == {"type": "string", "description": "Say why."}
    assert longer["required"] == ["why", "b", "a"]
    assert longer["additionalProperties"] is False
    assert list(STRICT["properties"]) == ["b", "a"]


@pytest.mark.parametrize("schema", [STRICT, {"type": "object", "properties": {}}])
def test_the_schema_comes_back_as_it_was(schema: dict[str, Any]) -> None:
    assert without_field(with_field(schema, "why", "Say why."), "why", "Say why.") == schema


def test_a_property_of_the_clients_own_stays() -> None:
    own = {"type": "object", "properties": {"why": {"type": "string", "description": "Mine."}}}
    assert without_field(own, "why", "Say why.") is own
    assert without_field(None, "why", "Say why.") is None


@pytest.mark.parametrize(
    "schema",
    [
        None,
        {},
        {"type": "array", "items": STRICT},
        {"type": ["object", "null"], "properties": {}},
        {"type": "object"},
        {"type": "object", "properties": {"why": {}}},
        {"$ref": "#/$defs/x", **STRICT},
        {**STRICT, "anyOf": [STRICT]},
        {**STRICT, "maxProperties": 2},
    ],
)
def test_a_schema_that_may_forbid_it_takes_no_property(schema: Any) -> None:
    assert not takes_field(schema, "why")
    assert takes_field(STRICT, "why")
