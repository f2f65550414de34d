"""Where the teachers are and who pays: a request's bytes for an upstream."""

from __future__ import annotations

from dataclasses import dataclass

from limbeck.models.dialects.table import Dialect, dialect
from limbeck.models.prices import provider_of
from limbeck.serve.headers import brings_key, to_teacher
from limbeck.serve.http.client import Origin
from limbeck.serve.http.message import RawHeaders, head
from limbeck.serve.keys import read_key
from limbeck.serve.settings import Upstream


@dataclass(frozen=True)
class Teacher:
    """An upstream, ready to be asked. `key` stands for clients that bring none."""

    name: str
    dialect: Dialect
    origin: Origin
    key: str | None
    provider: str | None
    streamed_usage: bool

    @classmethod
    def of(cls, name: str, upstream: Upstream) -> Teacher:
        """Raises ConfigError for a key file that others may read."""
        spoken = dialect(upstream.dialect or name)
        return cls(
            name=name,
            dialect=spoken,
            origin=Origin.of(upstream.base_url),
            key=read_key(upstream),
            provider=provider_of(spoken.NAME, upstream.base_url),
            streamed_usage=upstream.streamed_usage,
        )

    def request(
        self,
        method: bytes,
        path: bytes,
        query: bytes,
        headers: RawHeaders,
        body: bytes,
        *,
        read: bool,
    ) -> bytes:
        """The whole request as it goes over the wire."""
        sent = to_teacher(headers, read=read)
        if self.key is not None and not brings_key(headers):
            present = {name.lower() for name, _ in sent}
            sent += [
                (name.encode(), value.encode("latin-1"))
                for name, value in self.dialect.headers(self.key).items()
                if name.encode() not in present
            ]
        if body or method in (b"POST", b"PUT", b"PATCH"):
            sent.append((b"content-length", b"%d" % len(body)))
        target = self.origin.path + path.removeprefix(self.dialect.BASE_PATH.encode())
        line = b"%b %b%b HTTP/1.1" % (method, target or b"/", query)
        return head(line, [(b"host", self.origin.authority), *sent]) + body
