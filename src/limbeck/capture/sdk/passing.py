"""The bytes of a reply on their way to the program that asked; what ends it waits for the disk."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from functools import cache
from typing import Any

from limbeck.capture.sdk.journal import Kept
from limbeck.capture.sdk.session import Session
from limbeck.capture.sdk.watch import Watch


def as_stream(passing: type, response: Any, session: Session, watch: Watch) -> Any:
    """The stream of `response`, read along; of the class that its HTTP library asks for."""
    kind = _stream_kind(passing, type(response).__module__.partition(".")[0])
    return kind(response.stream, session, watch)


@cache
def _stream_kind(passing: type, library: str) -> type:
    name = "SyncByteStream" if passing is Passing else "AsyncByteStream"
    return type(passing.__name__, (passing, getattr(sys.modules[library], name)), {})


class _Passing:
    def __init__(self, stream: Any, session: Session, watch: Watch) -> None:
        self._stream = stream
        self._session = session
        self._watch = watch

    @property
    def elapsed(self) -> Any:
        """What the HTTP library reads from its own streams."""
        return self._stream.elapsed


class Passing(_Passing):
    """A reply that is read in a thread."""

    def __iter__(self) -> Iterator[bytes]:
        session, watch = self._session, self._watch
        try:
            for chunk in self._stream:
                shown = watch.feed(chunk)
                if watch.over:
                    settled(session, session.keep(watch, "whole"))
                if shown:
                    yield shown
        except GeneratorExit:
            # Whoever stopped reading closes the stream, and that is recorded there.
            raise
        except BaseException as error:
            settled(session, session.lost(watch, error), quiet=True)
            raise
        settled(session, session.keep(watch, "whole"))
        rest = watch.rest()
        if rest:
            yield rest

    def close(self) -> None:
        try:
            self._session.leave(self._watch)
        finally:
            self._stream.close()


class AsyncPassing(_Passing):
    """A reply that is read in an event loop."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        session, watch = self._session, self._watch
        try:
            async for chunk in self._stream:
                shown = watch.feed(chunk)
                if watch.over:
                    await settled_async(session, session.keep(watch, "whole"))
                if shown:
                    yield shown
        except GeneratorExit:
            raise
        except BaseException as error:
            await settled_async(session, session.lost(watch, error), quiet=True)
            raise
        await settled_async(session, session.keep(watch, "whole"))
        rest = watch.rest()
        if rest:
            yield rest

    async def aclose(self) -> None:
        try:
            self._session.leave(self._watch)
        finally:
            await self._stream.aclose()


def settled(session: Session, written: Future[Kept] | None, *, quiet: bool = False) -> None:
    """Wait until a trace is on disk, or the store has said why it is not."""
    if written is not None:
        session.settle(written, quiet=quiet)


async def settled_async(
    session: Session, written: Future[Kept] | None, *, quiet: bool = False
) -> None:
    """`settled`, without holding up the event loop (that of asyncio, or trio's)."""
    if written is None:
        return
    await _done(written)
    session.settle(written, quiet=quiet)


async def _done(written: Future[Kept]) -> None:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        import anyio.to_thread

        await anyio.to_thread.run_sync(written.exception, abandon_on_cancel=True)
        return
    # Not `wrap_future`: a caller that is cancelled must not cancel the writing.
    done = asyncio.Event()

    def tell(_: Future[Kept]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
            loop.call_soon_threadsafe(done.set)

    written.add_done_callback(tell)
    await done.wait()
