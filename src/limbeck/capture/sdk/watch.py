"""One call of a wrapped client, seen as the bytes that pass: what it asked, and what came back."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, Protocol

from limbeck.capture.elicit.prepare import Prepared, how_much
from limbeck.capture.elicit.stream import Restorer
from limbeck.capture.recording import Exchange, Recording, record_reply
from limbeck.capture.sdk import aws_events
from limbeck.errors import DataError
from limbeck.models.call import Reply
from limbeck.models.dialects.openai_chat import UsageHider
from limbeck.models.dialects.table import Dialect, StreamReader
from limbeck.types import Status

End = Literal["whole", "hang_up", "timeout", "client_gone"]
"""How a reply ended: as it should, because the teacher hung up or fell silent, or because the program
that asked lost interest."""

ENDS: dict[End, tuple[Status | None, str | None]] = {
    "whole": (None, None),
    "hang_up": ("error", "teacher_hung_up"),
    "timeout": ("error", "teacher_timed_out"),
    "client_gone": ("cut_off", "client_disconnected"),
}
"""The status and stop reason that the trace gets, where they are not the reply's own."""

SIMULATED = "x-limbeck-simulated"
ANSWERED_BY = "x-limbeck-answered-by"
EVENTS = "text/event-stream"
GZIP_OR_ZLIB = 47
"""32 + 15 bits: zlib tells the two formats apart by their first bytes."""

Decode = Callable[[bytes], bytes]


class Filter(Protocol):
    """Changes what the client sees of a stream while it passes."""

    def feed(self, chunk: bytes) -> bytes: ...

    def close(self) -> bytes: ...


