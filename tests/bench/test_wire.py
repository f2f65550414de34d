import json

import pytest

from traffic.wire import (
    EVENTS,
    LAST_WORD,
    REPLY_BYTES,
    Behaviour,
    Dialect,
    Request,
    reply,
    reply_body,
    stream,
    stream_events,
)

DIALECTS: tuple[Dialect, ...] = ("messages", "chat")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_reply_is_json_of_the_announced_length(dialect: Dialect) -> None:
    body = reply_body(dialect)
    assert len(body) == REPLY_BYTES
    assert LAST_WORD in json.dumps(json.loads(body))
    head, _, sent = reply(dialect).partition(b"\r\n\r\n")
    assert sent == body
    assert f"content-length: {REPLY_BYTES}".encode() in head


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("writes", [1, 7, EVENTS])
def test_a_stream_has_the_same_bytes_however_it_is_cut(dialect: Dialect, writes: int) -> None:
    events = stream_events(dialect)
    assert len(events) == EVENTS
    parts = stream(dialect, writes)
    assert len(parts) == writes
    assert b"".join(parts) == stream(dialect, 1)[0]
    body = b"".join(parts).partition(b"\r\n\r\n")[2]
    sizes = [line for line in body.split(b"\r\n") if line and b"data:" not in line]
    assert [int(size, 16) for size in sizes] == [*map(len, events), 0]


def test_the_reply_that_is_streamed_ends_with_the_answer() -> None:
    told = [json.loads(event.split(b"data: ")[1]) for event in stream_events("messages")]
    text = "".join(
        event["delta"]["text"] for event in told if event["type"] == "content_block_delta"
    )
    assert text.endswith(LAST_WORD)
    assert told[-1] == {"type": "message_stop"}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("streamed", [False, True])
def test_requests_differ_in_their_counter_and_not_in_their_length(
    dialect: Dialect, streamed: bool
) -> None:
    asked = Behaviour(wait_ms=200, every_ms=5, writes=60)
    request = Request(dialect, path="/p", host="127.0.0.1:1", stream=streamed, asked=asked)
    written = [request.write(counter) for counter in (0, 1, 999_999_999_999)]
    assert len(set(written)) == 3
    assert len(set(map(len, written))) == 1
    head, _, body = written[1].partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head
    assert json.loads(body).get("stream", False) is streamed
    assert "Order 000000000001." in json.loads(body)["messages"][-1]["content"]
    assert asked.text().encode() in body


def test_a_behaviour_is_read_as_it_was_written() -> None:
    asked = Behaviour(wait_ms=200, every_ms=5, writes=60)
    assert Behaviour.read(asked.text().encode()) == asked


def test_what_is_no_behaviour_is_refused() -> None:
    with pytest.raises(ValueError, match="behaviour is"):
        Behaviour.read(b"(wait=soon every=000000 writes=000001)")
