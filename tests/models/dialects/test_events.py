from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.models.dialects.events import (
    DONE,
    Backlog,
    Event,
    EventReader,
    pieces,
    read_json,
    write_event,
)

LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])


def split_at(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


@given(
    data=st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8")), min_size=1),
    name=st.sampled_from(["message_start", "ping", "message"]),
    end=LINE_ENDS,
    cuts=st.lists(st.integers(0, 10_000)),
)
def test_an_event_reads_the_same_wherever_its_bytes_are_split(
    data: list[str], name: str, end: str, cuts: list[int]
) -> None:
    lines = [f"event: {name}", *(f"data: {line}" for line in data), "", ""]
    wire = end.join(lines).encode() * 2
    reader = EventReader()
    events = [event for chunk in split_at(wire, cuts) for event in reader.feed(chunk)]
    assert events == [Event(name, "\n".join(data))] * 2


def test_comments_unknown_fields_and_a_byte_order_mark_are_passed_over() -> None:
    wire = b"\xef\xbb\xbf: keep-alive\nid: 7\nretry: 10\ndata:tight\n\n"
    assert EventReader().feed(wire) == [Event("message", "tight")]


def test_an_event_without_its_blank_line_is_not_dispatched() -> None:
    assert EventReader().feed(b"data: half\n") == []


def test_a_written_event_reads_back() -> None:
    event = EventReader().feed(write_event({"said": "naïve\n\nπ"}, "content"))[0]
    assert event.name == "content"
    assert event.data == '{"said":"na\\u00efve\\n\\n\\u03c0"}'


@given(st.text())
def test_pieces_join_to_the_whole(text: str) -> None:
    assert "".join(pieces(text, 3)) == text


SAID = st.sampled_from(
    [
        b'event: ping\ndata: {"type":"ping"}\n\n',
        b'event: delta\ndata: {"n":1}\n\n',
        b'data: {"choices":[]}\n\n',
        b'data:{"tight":true}\n\n',
        b'data: {"two":\ndata: "lines"}\n\n',
        b'event: delta\r\ndata: {"n":"\xc3\xa9"}\r\n\r\n',
        b": keep-alive\n\n",
        b"\n\n\n",
        b"data: {half\n\n",
        b"data: [1]\n\n",
        b'data: {"bad":"\xff"}\n\n',
        b"event: end\ndata: {}\n\n",
        b"data: [DONE]\n\n",
    ]
)


@given(
    said=st.lists(SAID, max_size=12),
    cuts=st.lists(st.integers(0, 1000), max_size=12),
    many=st.sampled_from([8, 64, 65_536]),
    asked=st.integers(0, 12),
)
def test_events_that_waited_are_those_that_were_read_one_by_one(
    said: list[bytes], cuts: list[int], many: int, asked: int
) -> None:
    wire = b"".join(said)
    backlog = Backlog(b"[DONE]", b"event: end")
    backlog.MANY = many
    events = []
    for number, chunk in enumerate(split_at(wire, cuts)):
        events += backlog.feed(chunk)
        if number == asked:
            events += backlog.rest()
    events += backlog.rest()
    slow = Backlog(b"never")
    assert events == [one for at in range(len(wire)) for one in read_now(slow, wire[at : at + 1])]


def read_now(backlog: Backlog, chunk: bytes) -> list[Any]:
    return [*backlog.feed(chunk), *backlog.rest()]


def test_an_end_is_seen_in_the_chunk_that_completes_it() -> None:
    wire = b'data: {"n":1}\n\n' * 3 + b"data: [DONE]\n\n"
    backlog = Backlog(b"[DONE]")
    for at in range(len(wire) - 1):
        assert DONE not in backlog.feed(wire[at : at + 1])
    assert backlog.feed(wire[-1:]) == [DONE]


def test_events_wait_until_they_are_many() -> None:
    backlog = Backlog(b"[DONE]")
    event = write_event({"said": "x" * 1000})
    read = [len(backlog.feed(event)) for _ in range(200)]
    assert max(read) == backlog.MANY // len(event) + 1
    assert sum(read) + len(backlog.rest()) == 200


def test_json_that_is_nested_without_end_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="deep"):
        read_json("[" * 100_000)
