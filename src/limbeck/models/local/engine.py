"""Continuous batching: requests join the batch that is being written, and leave it when they are done."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from limbeck.errors import StudentError
from limbeck.models.local.requests import Piece, Request, Wrote

if TYPE_CHECKING:
    from limbeck.models.local.loop import Line, Loop
    from limbeck.models.local.said import Token
    from limbeck.models.local.student import Student

Told = Callable[[Piece], None]
"""Called with each token as it is written, in the engine's thread."""


@dataclass(eq=False)
class _Job:
    request: Request
    line: Line
    future: Future[Wrote]
    prompt: tuple[Piece, ...] = ()


class Engine:
    """A student at work in a thread of its own, on at most `batch` requests at once."""

    def __init__(self, student: Student, *, batch: int = 64) -> None:
        self._student = student
        self._batch = batch
        self._waiting: queue.SimpleQueue[tuple[Request, Told | None, Future[Wrote]] | None] = (
            queue.SimpleQueue()
        )
        self._jobs: list[_Job] = []
        self._forgotten: set[Future[Wrote]] = set()
        self._closing = False
        self.most = 0
        """The most requests that were written together."""
        self._thread = threading.Thread(target=self._run, name="limbeck-engine", daemon=True)
        self._thread.start()

    def submit(self, request: Request | str, told: Told | None = None) -> Future[Wrote]:
        """A reply to come."""
        if isinstance(request, str):
            request = Request(request)
        future: Future[Wrote] = Future()
        if self._closing:
            raise StudentError("the student is being put away and takes no more requests")
        self._waiting.put((request, told, future))
        return future

    def forget(self, future: Future[Wrote]) -> None:
        """Nobody waits for this reply any more: it leaves the batch at the next step."""
        if not future.cancel():
            self._forgotten.add(future)

    def close(self) -> None:
        """Takes no more requests, and returns when those under way are done."""
        self._closing = True
        self._waiting.put(None)
        self._thread.join()

    # -- in the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        import torch

        from limbeck.models.local.loop import Loop

        with torch.inference_mode():
            rows = self._student.decoder.rows()
            loop = Loop(rows)
            ended = False
            while not (ended and not self._jobs):
                fresh: list[_Job] = []
                self._forgotten = {one for one in self._forgotten if not one.done()}
                while len(self._jobs) + len(fresh) < self._batch and not ended:
                    if not rows.joinable and loop.live:
                        break
                    try:
                        taken = self._waiting.get(block=not (self._jobs or fresh))
                    except queue.Empty:
                        break
                    if taken is None:
                        ended = True
                    else:
                        fresh += self._begin(*taken)
                self._go_on(loop, fresh)

    def _begin(self, request: Request, told: Told | None, future: Future[Wrote]) -> list[_Job]:
        if not future.set_running_or_notify_cancel():
            return []
        try:
            line = self._line(request)
            job = _Job(request, line, future)
            if request.echo:
                job.prompt = self._echo(request, line)
        # The boundary of one request: its asker is told, the others go on.
        except Exception as error:  # noqa: BLE001
            future.set_exception(error)
            return []
        if self._in_turns(request):
            self._answer_in_turns(job)
            return []
        if told is not None:
            line.on_token = self._showing(job, told)
        return [job]

    def _in_turns(self, request: Request) -> bool:
        ask = self._student.card.ask
        return not request.raw and (ask.asker is not None or ask.again is not None)

    def _answer_in_turns(self, job: _Job) -> None:
        """A student that is asked twice is asked alone, and greedily: its second prompt hangs on what it
        said first, so that it has no one line that others could join."""
        try:
            if job.request.temperature > 0:
                raise StudentError("a student that is asked in two turns is not sampled here")
            [said] = self._student.ask([str(job.request.prompt)])
            job.future.set_result(
                Wrote(said, said.answer or "", (), (), len(job.line.prompt.ids), said.stopped)
            )
        except Exception as error:  # noqa: BLE001 - the boundary of one request
            job.future.set_exception(error)

    def _go_on(self, loop: Loop, fresh: list[_Job]) -> None:
        """One step of all, and the joining of those that are fresh."""
        self._jobs += fresh
        self.most = max(self.most, len(self._jobs))
        try:
            loop.join([job.line for job in fresh])
            self._deliver(loop)
            if loop.live:
                loop.step()
                self._deliver(loop)
        # The boundary of the batch: a step that fails fails all that took part in it.
        except Exception as error:  # noqa: BLE001
            for job in self._jobs:
                job.future.set_exception(error)
            self._jobs = []
            loop.restart(self._student.decoder.rows())

    def _deliver(self, loop: Loop) -> None:
        for job in [job for job in self._jobs if job.future in self._forgotten]:
            loop.drop(job.line)
            self._jobs.remove(job)
            self._forgotten.discard(job.future)
            job.future.set_exception(StudentError("the request was given up by who made it"))
        for job in [job for job in self._jobs if job.line.done]:
            job.future.set_result(self._wrote(job))
        self._jobs = [job for job in self._jobs if not job.line.done]

    # -- between text and tokens ------------------------------------------------------------------

    def _line(self, request: Request) -> Line:
        import numpy as np

        decoder, card = self._student.decoder, self._student.card
        room = card.max_new_tokens if request.room is None else request.room
        if request.raw:
            prompt = decoder.raw(request.prompt)
            line = decoder.line(prompt, card.ask, room)
            line.stops = frozenset({decoder.end, *request.stops})
        else:
            if not isinstance(request.prompt, str):
                raise StudentError("an input of the task is a text; ids go with raw prompts")
            [prompt] = decoder.prompts([request.prompt], card.ask)
            line = decoder.line(prompt, card.ask, room)
            line.stops |= frozenset(request.stops)
        decoder.check_room(len(prompt.ids) + room)
        line.temperature, line.top = request.temperature, request.top
        if request.temperature > 0:
            draws = np.random.Generator(np.random.Philox(key=[request.seed, 0]))
            line.draws = draws.random(room).tolist()
        return line

    def _echo(self, request: Request, line: Line) -> tuple[Piece, ...]:
        from limbeck.models.local.scoring import told

        decoder = self._student.decoder
        if decoder.model.config.is_encoder_decoder:
            raise StudentError("an encoder-decoder reads its prompt and does not write it: no echo")
        ids = line.prompt.ids
        tokens = told(decoder.rows(), ids, request.top)
        return (Piece(ids[0], decoder.name(ids[0]), None), *map(self._piece, tokens))

    def _showing(self, job: _Job, told: Told) -> Callable[[Token], None]:
        """Tells each token with the text that it adds to what is visible."""
        reader, ask = self._student.decoder.reader, self._student.card.ask
        ids: list[int] = []
        shown = ""

        def tell(token: Token) -> None:
            nonlocal shown
            ids.append(token.id)
            text = reader.text(ids if job.request.raw else reader.answering(ids, ask))
            more = ""
            # Bytes of a character that is not whole yet read as U+FFFD.
            if text.startswith(shown) and not text.endswith("\ufffd"):
                more, shown = text[len(shown) :], text
            told(replace(self._piece(token), shown=more))

        return tell

    def _piece(self, token: Token) -> Piece:
        name = self._student.decoder.name
        return Piece(
            token.id,
            name(token.id),
            token.logprob,
            tuple((at, name(at), logprob) for at, logprob in token.top),
        )

    def _wrote(self, job: _Job) -> Wrote:
        reader, ask = self._student.decoder.reader, self._student.card.ask
        written = job.line.written
        stopped = bool(written) and written[-1].id in job.line.stops
        said = None if job.request.raw else reader.read(written, ask)
        return Wrote(
            said=said,
            text=reader.text([token.id for token in written]),
            prompt=job.prompt,
            pieces=tuple(self._piece(token) for token in written),
            prompt_tokens=len(job.line.prompt.ids),
            stopped=stopped,
        )
