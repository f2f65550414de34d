from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

import limbeck.models.dialects as folder
from limbeck.errors import ConfigError, DataError
from limbeck.models.call import Call, Reply
from limbeck.models.dialects.events import EventReader, write_event
from limbeck.models.dialects.table import TABLE, dialect, endpoint
from limbeck.models.prices import cost_usd
from limbeck.types import Price, Usage, canonical_json

# What stands beside the dialects in their folder and is none itself.
SHARED = {"__init__", "table", "events", "fields", "growing", "responses_events"}

TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
COUNT = st.integers(0, 10**6)
USAGES = st.builds(
    lambda fresh, cached, written, said, thought, tier: Usage(
        input=fresh + cached + written,
        output=said + thought,
        cached=cached,
        cache_write_5m=written,
        reasoning=thought,
        tier=tier,
    ),
    *[COUNT] * 5,
    st.sampled_from([None, "default", "priority", "batch"]),
)
REPLIES = st.builds(
    Reply,
    text=TEXT,
    thinking=st.none() | TEXT.filter(bool),
    stop_reason=st.sampled_from(["end_turn", "max_tokens"]),
    usage=USAGES,
    model=st.just("claude-opus-4-1"),
    request_id=st.just("msg_1"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
ARGUMENTS = st.dictionaries(TEXT, JSON, max_size=3)


def _said(kind: str) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries({"type": st.just(kind), "text": TEXT})


def _named(kind: str, **more: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries({"type": st.just(kind), "id": TEXT, **more})


def _cited(said: st.SearchStrategy[dict[str, object]], field: str) -> st.SearchStrategy[object]:
    cited = st.lists(st.fixed_dictionaries({"type": st.just("place"), "title": TEXT}), min_size=1)
    return st.builds(lambda block, places: {**block, field: places}, said, cited)


BLOCKS: dict[str, st.SearchStrategy[list[object]]] = {
    "anthropic": st.lists(
        _said("text")
        | _cited(_said("text"), "citations")
        | st.fixed_dictionaries(
            {"type": st.just("thinking"), "thinking": TEXT, "signature": TEXT.filter(bool)}
        )
        | st.fixed_dictionaries({"type": st.just("redacted_thinking"), "data": TEXT})
        | _named("tool_use", name=TEXT, input=ARGUMENTS)
        | _named("server_tool_use", name=TEXT, input=ARGUMENTS)
    ),
    "openai_chat": st.lists(
        st.fixed_dictionaries(
            {"role": st.just("assistant"), "content": TEXT.filter(bool)},
            optional={
                "reasoning_content": TEXT.filter(bool),
                "tool_calls": st.lists(
                    _named(
                        "function",
                        function=st.fixed_dictionaries({"name": TEXT, "arguments": TEXT}),
                    ),
                    min_size=1,
                    max_size=3,
                ),
                "audio": st.fixed_dictionaries({"id": TEXT, "data": TEXT, "transcript": TEXT}),
            },
        ),
        min_size=1,
        max_size=3,
    ),
    "openai_responses": st.lists(
        _named("reasoning", summary=st.lists(_said("summary_text"), max_size=2))
        | _named(
            "message",
            role=st.just("assistant"),
            status=st.just("completed"),
            content=st.lists(
                _cited(_said("output_text"), "annotations")
                | st.fixed_dictionaries({"type": st.just("refusal"), "refusal": TEXT}),
                max_size=2,
            ),
        )
        | _named("function_call", call_id=TEXT, name=TEXT, arguments=TEXT)
        | _named("web_search_call", action=ARGUMENTS)
    ),
}


OWN = Price(input=3.0, output=15.0)
WHOLE = Reply(text="said", thinking="thought", stop_reason="end_turn", model="m")


@pytest.fixture(params=sorted(TABLE))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_table_names_every_dialect_of_the_folder() -> None:
    files = {path.stem for path in Path(folder.__path__[0]).glob("*.py")}
    assert files - SHARED == set(TABLE)
    assert all(name == dialect(name).NAME for name in TABLE)


def test_an_unknown_dialect_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'gopher'; wanted one of anthropic, openai_chat"):
        dialect("gopher")


@given(reply=REPLIES)
@pytest.mark.parametrize("name", sorted(TABLE))
def test_a_written_reply_reads_back(name: str, reply: Reply) -> None:
    spoken = dialect(name)
    assert spoken.read_reply(spoken.write_reply(reply)) == reply


@given(reply=REPLIES, cuts=st.lists(st.integers(0, 10_000), max_size=40))
@pytest.mark.parametrize("name", sorted(TABLE))
def test_a_written_stream_reads_back_wherever_its_bytes_are_split(
    name: str, reply: Reply, cuts: list[int]
) -> None:
    spoken = dialect(name)
    wire = b"".join(spoken.write_stream(reply))
    reader = spoken.StreamReader()
    places = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(places):
        assert not reader.ended
        reader.feed(wire[start:end])
    assert reader.ended
    assert reader.reply() == reply


@given(data=st.data(), reply=REPLIES, cuts=st.lists(st.integers(0, 10_000), max_size=20))
@pytest.mark.parametrize("name", sorted(TABLE))
def test_a_stream_gives_the_reply_and_the_cost_that_the_same_reply_gives_without_one(
    name: str, data: st.DataObject, reply: Reply, cuts: list[int]
) -> None:
    spoken = dialect(name)
    reply = replace(reply, blocks=tuple(data.draw(BLOCKS[name])), thinking=None)
    plain = spoken.read_reply(json.loads(json.dumps(spoken.write_reply(reply))))
    wire = b"".join(spoken.write_stream(reply))
    reader = spoken.StreamReader()
    places = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    for start, end in itertools.pairwise(places):
        reader.feed(wire[start:end])
    assert reader.ended
    assert reader.reply() == plain
    assert plain.usage == reply.usage
    cost = cost_usd(plain.model, plain.usage, OWN)
    assert cost is not None
    assert cost == cost_usd(reply.model, reader.reply().usage, OWN)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_half_a_surrogate_pair_never_reaches_the_store(name: str) -> None:
    spoken = dialect(name)
    wire = b"".join(spoken.write_stream(Reply(text="A" * 24 + "B", stop_reason="end_turn")))
    reader = spoken.StreamReader()
    reader.feed(wire.replace(b"A" * 24, rb"\ud83d", 1).replace(b'"B"', rb'"\ude00!"', 1))
    if name != "openai_responses":  # whose last event says it once more
        assert reader.reply().text == "😀!"
    alone = spoken.write_request(model="m", system="\ud83d", user="a\ud83db")
    call = spoken.read_request(alone)
    assert (call.system, call.user) == ("\ufffd", "a\ufffdb")


@pytest.mark.parametrize("name", sorted(TABLE))
def test_an_event_that_is_nested_without_end_is_an_error_and_not_an_exception(name: str) -> None:
    reader = dialect(name).StreamReader()
    reader.feed(b"data: " + b"[" * 200_000 + b"\n\n")
    assert reader.reply().status == "error"


def spoilt(value: Any, by: object) -> Iterator[Any]:
    """`value` with `by` in the place of each of its parts in turn."""
    yield by
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in parts if isinstance(value, dict | list) else ():
        for worse in spoilt(part, by) if isinstance(part, dict | list) else [by]:
            copied = value.copy()
            copied[key] = worse
            yield copied


ODD = JSON | st.sampled_from([float("inf"), float("nan"), -1, 10**400, 1e300, "\ud800"])


SHAPES: dict[type, TypeAdapter[Any]] = {shape: TypeAdapter(shape) for shape in (Call, Reply)}


def assert_sound(said: Call | Reply) -> None:
    """Every field is of its type, and what is kept of it can be written."""
    fields = {field.name: getattr(said, field.name) for field in dataclasses.fields(said)}
    shape = SHAPES[type(said)]
    kept = shape.validate_python(fields)
    assert kept == said
    if isinstance(said, Reply):
        canonical_json(shape.dump_python(kept)).encode()


@given(odd=ODD)
@settings(max_examples=30)
@pytest.mark.parametrize("name", sorted(TABLE))
def test_no_json_in_any_place_is_an_exception(name: str, odd: object) -> None:
    spoken = dialect(name)
    for event in EventReader().feed(b"".join(spoken.write_stream(WHOLE))):
        for worse in spoilt(json.loads(event.data), odd) if event.data != "[DONE]" else ():
            reader = spoken.StreamReader()
            reader.feed(write_event(json.dumps(worse), event.name))
            assert_sound(reader.reply())
    for worse in spoilt(spoken.write_reply(WHOLE), odd):
        with contextlib.suppress(DataError):
            assert_sound(spoken.read_reply(worse))
    for worse in spoilt(spoken.write_request(model="m", system="s", user="u"), odd):
        with contextlib.suppress(DataError):
            call = spoken.read_request(worse)
            assert_sound(call)
            f"{call.model} {call.system} {call.user}".encode()


def test_a_written_request_reads_back(name: str) -> None:
    spoken = dialect(name)
    body = spoken.write_request(model="m", system="Be brief.", user="2 + 2?", max_tokens=9)
    call = spoken.read_request(body)
    assert (call.model, call.system, call.user) == ("m", "Be brief.", "2 + 2?")
    assert (call.max_tokens, call.turns, call.stream, call.plain) == (9, 1, False, True)
    streaming = spoken.write_request(model="m", system="", user="x", stream=True)
    assert spoken.read_request(streaming).stream
    assert spoken.read_request(streaming).wants_usage


@pytest.mark.parametrize("body", [None, [], "text", {}, {"model": 3}, {"messages": "no"}])
def test_a_body_that_is_no_request_is_refused_in_a_sentence(name: str, body: object) -> None:
    with pytest.raises(DataError, match=r"wanted `model` and `(messages|input)`"):
        dialect(name).read_request(body)


@pytest.mark.parametrize("body", [None, [], "text", {}, {"type": "error"}, {"choices": []}])
def test_a_body_that_is_no_reply_is_refused_in_a_sentence(name: str, body: object) -> None:
    with pytest.raises(DataError, match="wanted"):
        dialect(name).read_reply(body)


def test_an_error_reads_back(name: str) -> None:
    spoken = dialect(name)
    assert spoken.read_error(spoken.write_error(529, "overloaded_error", "Overloaded")) == (
        "Overloaded"
    )
    assert spoken.read_error({"detail": "no envelope"}) is None


def test_a_stream_that_stops_in_the_middle_is_not_whole(name: str) -> None:
    spoken = dialect(name)
    reply = Reply(text="a long answer, written out", stop_reason="end_turn", model="m")
    reader = spoken.StreamReader()
    for event in list(spoken.write_stream(reply))[:-3]:
        reader.feed(event)
    assert not reader.ended
    assert reader.reply().status == "cut_off"


def test_endpoints_stand_under_the_base_url_that_the_providers_client_takes() -> None:
    anthropic, openai = dialect("anthropic"), dialect("openai_chat")
    assert endpoint("http://h", anthropic) == "http://h/v1/messages"
    assert endpoint("http://h/v1/", openai) == "http://h/v1/chat/completions"
    assert endpoint("http://h/v1", openai, "/v1/models") == "http://h/v1/models"
