"""What a wrapped client knows: its task, its store, and what to do when the store fails."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

from limbeck.capture.elicit.prepare import prepare
from limbeck.capture.recording import Exchange
from limbeck.capture.sdk.desk import Desk
from limbeck.capture.sdk.journal import LOG, Kept
from limbeck.capture.sdk.paths import Place, body_of, place_of, written
from limbeck.capture.sdk.scope import KEY_HEADER, SUBJECT_HEADER, TASK_HEADER, current_scope
from limbeck.capture.sdk.watch import End, Watch
from limbeck.capture.skeleton import divide
from limbeck.errors import ConfigError, DataError, StoreError
from limbeck.models.dialects.openai_chat import ask_for_usage
from limbeck.models.dialects.table import dialect
from limbeck.models.prices import provider_of
from limbeck.types import Task

OnFailure = Literal["warn", "raise"]
SIGNED = "AWS4-HMAC"
"""How the signature of AWS begins; it covers headers by name, and the body."""
OURS = (TASK_HEADER, KEY_HEADER, SUBJECT_HEADER)
NOT_SENT = frozenset(
    {
        "ConnectError",
        "ConnectTimeout",
        "LocalProtocolError",
        "PoolTimeout",
        "ProxyError",
        "UnsupportedProtocol",
    }
)
"""Errors of the HTTP library, by name, after which no call has reached the teacher."""

Value = TypeVar("Value")


class Outgoing(NamedTuple):
    """A call as it is sent. `headers` are those of ours that a gateway is told. `content` is None
    where the body stays as it was; `watch` is None where the call is not recorded here."""

    headers: Mapping[str, str] = {}
    content: bytes | None = None
    watch: Watch | None = None


class Session:
    """The settings and the counts of one wrapped client.

    `desk` is None behind a gateway, which records by itself. `foreign` is the root of the client's
    own errors: what is raised through the client is one of those too, so that it is not taken for a
    broken connection and tried again.
    """

    def __init__(
        self,
        desk: Desk | None,
        task: Task | str | None,
        *,
        foreign: type[Exception],
        on_failure: OnFailure = "warn",
        streamed_usage: bool = True,
    ) -> None:
        self._desk = desk
        self._task = task
        self._on_failure = on_failure
        self._streamed_usage = streamed_usage
        self._config_error = type("ConfigError", (ConfigError, foreign), {})
        self._store_error = type("StoreError", (StoreError, foreign), {})
        self._lock = threading.RLock()
        self._providers: dict[tuple[str, str], str | None] = {}
        self.recorded = 0
        self.spooled = 0
        self.unrecorded = 0
        self.unread = 0
        self.last_error: str | None = None

    def begin(
        self, method: str, url: str, headers: Mapping[str, str], content: Callable[[], bytes]
    ) -> Outgoing:
        """How to send a request; `headers` has lower-case names.

        Raises ConfigError for a task that is not there.
        """
        scope = current_scope()
        usual = self._task.name if isinstance(self._task, Task) else self._task
        told = {
            TASK_HEADER: headers.get(TASK_HEADER) or scope.task or usual,
            KEY_HEADER: headers.get(KEY_HEADER) or scope.correlation,
            SUBJECT_HEADER: headers.get(SUBJECT_HEADER) or scope.subject,
        }
        if self._desk is None:
            return Outgoing({name: value for name, value in told.items() if value})
        place = place_of(method, urlsplit(url).path)
        if place is None:
            return Outgoing()
        desk, task = self._desk, self._named(self._desk, told[TASK_HEADER])
        if task is not None and task.mode == "off":
            return Outgoing()
        # A signature covers the body, which then stays as it is.
        fixed = headers.get("authorization", "").startswith(SIGNED)
        return self._guarded(
            lambda: self._watched(desk, place, url, content(), task, told, fixed), Outgoing()
        )

    def keep(self, watch: Watch, end: End) -> Future[Kept] | None:
        """Write the trace of a call whose reply is at its end; None where there is none to write."""
        recording = self._guarded(lambda: watch.recording(end), None)
        if recording is None or self._desk is None:
            return None
        return self._desk.journal.submit(recording.trace, recording.blobs)

    def lost(self, watch: Watch, error: BaseException) -> Future[Kept] | None:
        """`keep` for a call that ended with `error`, raised by the HTTP library or by its caller."""
        if not isinstance(error, Exception):
            self.leave(watch)
            return None
        name = type(error).__name__
        if name in NOT_SENT:
            return None
        return self.keep(watch, "timeout" if "Timeout" in name else "hang_up")

    def leave(self, watch: Watch) -> None:
        """Write the trace of a call whose reply nobody reads on. Waits for nothing: this is called
        from finalizers too, in whatever thread they run."""
        written = self.keep(watch, "client_gone")
        if written is not None:
            written.add_done_callback(lambda done: self.settle(done, quiet=True))

    def settle(self, written: Future[Kept], *, quiet: bool = False) -> None:
        """Count how the writing went. Raises StoreError where it failed and that was asked for,
        unless there is an error on its way already (`quiet`)."""
        error = written.exception()
        with self._lock:
            if error is None:
                self.recorded += 1
                self.spooled += written.result() == "spool"
                return
            self.unrecorded += 1
            self.last_error = f"{type(error).__name__}: {error}"
        if self._on_failure == "raise" and not quiet:
            raise self._store_error(f"the call was answered but not recorded: {error}") from error
        LOG.warning("a call was not recorded (%d so far): %s", self.unrecorded, error)

    def _named(self, desk: Desk, name: str | None) -> Task | None:
        if name is None:
            return None
        if isinstance(self._task, Task) and name == self._task.name:
            return self._task
        try:
            return desk.task(name)
        except ConfigError as error:
            raise self._config_error(str(error)) from error

    def _watched(
        self,
        desk: Desk,
        place: Place,
        url: str,
        content: bytes,
        task: Task | None,
        told: Mapping[str, str | None],
        fixed: bool,
    ) -> Outgoing:
        body = body_of(place, content)
        if body is None:
            raise DataError("the request's body is no JSON object")
        speaks = dialect(place.dialect)
        call = speaks.read_request(body)
        exchange = Exchange(
            source="sdk",
            task=task,
            call=call,
            division=divide(task, call, body),
            dialect=place.dialect,
            request_id=f"req_{uuid.uuid4().hex}",
            at=datetime.now(UTC),
            correlation=told[KEY_HEADER],
            subject=told[SUBJECT_HEADER],
            provider=self._provider(place.dialect, url),
            redactor=desk.redactor(task),
        )
        if fixed:
            return Outgoing(watch=Watch(exchange, speaks))
        prepared = None
        if task is not None and task.elicit.how != "never":
            prepared = prepare(task, place.dialect, body, draw=random.random())
        changed = body if prepared is None else prepared.body
        counts = call.stream and not call.wants_usage and self._streamed_usage
        if counts:
            changed = ask_for_usage(changed)
        watch = Watch(exchange, speaks, hides_usage=counts, prepared=prepared)
        return Outgoing(content=None if changed is body else written(place, changed), watch=watch)

    def _provider(self, dialect_name: str, url: str) -> str | None:
        parts = urlsplit(url)
        key = dialect_name, f"{parts.scheme}://{parts.netloc}"
        if key not in self._providers:
            self._providers[key] = provider_of(*key)
        return self._providers[key]

    def _guarded(self, make: Callable[[], Value], otherwise: Value) -> Value:
        """What we cannot read passes all the same, counted."""
        try:
            return make()
        except DataError as error:
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not cost a call
            reason = f"{type(error).__name__}: {error}"
        with self._lock:
            self.unread += 1
            self.last_error = reason
        LOG.warning("a call passed unread (%d so far): %s", self.unread, reason)
        return otherwise