class Watch:
    """A call on its way. `over` is set when its trace can be made: there is nothing more to read.

    `hides_usage` and `prepared` say what the request asked for that its client did not: the token
    counts of a stream, and a rationale. Both are taken out again.
    """

    def __init__(
        self,
        exchange: Exchange,
        dialect: Dialect,
        *,
        hides_usage: bool = False,
        prepared: Prepared | None = None,
    ) -> None:
        self.exchange = exchange
        self.over = False
        self._dialect = dialect
        self._hides_usage = hides_usage
        self._prepared = prepared
        self._started = time.perf_counter()
        self._status: int | None = None
        self._decode_whole: Decode = bytes
        self._decode: Decode | None = bytes
        self._reader: StreamReader | None = None
        self._restorer: Restorer | None = None
        self._filters: list[Filter] = []
        self._restored: bytes | None = None
        self._held: list[bytes] = []
        self._recorded = False
        self._elsewhere = False
        self._unreadable: str | None = None

    def answered(self, status: int, headers: Mapping[str, str], decode_whole: Decode) -> None:
        """The head of the reply has come; `headers` has lower-case names. `decode_whole` undoes the
        content encoding of a whole body."""
        self._status = status
        # A gateway that answers has recorded the call, too.
        self._elsewhere = ANSWERED_BY in headers
        self.exchange.simulated = headers.get(SIMULATED) == "1"
        named = headers.get("request-id") or headers.get("x-request-id")
        self.exchange.request_id = named or self.exchange.request_id
        self._decode_whole = decode_whole
        self._decode = _incremental(headers.get("content-encoding"))
        kind = headers.get("content-type", "").lower()
        if status == 200 and kind.startswith(aws_events.KIND):
            self._reader = self._dialect.StreamReader()
            self._decode = aws_events.AwsEvents().feed
        elif status == 200 and kind.startswith(EVENTS):
            self._reader = self._dialect.StreamReader()
            # Packed bytes cannot be changed on their way.
            if self._decode is bytes:
                self._filters = self._taking_out()

    def feed(self, chunk: bytes) -> bytes:
        """Read `chunk`; returns what the client may have now. A reply that is no stream is held until
        its end, so that nobody has it before it is on disk."""
        if self._reader is None:
            self._held.append(chunk)
            return b""
        plain = self._unpacked(chunk)
        if plain is None:
            self._held.append(chunk)
            return chunk
        self._read(self._reader, plain)
        for one in self._filters:
            chunk = one.feed(chunk)
        return chunk

    def rest(self) -> bytes:
        """What the client has not had yet when the reply is at its end, and its trace is made."""
        if self._reader is None:
            return b"".join(self._held) if self._restored is None else self._restored
        rest = b""
        for one in self._filters:
            rest = (one.feed(rest) if rest else b"") + one.close()
        return rest

    def recording(self, end: End) -> Recording | None:
        """The trace of the call, once; None when it was asked for before, or is made elsewhere."""
        if self._recorded or self._elsewhere:
            return None
        self._recorded = True
        reply, reason = self._reply(end)
        # What had come as a whole before its client left is a whole reply.
        status, stop_reason = ENDS["whole" if self.over or reason is not None else end]
        return record_reply(
            self.exchange,
            reply,
            latency_s=time.perf_counter() - self._started,
            status=status,
            stop_reason=reason or stop_reason,
        )

    def _taking_out(self) -> list[Filter]:
        filters: list[Filter] = [UsageHider()] if self._hides_usage else []
        if self._prepared is not None:
            self._restorer = self._prepared.stream()
            filters.append(self._restorer)
        return filters

    def _read(self, reader: StreamReader, plain: bytes) -> None:
        if self._unreadable is not None:
            return
        try:
            reader.feed(plain)
        except Exception as error:  # noqa: BLE001 - what we cannot read still passes
            self._unreadable = f"{type(error).__name__}: {error}"
        self.over = reader.ended

    def _unpacked(self, chunk: bytes) -> bytes | None:
        if self._decode is None:
            return None
        try:
            return self._decode(chunk)
        except (zlib.error, ValueError):
            self._decode = None
            return None

    def _reply(self, end: End) -> tuple[Reply, str | None]:
        """The reply, and the reason that the trace gives where it is none."""
        if self._status is None:
            return Reply(text="", error="no answer"), None
        if self._reader is not None:
            return self._streamed(self._reader), None
        body = self._body()
        if self._status >= 400:
            return Reply(text="", error=self._dialect.read_error(body) or "error"), (
                f"http_{self._status}"
            )
        if end != "whole":
            return Reply(text=""), None
        try:
            reply = self._dialect.read_reply(body)
        except DataError as error:
            return Reply(text="", error=str(error)), None
        self._restore(reply, body)
        return reply, None

    def _streamed(self, reader: StreamReader) -> Reply:
        self._read_held(reader)
        reply = reader.reply()
        if self._unreadable is not None:
            reply = replace(reply, error=self._unreadable)
        if self._prepared is not None and self._restorer is not None:
            asked = how_much(self._prepared, reply.usage, self._restorer.rationale)
            self.exchange.elicited = asked
        return reply

    def _restore(self, reply: Reply, body: Any) -> None:
        """Take a rationale that was asked for out of what the client will get."""
        if self._prepared is None or self._decode is not bytes:
            return
        restored = self._prepared.restore(body)
        self.exchange.elicited = how_much(self._prepared, reply.usage, restored.rationale)
        if restored.body is not body:
            text = json.dumps(restored.body, separators=(",", ":"), ensure_ascii=False)
            self._restored = text.encode("utf-8", "surrogatepass")

    def _read_held(self, reader: StreamReader) -> None:
        """Read a stream whose encoding only a whole body can be freed of."""
        if not self._held:
            return
        packed = b"".join(self._held)
        self._held.clear()
        try:
            plain = self._decode_whole(packed)
        except Exception as error:  # noqa: BLE001 - the HTTP library's decoders raise their own
            self._unreadable = f"{type(error).__name__}: {error}"
        else:
            self._read(reader, plain)

    def _body(self) -> Any:
        try:
            return json.loads(self._decode_whole(b"".join(self._held)))
        except Exception:  # noqa: BLE001 - a body that no decoder or parser takes is no reply
            return None


def _incremental(encoding: str | None) -> Decode | None:
    """What undoes a content encoding piece by piece; None where only the whole body can be read."""
    if encoding in (None, "", "identity"):
        return bytes
    if encoding in ("gzip", "deflate"):
        return zlib.decompressobj(GZIP_OR_ZLIB).decompress
    return None
