from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.capture.detectors import table
from limbeck.capture.redact import Redactor, redactor_for
from limbeck.errors import ConfigError, MissingExtraError
from limbeck.types import Provenance, Rationale, RedactForm, Trace, canonical_json, text_hash

ALL = RedactForm(kinds=("email", "phone", "card", "iban", "key"))
REDACTOR = Redactor(ALL, RedactForm(patterns={"badge": r"B-\d{4}"}))

VALUES = [
    "bob@example.com",
    "+49 30 12345678",
    "(415) 555-0132",
    "4242 4242 4242 4242",
    "4242424242424242",
    "DE89 3704 0044 0532 0130 00",
    "sk-proj-a8Kd93jLq02mXz71",
    "password=hunter22",
    "B-1234",
]
SIGNS = [
    " ",
    "\n",
    "\t",
    '"',
    "\\",
    "/",
    "-",
    ".",
    ",",
    ":",
    "[",
    "]",
    "{",
    "}",
    "(",
    "@",
    "+",
    "0",
    "1",
]
PIECES = st.sampled_from(
    [*VALUES, *SIGNS, "[EMAIL_1]", "token=", "tel ", "\u200b", "é", "４", "\ud800", "x"]
)
MIXED = st.lists(PIECES | st.text(max_size=8), max_size=12).map("".join)


@pytest.fixture
def hook() -> Iterator[ModuleType]:
    """A module `staff_names` whose function `find` a test may set."""
    module = ModuleType("staff_names")
    sys.modules["staff_names"] = module
    yield module
    del sys.modules["staff_names"]


def make(text: str = "Write to bob@example.com.", **fields: Any) -> Trace:
    return Trace(task="t", input=text, provenance=Provenance(source="gateway"), **fields)


