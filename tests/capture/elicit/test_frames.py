from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from limbeck.capture.elicit import frames
from limbeck.capture.elicit.frames import Frames, read_data, with_data


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([b"data: x", b"\n", b"\r\n", b"\r", b"\n\n", b": y"])).map(b"".join),
    st.lists(st.integers(0, 3)),
)
def test_no_byte_is_lost_and_no_line_end_is_split(stream: bytes, sizes: list[int]) -> None:
    reader = Frames()
    found, at = [], 0
    for size in [*sizes, len(stream)]:
        found += reader.feed(stream[at : at + size])
        at += size
    assert b"".join(found) + reader.close() == stream
    assert all(frame.endswith((b"\n", b"\r")) for frame in found)


def test_a_frame_ends_with_a_blank_line_of_any_kind() -> None:
    for end in (b"\n\n", b"\r\n\r\n", b"\r\r", b"\n\r\n"):
        assert Frames().feed(b"data: 1" + end + b"data: 2" + end) == [
            b"data: 1" + end,
            b"data: 2" + end,
        ]
    assert Frames().feed(b"event: a\r\ndata: 1\r\n") == []


def test_the_data_of_several_lines_is_one_object() -> None:
    assert read_data(b'event: a\ndata: {"a":\ndata: 1}\n\n') == {"a": 1}
    for frame in (b"event: a\n\n", b"data: [1]\n\n", b"data: {\n\n", b'data: "\xff"\n\n', b""):
        assert read_data(frame) is None
    assert read_data(b"data: " + b'{"a":' * 100_000 + b"\n\n") is None


def test_other_lines_keep_their_bytes() -> None:
    frame = b'id: 7\r\nevent: a\r\ndata:{"a":\r\ndata: 1}\r\n: note\r\n\r\n'
    expected = b'id: 7\r\nevent: a\r\ndata: {"a":2}\r\n: note\r\n\r\n'
    assert with_data(frame, {"a": 2}) == expected


def test_what_never_ends_is_no_frame() -> None:
    reader = Frames()
    reader.feed(b"x" * frames.MOST_PENDING)
    assert not reader.overflowing
    reader.feed(b"x")
    assert reader.overflowing
