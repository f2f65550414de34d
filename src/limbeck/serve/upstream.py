"""The connection to the teachers: one client session, bytes in and bytes out."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from limbeck.models.dialects.table import Dialect, endpoint
from limbeck.serve.headers import RawHeaders, brings_key, to_teacher
from limbeck.serve.settings import GatewaySettings

Failure = (aiohttp.ClientError, TimeoutError, OSError)
"""What a teacher that cannot be reached, hangs up or stays silent raises."""

LONGEST_HEADER = 65536
"""Bytes in one header line; providers send long ones."""


class Upstreams:
    """All teachers of a gateway; use as an async context manager."""

    def __init__(self, settings: GatewaySettings, environ: Mapping[str, str] = os.environ) -> None:
        self._settings = settings
        self._environ = environ

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            # Cookies of one client must not reach another.
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(
                total=None,
                sock_connect=self._settings.connect_timeout_s,
                sock_read=self._settings.silence_timeout_s,
            ),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            max_line_size=LONGEST_HEADER,
            max_field_size=LONGEST_HEADER,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def send(
        self,
        dialect: Dialect,
        method: str,
        path: str,
        query: bytes,
        headers: RawHeaders,
        body: bytes,
    ) -> aiohttp.ClientResponse:
        """The teacher's response, its body still to be read. Raises one of `Failure`."""
        upstream = self._settings.upstreams[dialect.NAME]
        url = endpoint(upstream.base_url, dialect, path)
        if query:
            url += "?" + query.decode("latin-1")
        sent = to_teacher(headers)
        if upstream.key_env and not brings_key(headers):
            sent += self._own_key(dialect, upstream.key_env, {name for name, _ in sent})
        return await self._session.request(
            method,
            URL(url, encoded=True),
            headers=sent,
            data=body or None,
            allow_redirects=False,
        )

    def _own_key(self, dialect: Dialect, key_env: str, present: set[str]) -> list[tuple[str, str]]:
        api_key = self._environ.get(key_env)
        if not api_key:
            return []
        needed = dialect.headers(api_key)
        return [(name, value) for name, value in needed.items() if name not in present]


def decoded(body: bytes, encoding: str | None) -> bytes:
    """`body` as it was before a server compressed it, asked or not.

    Raises ValueError where it cannot be read.
    """
    if encoding in (None, "", "identity"):
        return body
    if encoding not in ("gzip", "deflate"):
        raise ValueError(f"content-encoding is {encoding!r}; wanted gzip or deflate")
    try:
        # 32 + 15 bits: zlib tells the two formats apart by their first bytes.
        return zlib.decompress(body, 47)
    except zlib.error as error:
        raise ValueError(f"the body is not {encoding}: {error}") from None
