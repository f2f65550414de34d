"""Which wire formats there are: a table from name to module, imported on use."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Any, Protocol, cast

from limbeck.errors import ConfigError
from limbeck.models.call import Call, Reply

TABLE: dict[str, str] = {
    "anthropic": "limbeck.models.dialects.anthropic",
    "openai_chat": "limbeck.models.dialects.openai_chat",
    "openai_responses": "limbeck.models.dialects.openai_responses",
}


class StreamReader(Protocol):
    """Collects a reply while the bytes of its stream pass by."""

    ended: bool
    """The stream has said that it is over, by its last event or by an error event."""

    def feed(self, chunk: bytes) -> None: ...

    def reply(self) -> Reply: ...


class Dialect(Protocol):
    """What a module of this folder offers; each function is pure."""

    NAME: str
    PATH: str
    BASE_PATH: str
    DEFAULT_BASE_URL: str
    KEY_ENV: str

    def headers(self, api_key: str | None) -> dict[str, str]: ...

    def read_request(self, body: Any) -> Call: ...

    def write_request(
        self, *, model: str, system: str, user: str, max_tokens: int = 1024, stream: bool = False
    ) -> dict[str, Any]: ...

    def read_reply(self, body: Any) -> Reply: ...

    def write_reply(self, reply: Reply) -> dict[str, Any]: ...

    def write_stream(self, reply: Reply, *, with_usage: bool = True) -> Iterator[bytes]: ...

    def write_error(self, status: int, kind: str, message: str) -> dict[str, Any]: ...

    def read_error(self, body: Any) -> str | None: ...

    def StreamReader(self) -> StreamReader: ...  # noqa: N802 - the name of a class in each module


@cache
def dialect(name: str) -> Dialect:
    """The dialect called `name`. Raises ConfigError where there is none."""
    if name not in TABLE:
        raise ConfigError(f"dialect is {name!r}; wanted one of {', '.join(TABLE)}")
    return cast(Dialect, import_module(TABLE[name]))


def endpoint(base_url: str, dialect: Dialect, path: str | None = None) -> str:
    """The URL of `path` (as a client of the gateway writes it) under a provider's base URL.

    A base URL is what the provider's own client takes: that of Chat Completions ends in `/v1`.
    """
    return base_url.rstrip("/") + (path or dialect.PATH).removeprefix(dialect.BASE_PATH)
