"""What the gateway says of itself, and where outcomes come in: everything under `/limbeck/`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from limbeck import __version__
from limbeck.capture.outcomes import attach
from limbeck.errors import StoreError
from limbeck.serve.admission import Admission
from limbeck.serve.counts import Counts
from limbeck.serve.http.message import Request
from limbeck.serve.http.server import Client
from limbeck.serve.recorder import Recorder
from limbeck.serve.saying import JSON
from limbeck.serve.setup import Setup, Source
from limbeck.store.store import Store

Scrape = Callable[[str], Awaitable[tuple[bytes, str]]]
"""The numbers as a page and its content type, in a format that an `accept` header names."""


class Control:
    """The gateway's own pages."""

    def __init__(
        self,
        store: Store,
        setup: Setup,
        recorder: Recorder,
        counts: Counts,
        source: Source | None,
        admission: Admission,
        scrape: Scrape,
    ) -> None:
        self.setup = setup
        self._store = store
        self._recorder = recorder
        self._counts = counts
        self._source = source
        self._admission = admission
        self._scrape = scrape
        self._pages: dict[tuple[bytes, bytes], Callable[[Request, Client], Awaitable[None]]] = {
            (b"GET", b"/limbeck/health"): self._show_health,
            (b"GET", b"/limbeck/metrics"): self._show_metrics,
            (b"POST", b"/limbeck/v1/outcomes"): self._attach,
        }

    async def answer(
        self, request: Request, client: Client, path: bytes, *, stranger: bool
    ) -> None:
        """Answer a request for a page of the gateway. A stranger, who came without a key that was
        wanted, learns of its health only whether it is well."""
        if stranger:
            return say(client, 200, {"status": self.health()["status"]})
        method = b"GET" if request.method == b"HEAD" else request.method
        page = self._pages.get((method, path))
        if page is not None:
            return await page(request, client)
        known = [name for name in self._pages if name[1] == path]
        if known:
            allowed = b", ".join(name[0] for name in known)
            return say(client, 405, {"error": f"wanted {allowed.decode()}"}, allow=allowed)
        listed = ", ".join(sorted({name[1].decode() for name in self._pages}))
        return say(client, 404, {"error": f"there is no such page; there are {listed}"})

    def greet(self, client: Client) -> None:
        """Say who is here."""
        say(client, 200, {"limbeck": __version__, "health": "/limbeck/health"})

    def health(self) -> dict[str, Any]:
        """What works and what does not, with the counts since the start."""
        counts = self._counts
        stale = self._source.error if self._source else None
        locked = self._admission.problem
        lost = counts.unrecorded or counts.spooled > counts.absorbed
        failing = lost or counts.student_failures or stale or locked
        return {
            "status": "degraded" if failing else "ok",
            "version": __version__,
            "tasks": {name: task.mode for name, task in sorted(self.setup.tasks.items())},
            "waiting_for_disk": self._recorder.waiting,
            "configuration_error": stale,
            "keys_error": locked,
            **vars(counts),
        }

    async def _show_health(self, request: Request, client: Client) -> None:
        say(client, 200, self.health())

    async def _show_metrics(self, request: Request, client: Client) -> None:
        accept = request.header(b"accept") or b""
        body, kind = await self._scrape(accept.decode("latin-1"))
        client.send(200, [(b"content-type", kind.encode())], body)

    async def _attach(self, request: Request, client: Client) -> None:
        try:
            body = json.loads(request.body)
        except (ValueError, RecursionError):
            message = "the body is not JSON; wanted an outcome, or a list of them"
            return say(client, 400, {"status": 400, "error": message})
        single = not isinstance(body, list)
        try:
            entries = [body] if single else body
            results = await asyncio.to_thread(attach, self._store, entries, self.setup.tasks)
        except StoreError as error:
            return say(client, 503, {"status": 503, "error": str(error)})
        shown = [result.model_dump(exclude_none=True) for result in results]
        if single:
            return say(client, results[0].status, shown[0])
        whole = all(result.status < 300 for result in results)
        return say(client, 200 if whole else 207, {"results": shown})


def say(client: Client, status: int, body: dict[str, Any], *, allow: bytes | None = None) -> None:
    """Answer with JSON."""
    headers = [JSON, (b"allow", allow)] if allow else [JSON]
    client.send(status, headers, json.dumps(body).encode())
