"""Limbeck's engine, by the function that `limbeck distill` calls, in either layout."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path

from limbeck.distill.settings import DistillSettings
from limbeck.distill.tokens import EncodedBranch, EncodedTree
from limbeck.distill.train import Progress, train
from limbeck.errors import Interrupted
from limbeck.types import Role
from pace.work import PAD, Cell, Data, Order, Pace, Shape, adapted, build, data

WARM_STEPS = 2
ANSWER: Role = "answer"


class Ours:
    def __init__(self, shape: Shape, layout: str, attention: str = "auto") -> None:
        self._shape = shape
        self._layout = layout
        self._attention = attention
        self._trees: dict[str, list[EncodedTree]] = {}

    def run(self, order: Order) -> Pace:
        from limbeck.distill.attention import NAME, register

        register()
        settings = DistillSettings.model_validate(
            {
                "steps": 100_000,
                "batch": max(1, order.sequences // order.cell.branches),
                "optimizer": "adamw",
                "layout": self._layout,
                "attention": self._attention,
                "tune": "lora" if order.lora else "full",
            }
        )
        clock = _Clock(order.seconds)
        # Being stopped is how a turn ends.
        with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Interrupted):
            train(
                adapted(build(self._shape, NAME)) if order.lora else build(self._shape, NAME),
                self._of(order.cell),
                settings,
                Path(folder),
                pad=PAD,
                scratch=True,
                identity="pace",
                watch=clock.saw,
                should_stop=lambda: clock.over,
            )
        return clock.pace()

    def _of(self, cell: Cell) -> list[EncodedTree]:
        if cell.name not in self._trees:
            self._trees[cell.name] = encoded(data(cell, self._shape.vocabulary))
        return self._trees[cell.name]


def encoded(items: Data) -> list[EncodedTree]:
    """The data as the engine's trees; every target token counts alike."""
    return [
        EncodedTree(
            tuple(prompt),
            tuple(
                EncodedBranch(tuple(ids), (1.0,) * len(ids), tuple(ANSWER for _ in ids))
                for ids in targets
            ),
            1.0,
        )
        for prompt, targets in items
    ]


class _Clock:
    """Counts from the end of the last warm step."""

    def __init__(self, seconds: float) -> None:
        self._limit = seconds
        self._first: tuple[float, Progress] | None = None
        self._last: tuple[float, Progress] | None = None
        self.over = False

    def saw(self, progress: Progress) -> None:
        now = time.perf_counter()
        if progress.step == WARM_STEPS:
            self._first = now, progress
        if self._first is not None:
            self._last = now, progress
            self.over = now - self._first[0] > self._limit and progress.step > WARM_STEPS

    def pace(self) -> Pace:
        assert self._first is not None
        assert self._last is not None
        (began, first), (ended, last) = self._first, self._last
        return Pace(
            targets=last.targets - first.targets,
            seconds=ended - began,
            steps=last.step - first.step,
        )
