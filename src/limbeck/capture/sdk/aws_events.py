"""Streams as AWS frames them, turned into server-sent events, which the dialects read.

A message is: its length and that of its headers (4 bytes each), a checksum of the two, headers,
payload, and a checksum of all. Sources: "Amazon event stream encoding" in the guide of Amazon
Transcribe; the payload is that of Bedrock's InvokeModelWithResponseStream.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct

KIND = "application/vnd.amazon.eventstream"
PRELUDE = 12
CHECKSUM = 4
LARGEST = 1 << 24
"""Bytes of one message; 16 MiB is the format's own limit."""


class AwsEvents:
    """Reads frames from chunks that may be split anywhere. Checksums are left to the client."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, chunk: bytes) -> bytes:
        """The server-sent events whose frames `chunk` completes.

        Raises ValueError for what is no such stream.
        """
        self._pending += chunk
        events = []
        while len(self._pending) >= PRELUDE:
            length, headers = struct.unpack_from(">II", self._pending)
            if not PRELUDE + CHECKSUM + headers <= length <= LARGEST:
                raise ValueError(f"a frame of {length} bytes with {headers} bytes of headers")
            if len(self._pending) < length:
                break
            events.append(_event(self._pending[PRELUDE + headers : length - CHECKSUM]))
            self._pending = self._pending[length:]
        return b"".join(events)


def _event(payload: bytes) -> bytes:
    try:
        said = json.loads(payload)
        data = json.loads(base64.b64decode(said["bytes"]))
        return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()
    except (ValueError, KeyError, TypeError, binascii.Error):
        # An exception instead of a chunk: AWS says it in a message of its own.
        shown = payload.decode("utf-8", "replace")
        error = {"type": "error", "error": {"type": "api_error", "message": shown}}
        return f"event: error\ndata: {json.dumps(error)}\n\n".encode()
