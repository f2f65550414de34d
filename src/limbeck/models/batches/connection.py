"""The HTTP under a batch API: JSON in and out, files up, and long JSON Lines down."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any, NamedTuple

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from limbeck.errors import ConfigError, TeacherError, UncertainError
from limbeck.models.dialects.table import Dialect, dialect, endpoint
from limbeck.models.waiting import should_retry, wait_s

REFUSED_UNREAD = frozenset({429, 529})
"""Too busy: the request was turned away before anything was done, so that it may be sent again."""
LONGEST_LINE = 64 * 2**20
"""Bytes; a longer line of results is a mistake, and reading on would only fill the memory."""
_PIECE = 2**16


class Answer(NamedTuple):
    """A JSON body, and the headers with names in lower case."""

    body: Any
    headers: Mapping[str, str]


class Connection:
    """An upstream as the batch endpoints of its dialect need it.

    `base_url` is what the provider's own client takes, `timeout_s` the longest silence on the wire.
    What may be sent twice is sent at most `attempts` times. Raises ConfigError for a URL that is none.
    """

    def __init__(
        self,
        base_url: str,
        dialect_name: str,
        api_key: str | None = None,
        *,
        timeout_s: float = 600.0,
        attempts: int = 6,
        first_wait_s: float = 0.5,
        longest_wait_s: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.dialect: Dialect = dialect(dialect_name)
        self._base_url = base_url
        self._api_key = api_key
        self._headers = self.dialect.headers(api_key)
        self._attempts = attempts
        self._first_wait_s = first_wait_s
        self._longest_wait_s = longest_wait_s
        self._sleep = sleep
        self._pool = urllib3.PoolManager(
            retries=False, timeout=urllib3.Timeout(connect=10.0, read=timeout_s)
        )
        self.place = _place(self.url(self.dialect.PATH), self.dialect.DEFAULT_BASE_URL)

    def url(self, path: str) -> str:
        return endpoint(self._base_url, self.dialect, path)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """The JSON at `path`. Raises TeacherError."""
        for attempt in count():
            try:
                response = self._pool.request(
                    "GET", self.url(path), fields=query, headers=self._headers
                )
            except HTTPError as error:
                self._wait_or_raise(attempt, error)
                continue
            headers = _lowered(response)
            if response.status == 200:
                return Answer(self._json(response.data), headers)
            self._wait_or_refuse(attempt, response.status, headers, response.data)
        raise AssertionError("the last attempt returns or raises")

    def post(self, path: str, body: bytes) -> Answer:
        """What the upstream says to `body`, which it must not get twice.

        It is sent again only where it cannot have been read. Raises UncertainError where nobody knows
        whether it was, and TeacherError where it was refused.
        """
        return self._send_once(path, body, self._headers)

    def upload(self, path: str, fields: Mapping[str, Any]) -> Answer:
        """Send a form with files; one that comes twice costs nothing. Raises TeacherError."""
        data, kind = urllib3.encode_multipart_formdata(dict(fields))
        for attempt in count():
            try:
                return self._send_once(path, data, {**self._headers, "content-type": kind})
            except UncertainError as error:
                if attempt + 1 == self._attempts:
                    raise TeacherError(str(error), error.status) from None
                self._sleep(self._pause_s(attempt, {}))
        raise AssertionError("the last attempt returns or raises")

    def lines(self, path: str) -> Iterator[bytes]:
        """The lines at `path`; where the connection breaks off, it goes on after the last whole one.

        Raises TeacherError.
        """
        given = 0
        for attempt in count():
            try:
                response = self._pool.request(
                    "GET", self.url(path), headers=self._headers, preload_content=False
                )
                if response.status != 200:
                    said = response.data
                    self._wait_or_refuse(attempt, response.status, _lowered(response), said)
                    continue
                for number, line in enumerate(self._split(response)):
                    if number >= given:
                        given += 1
                        yield line
                return
            except HTTPError as error:
                self._wait_or_raise(attempt, error)

    def close(self) -> None:
        self._pool.clear()

    def _send_once(self, path: str, body: bytes, sent: Mapping[str, str]) -> Answer:
        for attempt in count():
            try:
                response = self._pool.request("POST", self.url(path), body=body, headers=sent)
            except (NewConnectionError, ConnectTimeoutError) as error:
                self._wait_or_raise(attempt, error)
                continue
            except HTTPError as error:
                raise UncertainError(
                    f"the connection to {self.place} broke off ({type(error).__name__}) before it "
                    f"said whether it took the request"
                ) from None
            headers = _lowered(response)
            if response.status in (200, 201):
                try:
                    return Answer(self._json(response.data), headers)
                except TeacherError as error:
                    raise UncertainError(str(error), response.status) from None
            if response.status in REFUSED_UNREAD and attempt + 1 < self._attempts:
                self._sleep(self._pause_s(attempt, headers))
                continue
            refusal = self._refusal(response.status, response.data)
            if response.status >= 500 and response.status not in REFUSED_UNREAD:
                raise UncertainError(str(refusal), response.status)
            raise refusal
        raise AssertionError("the last attempt returns or raises")

    def _split(self, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        rest = b""
        try:
            for piece in response.stream(_PIECE):
                *whole, rest = (rest + piece).split(b"\n")
                yield from whole
                if len(rest) > LONGEST_LINE:
                    raise TeacherError(
                        f"{self.place} sent a result of more than {LONGEST_LINE:,} bytes; "
                        "wanted one line for each request"
                    )
            if rest:
                yield rest
        finally:
            response.close()

    def _json(self, data: bytes) -> Any:
        try:
            return json.loads(data)
        except ValueError as error:
            raise TeacherError(
                f"{self.place} sent what is not JSON ({error}); check the base URL"
            ) from None

    def _wait_or_raise(self, attempt: int, error: HTTPError) -> None:
        if attempt + 1 == self._attempts:
            raise TeacherError(
                f"{self.place} could not be reached in {self._attempts} attempts "
                f"({type(error).__name__}); check the base URL and the network, then run the same "
                "command again"
            ) from None
        self._sleep(self._pause_s(attempt, {}))

    def _wait_or_refuse(
        self, attempt: int, status: int, headers: Mapping[str, str], data: bytes
    ) -> None:
        if attempt + 1 == self._attempts or not should_retry(status, headers):
            raise self._refusal(status, data)
        self._sleep(self._pause_s(attempt, headers))

    def _pause_s(self, attempt: int, headers: Mapping[str, str]) -> float:
        return wait_s(attempt, headers, first_s=self._first_wait_s, longest_s=self._longest_wait_s)

    def _refusal(self, status: int, data: bytes) -> TeacherError:
        said = self.dialect.read_error(_json_or_none(data))
        if said and self._api_key:
            said = said.replace(self._api_key, "[key]")
        return TeacherError(
            f"{self.place} answered with status {status}{f' ({said})' if said else ''}; "
            f"{self._remedy(status)}",
            status,
        )

    def _remedy(self, status: int) -> str:
        if status in (401, 403):
            return "check the upstream's key"
        if status in (404, 405, 501):
            return "check the base URL; an upstream without a batch API is asked with --no-batch"
        if status == 413:
            return "the batch is too large for it"
        if should_retry(status, {}):
            return "it stayed busy: run the same command again later"
        return "check the request, above all the model's name"


def _lowered(response: urllib3.BaseHTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _json_or_none(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _place(url: str, example: str) -> str:
    """Scheme and host: a base URL may hold a user name and a password, which belong in no message."""
    try:
        parts = urllib3.util.parse_url(url)
    except urllib3.exceptions.LocationParseError:
        parts = urllib3.util.Url()
    if parts.scheme not in ("http", "https") or not parts.host:
        raise ConfigError(f"the upstream's base URL cannot be read; wanted one such as {example!r}")
    return urllib3.util.Url(parts.scheme, None, parts.host, parts.port).url
