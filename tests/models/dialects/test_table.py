from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import limbeck.models.dialects as folder
from limbeck.errors import ConfigError, DataError
from limbeck.models.call import Reply
from limbeck.models.dialects.table import TABLE, dialect, endpoint
from limbeck.types import Usage

# What stands beside the dialects in their folder and is none itself.
SHARED = {"__init__", "table", "events", "fields", "growing", "responses_events"}

TEXT = st.text(st.characters(codec="utf-8"), max_size=60)
REPLIES = st.builds(
    Reply,
    text=TEXT,
    thinking=st.none() | TEXT.filter(bool),
    stop_reason=st.sampled_from(["end_turn", "max_tokens"]),
    usage=st.builds(
        lambda fresh, cached, output: Usage(input=fresh + cached, output=output, cached=cached),
        *[st.integers(0, 10**6)] * 3,
    ),
    model=st.just("model-1"),
    request_id=st.just("msg_1"),
)


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
    with pytest.raises(DataError, match="wanted `model` and `(messages|input)`"):
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
