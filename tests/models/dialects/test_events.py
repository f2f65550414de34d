from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from limbeck.models.dialects.events import Event, EventReader, pieces, write_event

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
