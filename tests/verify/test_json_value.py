from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from limbeck.types import AnswerForm, content_hash
from limbeck.verify.json_value import fault, judge, normalize

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "total": {"type": "number"},
        "paid": {"type": "boolean"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    },
    "required": ["city", "total"],
    "additionalProperties": False,
    "$defs": {"line": {"type": "integer", "minimum": 1}},
}
FORM = AnswerForm(kind="json", json_schema=SCHEMA)
LOOSE = AnswerForm(kind="json")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (' {"total": 4, "city": "Bonn"} ', '{"city":"Bonn","total":4}'),
        ('```json\n{"total": 4.5, "city": "Bonn"}\n```', '{"city":"Bonn","total":4.5}'),
        ('{"total": 4, "city": "Bad\nHonnef"}', '{"city":"Bad\\nHonnef","total":4}'),
        ('{"total": 4}', None),
        ('{"total": "4", "city": "Bonn"}', None),
        ('{"total": 4, "total": 5, "city": "Bonn"}', None),
        ('{"total": NaN, "city": "Bonn"}', None),
        ('{"total": 1e999, "city": "Bonn"}', None),
        ('{"total": 4, "city": "Bonn"', None),
        ("Bonn", None),
        ("", None),
        ("[" * 100_000, None),
    ],
)
def test_json_of_the_schema_is_in_form_and_nothing_is_guessed(
    text: str, wanted: str | None
) -> None:
    assert normalize(FORM, text) == wanted
    assert (fault(FORM, text) is None) == (wanted is not None)


def test_a_fault_names_its_place() -> None:
    said = fault(FORM, '{"city": "Bonn", "total": 3, "lines": [1, 0]}')
    assert said == "is not of the schema: lines.1: 0 is less than the minimum of 1"


def test_the_reason_says_which_fields_are_wrong() -> None:
    truth = '{"city": "Bonn", "total": 4, "paid": true}'
    assert judge(FORM, '{"paid": true, "total": 4.0, "city": "bonn."}', truth).score == 1.0
    said = judge(FORM, '{"city": "Bonn", "total": 5}', truth)
    assert said.score == 0.0
    assert said.reason == (
        "1 of 3 fields are right: paid is left out; right is true | total is 5; right is 4"
    )


def test_numbers_within_the_tolerance_are_right_and_true_is_not_one() -> None:
    near = LOOSE.model_copy(update={"tolerance": 0.1})
    assert judge(near, '{"a": [1.05]}', '{"a": [1]}').score == 1.0
    assert judge(LOOSE, '{"a": [1.05]}', '{"a": [1]}').score == 0.0
    assert judge(near, '{"a": true}', '{"a": 1}').score == 0.0
    assert judge(LOOSE, "[1, 2]", "[2, 1]").score == 0.0


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(), one, max_size=3),
        max_leaves=8,
    )
)  # fmt: skip
def test_every_value_is_equal_to_itself_and_its_form_is_stable(value: Any) -> None:
    text = json.dumps(value, indent=1)
    formed = normalize(LOOSE, text)
    assert formed is not None
    assert normalize(LOOSE, formed) == formed
    assert judge(LOOSE, text, formed).score == 1.0


@given(st.text(max_size=40))
def test_no_text_makes_it_fail(text: str) -> None:
    normalize(FORM, text)
    judge(FORM, text, text)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "text", "json_schema": {"type": "object"}}, "wanted 'json'"),
        ({"kind": "json", "json_schema": {"type": "objekt"}}, "is no JSON Schema"),
        ({"kind": "json", "json_schema": {"pattern": "["}}, "is no JSON Schema"),
        ({"kind": "json", "json_schema": {"$ref": "https://example.org/a"}}, "does not hold"),
        ({"kind": "json", "json_schema": {"$ref": "#/$defs/a"}}, "does not hold"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        AnswerForm.model_validate(given)


def test_forms_without_a_schema_are_written_as_before() -> None:
    form = AnswerForm(kind="number")
    written = form.model_dump(mode="json")
    assert written == {"kind": "number", "choices": [], "tolerance": 0.0}
    assert content_hash(written) == content_hash(AnswerForm(**written).model_dump(mode="json"))
    assert AnswerForm.model_validate(FORM.model_dump(mode="json")) == FORM
