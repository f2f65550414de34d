from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import pytest

from limbeck.capture import wrap
from limbeck.capture.sdk.aws_events import KIND, AwsEvents
from limbeck.models.dialects import anthropic as messages
from limbeck.models.dialects.events import EventReader
from limbeck.types import Trace

Kept = Callable[[], list[Trace]]


def frame(payload: bytes, headers: bytes = b"\x05:type\x07\x00\x05chunk") -> bytes:
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    said = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return said + struct.pack(">I", zlib.crc32(said))


def framed(events: bytes) -> bytes:
    frames = []
    for event in EventReader().feed(events):
        data = base64.b64encode(event.data.encode()).decode()
        frames.append(frame(json.dumps({"bytes": data, "p": "abcd"}).encode()))
    return b"".join(frames)


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_frames_are_the_events_that_they_carry_however_they_are_split(
    size: int, wire: Callable[[str], bytes]
) -> None:
    sent = framed(wire("anthropic.text.sse"))
    frames, reader = AwsEvents(), messages.StreamReader()
    for start in range(0, len(sent), size):
        reader.feed(frames.feed(sent[start : start + size]))
    expected = messages.StreamReader()
    expected.feed(wire("anthropic.text.sse"))
    assert reader.ended
    assert reader.reply() == expected.reply()


def test_an_exception_of_aws_is_an_error_event() -> None:
    reader = messages.StreamReader()
    reader.feed(AwsEvents().feed(frame(b'{"message":"Too many requests"}')))
    assert reader.reply().status == "error"


@pytest.mark.parametrize("sent", [b"\x00" * 12, b"event: message_start\ndata: {}\n\n"])
def test_other_bytes_are_refused(sent: bytes) -> None:
    with pytest.raises(ValueError, match="a frame of"):
        AwsEvents().feed(sent)


def test_a_bedrock_client_is_recorded(
    tasked: Any, kept: Kept, wire: Callable[[str], bytes]
) -> None:
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        headers = {"content-type": "application/json"}
        return httpx2.Response(200, headers=headers, content=wire("anthropic.text.json"))

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        plain = anthropic.AnthropicBedrock(api_key="k", aws_region="us-east-1", http_client=http)
        wrap(plain, task="refunds").messages.create(
            model="anthropic.m-1:0",
            max_tokens=9,
            system="Decide.",
            messages=[{"role": "user", "content": "12 days"}],
        )
    assert asked[0].url.path == "/model/anthropic.m-1:0/invoke"
    [trace] = kept()
    assert trace.input == "12 days"
    assert trace.raw is not None


def test_a_stream_of_aws_passes_as_it_came_and_is_read(
    tasked: Any, kept: Kept, wire: Callable[[str], bytes]
) -> None:
    sent = framed(wire("anthropic.text.sse"))

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": KIND}, content=iter([sent]))

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        plain = anthropic.AnthropicBedrock(api_key="k", aws_region="us-east-1", http_client=http)
        wrapped = wrap(plain, task="refunds")
        with wrapped.messages.with_streaming_response.create(
            model="m-1",
            max_tokens=9,
            stream=True,
            messages=[{"role": "user", "content": "12 days"}],
        ) as response:
            assert b"".join(response.iter_bytes()) == sent
    [trace] = kept()
    assert (trace.status, trace.raw) == ("ok", "It came back — in time. Answer: grant")
