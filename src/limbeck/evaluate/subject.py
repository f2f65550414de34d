"""Whoever is evaluated: a student in a folder, a student behind a URL, or the teacher itself.

All of them are asked the same questions and verified by the same judge. What a local student says is
kept beside its weights, named by the questions, so that a second evaluation asks nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
import urllib3
from numpy.typing import NDArray

from limbeck import __version__
from limbeck.capture.reply import read_reply
from limbeck.errors import TeacherError, UsageError
from limbeck.models.call import Reply
from limbeck.models.local import Student, read_card
from limbeck.models.prices import cost_usd
from limbeck.models.remote import Question, Teacher
from limbeck.types import Ask, Example, StudentCard, Task, content_hash
from limbeck.verify.table import judge, normalize

TEACHER = "teacher"
URL = "url"
"""What stands for the recipe of somebody whose training nobody here knows."""
_HOPELESS = (401, 403, 404)

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Replies:
    """N verified replies, in the order of their questions."""

    examples: list[Example]
    said: list[str | None]
    """The answer in the task's form; None where there was none or it was not in form."""
    right: NDArray[np.bool_]  # (N,)
    rationales: list[str | None]
    logprob: NDArray[np.float64]  # (N,) of the whole answer and its stop, nats; NaN where unknown
    tokens: NDArray[np.int64]  # (N,) tokens written
    seconds: float
    """Time of all of them on this machine, or until each reply came, summed."""
    cost_usd: float | None = 0.0
    """None where nobody knows the price."""
    failed: int = 0
    """Questions that got no reply at all; they count as wrong."""

    @property
    def accuracy(self) -> float:
        return float(self.right.mean()) if len(self.right) else 0.0


class Subject(Protocol):
    """Somebody who answers questions of one task."""

    @property
    def name(self) -> str: ...

    @property
    def card(self) -> StudentCard: ...

    def ask(self, examples: Sequence[Example], *, progress: Progress | None = None) -> Replies:
        """Their replies, verified against each example's truth."""
        ...

    def of_task(self, task: Task) -> Subject:
        """The same subject, asked and read as another task says."""
        ...


class LocalStudent:
    """A student's folder; its weights are loaded when something new is asked."""

    def __init__(self, folder: Path, *, threads: int = 0, task: Task | None = None) -> None:
        self.folder = folder
        self._threads = threads
        self._task = task

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def card(self) -> StudentCard:
        return read_card(self.folder)

    @property
    def task(self) -> Task:
        """What its answers are read as: its own task, unless another was given."""
        return self._task or self.card.task

    @cached_property
    def student(self) -> Student:
        return Student.load(self.folder, threads=self._threads)

    def ask(self, examples: Sequence[Example], *, progress: Progress | None = None) -> Replies:
        inputs = [example.input for example in examples]
        name = content_hash([self.card.weights, self.card.max_new_tokens, inputs])
        kept = self.folder / "asked" / f"{name.removeprefix('sha256:')[:24]}.parquet"
        if kept.exists():
            frame = pl.read_parquet(kept)
            if progress is not None:
                progress(len(inputs))
        else:
            frame = self._asked(inputs, progress)
            kept.parent.mkdir(exist_ok=True)
            partial = kept.with_suffix(".partial")
            frame.write_parquet(partial)
            partial.replace(kept)
        return verified(
            self.task,
            examples,
            frame["answer"].to_list(),
            rationales=frame["rationale"].to_list(),
            logprob=frame["logprob"].to_numpy(),
            tokens=frame["tokens"].to_numpy(),
            seconds=float(frame["seconds"].sum()),
        )

    def of_task(self, task: Task) -> LocalStudent:
        return LocalStudent(self.folder, threads=self._threads, task=task)

    def _asked(self, inputs: list[str], progress: Progress | None) -> pl.DataFrame:
        student = self.student
        began = time.perf_counter()
        said = student.ask(inputs, progress=progress)
        seconds = (time.perf_counter() - began) / max(1, len(inputs))
        return pl.DataFrame(
            {
                "answer": [one.answer for one in said],
                "rationale": [one.rationale for one in said],
                "logprob": [float(sum(one.logprobs)) for one in said],
                "tokens": [one.new_tokens for one in said],
                "seconds": [seconds] * len(said),
            },
            schema={
                "answer": pl.String,
                "rationale": pl.String,
                "logprob": pl.Float64,
                "tokens": pl.Int64,
                "seconds": pl.Float64,
            },
        )


