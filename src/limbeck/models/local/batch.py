"""Requests that are written together: they join what is being written, and leave it when they are done."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from limbeck.errors import StudentError
from limbeck.models.local.requests import Piece, Request, Wrote

if TYPE_CHECKING:
    from limbeck.models.local.loop import Line
    from limbeck.models.local.said import Token
    from limbeck.models.local.student import Student

Told = Callable[[Piece], None]
"""Called with each token as it is written, in the thread that takes the steps."""


@dataclass(eq=False)
class _Job:
    request: Request
    line: Line
    future: Future[Wrote]
    given: tuple[int, ...] = ()
    prompt: tuple[Piece, ...] = ()


class Batch:
    """What a student is writing, at most `most` requests at once.

    All but `forget` is for one thread, the one that takes the steps.
    """

    def __init__(self, student: Student, *, most: int = 64) -> None:
        from limbeck.models.local.loop import Loop

        self._student = student
        self._room = most
        self._rows = student.decoder.rows()
        self._loop = Loop(self._rows)
        self._jobs: list[_Job] = []
        self._fresh: list[_Job] = []
        self._forgotten: set[Future[Wrote]] = set()
        self.most = 0
        """The most requests that were written together."""

    @property
    def busy(self) -> bool:
        """Whether a step is to be taken."""
        return bool(self._jobs or self._fresh)

    @property
    def open(self) -> bool:
        """Whether one more request may join now."""
        full = len(self._jobs) + len(self._fresh) >= self._room
        return not full and (self._rows.joinable or not self._loop.live)

    def join(self, request: Request, told: Told | None, future: Future[Wrote]) -> None:
        """A request to begin with at the next step; `future` gets its reply."""
        if not future.set_running_or_notify_cancel():
            return
        try:
            line, given = self._line(request)
            job = _Job(request, line, future, given)
            if request.echo:
                job.prompt = self._echo(request, line)
        # The boundary of one request: its asker is told, the others go on.
        except Exception as error:  # noqa: BLE001
            future.set_exception(error)
            return
        if self._in_turns(request):
            self._answer_in_turns(job)
            return
        if told is not None:
            line.on_token = self._showing(job, told)
        self._fresh.append(job)

    def forget(self, future: Future[Wrote]) -> None:
        """Nobody waits for this reply any more: it leaves at the next step. From any thread."""
        if not future.cancel():
            self._forgotten.add(future)

    def step(self) -> None:
        """One more token of all, those that have just joined among them."""
        import torch

        with torch.inference_mode():
            self._step()

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

    def _step(self) -> None:
        fresh, self._fresh = self._fresh, []
        self._jobs += fresh
        self.most = max(self.most, len(self._jobs))
        if self._forgotten:
            self._forgotten = {one for one in self._forgotten if not one.done()}
        try:
            self._loop.step([job.line for job in fresh])
            self._deliver()
        # The boundary of the batch: a step that fails fails all that took part in it.
        except Exception as error:  # noqa: BLE001
            for job in self._jobs:
                job.future.set_exception(error)
            self._jobs = []
            self._rows = self._student.decoder.rows()
            self._loop.restart(self._rows)

    def _deliver(self) -> None:
        if self._loop.live == len(self._jobs) and not self._forgotten:
            return
        for job in [job for job in self._jobs if job.future in self._forgotten]:
            self._loop.drop(job.line)
            self._jobs.remove(job)
            self._forgotten.discard(job.future)
            job.future.set_exception(StudentError("the request was given up by who made it"))
        for job in [job for job in self._jobs if job.line.done]:
            job.future.set_result(self._wrote(job))
        self._jobs = [job for job in self._jobs if not job.line.done]

    # -- between text and tokens ------------------------------------------------------------------

    def _line(self, request: Request) -> tuple[Line, tuple[int, ...]]:
        """The line of a request, and the ids of the rationale that it puts into the student's mouth."""
        decoder, card = self._student.decoder, self._student.card
        given: tuple[int, ...] = ()
        room = card.max_new_tokens if request.room is None else request.room
        if request.raw:
            prompt = decoder.raw(request.prompt)
            line = decoder.line(prompt, card.ask, room)
            line.stops = frozenset({decoder.end, *request.stops})
        else:
            if not isinstance(request.prompt, str):
                raise StudentError("an input of the task is a text; ids go with raw prompts")
            [prompt] = decoder.prompts([request.prompt], card.ask)
            if request.rationale is not None:
                if card.ask.order != "rationale_answer":
                    raise StudentError("a rationale is given to a student that thinks first, only")
                [given] = decoder.encode([request.rationale])
                begin = (*prompt.begin, *given, *decoder.closing(card.ask))
                prompt = prompt._replace(begin=begin)
            line = decoder.line(prompt, card.ask, room)
            line.stops |= frozenset(request.stops)
        decoder.check_room(len(prompt.ids) + room)
        line.temperature, line.top = request.temperature, request.top
        if request.temperature > 0:
            import numpy as np

            draws = np.random.Generator(np.random.Philox(key=[request.seed, 0]))
            line.draws = draws.random(room).tolist()
        return line, given

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
        written, request = job.line.written, job.request
        stopped = bool(written) and written[-1].id in job.line.stops
        said = None
        if not request.raw:
            answering = request.rationale is not None
            said = reader.read(written, ask, given=job.given, answering=answering)
        return Wrote(
            said=said,
            text=reader.text([token.id for token in written]) if request.pieces else "",
            prompt=job.prompt,
            # The text of every single token takes longer than all of them together.
            pieces=tuple(map(self._piece, written)) if request.pieces else (),
            prompt_tokens=len(job.line.prompt.ids),
            stopped=stopped,
        )