def named(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


# ---- placeholders -------------------------------------------------------------------------------


def test_a_value_has_one_placeholder_however_it_is_written() -> None:
    text = "Bob@example.com, bob@EXAMPLE.com, ann@example.com, 415-555-0132, (415) 555-0132"
    redacted, counts = REDACTOR.text(text)
    assert redacted == "[EMAIL_1], [EMAIL_1], [EMAIL_2], [PHONE_1], [PHONE_1]"
    assert counts == {"email": 3, "phone": 2}


def test_a_placeholder_of_the_client_keeps_its_number() -> None:
    assert REDACTOR.text("bob@example.com is not [EMAIL_7]")[0] == "[EMAIL_8] is not [EMAIL_7]"


def test_a_number_of_json_becomes_a_string_of_json() -> None:
    text = '{"card": 4242424242424242, "more": [4242424242424242, -4242424242424242]}'
    redacted = REDACTOR.text(text)[0]
    assert json.loads(redacted) == {"card": "[CARD_1]", "more": ["[CARD_1]", "[CARD_1]"]}
    assert REDACTOR.text("either 4242424242424242, or none")[0] == "either [CARD_1], or none"


@given(MIXED)
@settings(max_examples=400, deadline=None)
def test_a_second_time_changes_nothing(text: str) -> None:
    once, counts = REDACTOR.text(text)
    assert REDACTOR.text(once) == (once, {})
    assert len(once) <= len(text) + 16 * sum(counts.values())
    assert bool(counts) == (once != text)


@given(st.text())
@settings(max_examples=300, deadline=None)
def test_any_text_can_be_read(text: str) -> None:
    redacted, counts = REDACTOR.text(text)
    assert counts or redacted == text


JSON = st.recursive(
    MIXED.filter(lambda text: "\ud800" not in text)
    | st.sampled_from([4242424242424242, -4242424242424242, 378282246310005, 1.5, None, True]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MIXED, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(MIXED, JSON, max_size=3) | st.lists(JSON, max_size=3), st.booleans())
@settings(max_examples=400, deadline=None)
def test_json_is_json_afterwards(value: Any, escaped: bool) -> None:
    for indent in (None, 1):
        json.loads(REDACTOR.text(json.dumps(value, ensure_ascii=escaped, indent=indent))[0])


@given(st.text() | MIXED)
@settings(max_examples=200, deadline=None)
def test_no_value_is_left_beside_another(text: str) -> None:
    redacted = REDACTOR.text(f"{text} bob@example.com {text}")[0]
    assert "bob@example.com" not in redacted


# ---- traces and blobs ---------------------------------------------------------------------------


def test_everything_that_was_said_is_redacted_under_one_numbering() -> None:
    trace = make(
        "From ann@example.com and bob@example.com",
        choices=("ann@example.com", "neither"),
        raw="Answer: bob@example.com",
        thinking="ann@example.com is first",
        blocks=canonical_json([{"input": {"to": "bob@example.com", "card": 4242424242424242}}]),
        rationale=Rationale(text="bob@example.com wrote"),
        answer="bob@example.com",
    )
    redacted = REDACTOR.trace(trace)
    assert redacted.input == "From [EMAIL_1] and [EMAIL_2]"
    assert redacted.choices == ("[EMAIL_1]", "neither")
    assert redacted.raw == "Answer: [EMAIL_2]"
    assert redacted.thinking == "[EMAIL_1] is first"
    assert redacted.blocks == '[{"input":{"card":"[CARD_1]","to":"[EMAIL_2]"}}]'
    assert redacted.rationale == Rationale(text="[EMAIL_2] wrote")
    assert redacted.answer == "[EMAIL_2]"
    assert redacted.redacted == {"card": 1, "email": 8}
    assert "example.com" not in redacted.content


def test_names_stay_so_that_outcomes_find_their_trace() -> None:
    origin = Provenance(source="gateway", correlation="bob@example.com", subject="bob@example.com")
    trace = make().model_copy(update={"provenance": origin})
    assert REDACTOR.trace(trace).provenance == origin


def test_a_trace_without_a_hit_is_the_same_object() -> None:
    trace = make("Nothing of the kind.", raw="Answer: deny")
    blobs = {"sha256:0": b'{"messages":[]}'}
    redacted, kept = REDACTOR.recording(trace, blobs)
    assert redacted is trace
    assert kept is blobs


def test_a_redacted_trace_is_redacted() -> None:
    once = REDACTOR.trace(make())
    assert once.input == "Write to [EMAIL_1]."
    assert REDACTOR.trace(once) is once


def test_a_changed_context_gets_a_new_name_and_names_what_else_changed() -> None:
    page = b"page of bob@example.com"
    picture = b"\x89PNG\xff bob@example.com"
    turns = [{"blob": named(page)}, {"blob": named(picture)}, {"text": "I am bob@example.com"}]
    context = canonical_json(turns).encode()
    blobs = {named(context): context, named(page): page, named(picture): picture}
    trace, kept = REDACTOR.recording(make("hello", context=named(context)), blobs)
    assert all(named(data) == name for name, data in kept.items())
    assert trace.context in kept
    assert trace.redacted == {"email": 2}
    new_page = b"page of [EMAIL_1]"
    assert json.loads(kept[trace.context or ""]) == [
        {"blob": named(new_page)},
        {"blob": named(picture)},
        {"text": "I am [EMAIL_1]"},
    ]
    assert kept[named(new_page)] == new_page
    # Bytes that are no text are not looked into.
    assert kept[named(picture)] == picture


def test_a_skeleton_keeps_its_name_and_one_with_a_hit_is_left_out() -> None:
    for instruction, left in (("Decide.", True), ("Ask help@example.com.", False)):
        skeleton = canonical_json({"instruction": instruction}).encode()
        origin = Provenance(source="gateway", skeleton=named(skeleton))
        trace = make("x").model_copy(update={"provenance": origin})
        for _ in range(2):
            redacted, kept = REDACTOR.recording(trace, {named(skeleton): skeleton})
            assert redacted is trace
            assert list(kept) == ([named(skeleton)] if left else [])


def test_a_blob_that_is_no_json_is_read_as_text() -> None:
    assert REDACTOR.blob(b'{"to": bob@example.com')[0] == b'{"to": [EMAIL_1]'
    assert REDACTOR.blob(b"") == (b"", {})
    deep = b'{"a":' * 5000 + b'"bob@example.com"' + b"}" * 5000
    assert b"example.com" not in REDACTOR.blob(deep)[0]
    assert REDACTOR.blob(b'{"bob@example.com":NaN}')[0] == b'{"[EMAIL_1]":NaN}'


def test_keys_and_whole_numbers_of_json_are_looked_at() -> None:
    blob = canonical_json({"bob@example.com": [4242424242424242, True, 7]}).encode()
    assert json.loads(REDACTOR.blob(blob)[0]) == {"[EMAIL_1]": ["[CARD_1]", True, 7]}


# ---- patterns and hooks -------------------------------------------------------------------------


def test_a_pattern_is_taken_out_under_its_own_name() -> None:
    assert REDACTOR.text("badge B-1234 of B-1234, B-77")[0] == "badge [BADGE_1] of [BADGE_1], B-77"


def test_a_pattern_does_not_touch_what_stands_for_something_else() -> None:
    greedy = Redactor(RedactForm(kinds=("email",), patterns={"capital": "[A-Z]+"}))
    once = greedy.text("bob@example.com AND")[0]
    assert once == "[EMAIL_1] [CAPITAL_1]"
    assert greedy.text(once) == (once, {})


def test_a_pattern_that_matches_nothing_changes_nothing() -> None:
    assert Redactor(RedactForm(patterns={"none": "x*"})).text("abc") == ("abc", {})


def test_a_pattern_takes_time_linear_in_the_text() -> None:
    # With backtracking this would not end: 2**n ways to divide n letters.
    slow = Redactor(RedactForm(patterns={"letters": "(a+)+b"}))
    assert slow.text("a" * 100_000) == ("a" * 100_000, {})


@pytest.mark.parametrize("pattern", ["(", r"(a)\1", "(?=a)"])
def test_a_wrong_pattern_names_itself(pattern: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        ConfigError, match=r"redact\.patterns\.badge is .*wanted an expression of RE2"
    ):
        Redactor(RedactForm(patterns={"badge": pattern}))
    assert capfd.readouterr().err == ""


def test_a_wrong_name_of_a_pattern_is_refused() -> None:
    with pytest.raises(ConfigError, match="has the name '1 x'; wanted"):
        Redactor(RedactForm(patterns={"1 x": "x"}))


def test_a_hook_says_what_goes(hook: Any) -> None:
    hook.find = lambda text: [(*found.span(), "Staff Name") for found in re.finditer("Ada", text)]
    redactor = Redactor(RedactForm(hook="staff_names:find"), ALL)
    text = "Ada, write to bob@example.com. Ada?"
    assert redactor.text(text) == (
        "[STAFF_NAME_1], write to [EMAIL_1]. [STAFF_NAME_1]?",
        {"staff_name": 2, "email": 1},
    )


def test_a_text_on_which_a_hook_fails_is_withheld_and_counted(hook: Any) -> None:
    def find(text: str) -> list[Any]:
        if "Ada" in text:
            raise RuntimeError("no model")
        return [(0, len(text) + 1, "x")] if "Bob" in text else []

    hook.find = find
    redactor = Redactor(RedactForm(hook="staff_names:find"))
    trace = redactor.trace(make("Ada did it", raw="Bob", thinking="fine"))
    assert (trace.input, trace.raw, trace.thinking) == ("[WITHHELD]", "[WITHHELD]", "fine")
    assert trace.redacted == {"withheld": 2}
    assert redactor.failures == {"RuntimeError": 1, "ValueError": 1}
    assert redactor.trace(trace) is trace


@pytest.mark.parametrize(
    "name", ["staff_names", "staff_names:nothing", "no_such_module:find", ":", "json:__doc__"]
)
def test_a_hook_that_is_not_there_is_refused(hook: ModuleType, name: str) -> None:
    with pytest.raises(ConfigError, match=r"redact\.hook is .*wanted module:function"):
        Redactor(RedactForm(hook=name))


# ---- opening ------------------------------------------------------------------------------------


def test_where_nothing_is_asked_there_is_no_redactor() -> None:
    assert redactor_for(RedactForm(), RedactForm()) is None
    both = redactor_for(RedactForm(kinds=("email",)), RedactForm(patterns={"n": r"\d+"}))
    assert both is not None
    assert both.text("a@example.com 7")[0] == "[EMAIL_1] [N_1]"


@pytest.mark.parametrize(("kind", "library"), [("phone", "phonenumbers"), ("card", "stdnum")])
def test_an_absent_library_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, kind: Any, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, table.DETECTORS[kind], raising=False)
    with pytest.raises(MissingExtraError, match=r"pip install 'limbeck\[redact\]'"):
        Redactor(RedactForm(kinds=(kind,)))


def test_an_absent_pattern_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "re2", None)
    with pytest.raises(MissingExtraError, match=r"'re2'.*limbeck\[redact\]"):
        Redactor(RedactForm(patterns={"x": "x"}))


def test_a_name_of_a_blob_is_that_of_its_new_bytes() -> None:
    assert text_hash("[EMAIL_1]") == named(b"[EMAIL_1]")