class Remote:
    """A model behind an endpoint, asked with the task's instruction; the teacher costs money.

    A question that fails counts as wrong and is counted; a first failure that all would share is
    raised as TeacherError.
    """

    def __init__(self, task: Task, teacher: Teacher, kind: str, *, max_tokens: int = 1024) -> None:
        self.task = task
        self.kind = kind
        self._teacher = teacher
        self._max_tokens = max_tokens

    @property
    def name(self) -> str:
        return f"{self.kind}:{self._teacher.model}"

    @cached_property
    def card(self) -> StudentCard:
        return remote_card(self.task, self.kind, self._teacher.model)

    def ask(self, examples: Sequence[Example], *, progress: Progress | None = None) -> Replies:
        questions = [
            Question(self.task.instruction, example.input, max_tokens=self._max_tokens)
            for example in examples
        ]
        place = {id(question): at for at, question in enumerate(questions)}
        replies: list[Reply | None] = [None] * len(questions)
        seconds, failed = 0.0, 0
        for asked in self._teacher.ask_many(questions):
            if asked.reply is None:
                _raise_if_hopeless(asked.error, failed == 0 and not any(replies))
                failed += 1
            replies[place[id(asked.question)]] = asked.reply
            seconds += asked.seconds
            if progress is not None:
                progress(1)
        readings = [
            read_reply(self.task, reply.text, reply.thinking, example.choices) if reply else None
            for reply, example in zip(replies, examples, strict=True)
        ]
        return verified(
            self.task,
            examples,
            [one.answer if one else None for one in readings],
            rationales=[one.rationale.text if one and one.rationale else None for one in readings],
            tokens=np.array([one.usage.output if one else 0 for one in replies], dtype=np.int64),
            seconds=seconds,
            cost_usd=self._cost(replies),
            failed=failed,
        )

    def of_task(self, task: Task) -> Remote:
        return Remote(task, self._teacher, self.kind, max_tokens=self._max_tokens)

    def _cost(self, replies: Sequence[Reply | None]) -> float | None:
        if self.kind == URL:
            return 0.0
        costs = [
            cost_usd(self._teacher.model, reply.usage, self.task.teacher.price)
            for reply in replies
            if reply is not None
        ]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if len(known) == len(costs) else None


class Rehearsal:
    """Stands in for somebody who costs money, answers nothing, and counts what would be asked."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.questions = 0
        self.characters = 0

    @property
    def name(self) -> str:
        return self._subject.name

    @property
    def card(self) -> StudentCard:
        return self._subject.card

    def ask(self, examples: Sequence[Example], *, progress: Progress | None = None) -> Replies:
        self.questions += len(examples)
        self.characters += sum(len(example.input) for example in examples)
        self.characters += len(self.card.task.instruction) * len(examples)
        return verified(self.card.task, examples, [None] * len(examples))

    def of_task(self, task: Task) -> Rehearsal:
        return self


def served_model(url: str) -> str:
    """The name of the one model behind an OpenAI-compatible address; raises UsageError where there is
    none, or several."""
    listed = f"{url.rstrip('/')}/models"
    try:
        response = urllib3.request("GET", listed, retries=False, timeout=10.0)
        names = [str(one["id"]) for one in response.json()["data"]]
    except (urllib3.exceptions.HTTPError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{listed} does not say which models it has ({type(error).__name__}); start the server, or "
            "name the model with --model"
        ) from None
    if len(names) != 1:
        raise UsageError(
            f"{listed} has {', '.join(names[:6]) or 'no model'}; name one with --model"
        )
    return names[0]


def verified(
    task: Task,
    examples: Sequence[Example],
    answers: Sequence[str | None],
    *,
    rationales: Sequence[str | None] | None = None,
    logprob: NDArray[np.float64] | None = None,
    tokens: NDArray[np.int64] | None = None,
    seconds: float = 0.0,
    cost_usd: float | None = 0.0,
    failed: int = 0,
) -> Replies:
    """Answers brought into the task's form and held against each example's truth."""
    said = [
        None if text is None else normalize(task, text, example.choices)
        for text, example in zip(answers, examples, strict=True)
    ]
    right = [
        one is not None and judge(task, one, example.truth, example.choices).score == 1.0
        for one, example in zip(said, examples, strict=True)
    ]
    n = len(said)
    return Replies(
        examples=list(examples),
        said=said,
        right=np.array(right, dtype=np.bool_),
        rationales=list(rationales) if rationales is not None else [None] * n,
        logprob=np.full(n, np.nan) if logprob is None else logprob.astype(np.float64),
        tokens=np.zeros(n, dtype=np.int64) if tokens is None else tokens.astype(np.int64),
        seconds=seconds,
        cost_usd=cost_usd,
        failed=failed,
    )


def remote_card(task: Task, kind: str, model: str) -> StudentCard:
    """A card for somebody whose weights and training are not known: 0 parameters, no dataset."""
    return StudentCard(
        task=task,
        recipe=kind,
        ask=Ask(control="answer", order="answer", causal=False),
        base=model,
        parameters=0,
        dataset="",
        train_examples=0,
        skeleton=task.skeleton,
        simulated=False,
        seed=0,
        steps=0,
        tokens_seen=0,
        seconds=0.0,
        max_new_tokens=0,
        weights=content_hash([kind, model]),
        version=__version__,
    )


def _raise_if_hopeless(error: TeacherError | None, first: bool) -> None:
    if first and error is not None and error.status in (*_HOPELESS, None):
        raise error
