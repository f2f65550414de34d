"""Two loops that people write by hand around a transformers model.

`plain`: examples bucketed by length, one row for each target. `two-pass`: the scheme of the reference
code of Distilling Step-by-Step, one forward pass for each of the tasks that share an input, each
padded to its longest row, in random order. Both with fused AdamW, all in bfloat16 where the machine has
it; the loss is the model's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import torch

from pace.work import PAD, Data, Order, Pace, Shape, build, data, dtype

WARM_STEPS = 2
Rows = list[tuple[list[int], list[int]]]


class Loop:
    def __init__(self, shape: Shape, way: str) -> None:
        self._shape = shape
        self._way = way

    def run(self, order: Order) -> Pace:
        items = data(order.cell, self._shape.vocabulary)
        model = build(self._shape, "sdpa").to(dtype()).train()  # type: ignore[arg-type]
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
        steps = _bucketed(items, order) if self._way == "plain" else _by_task(items, order)
        targets = done = 0
        began = time.perf_counter()
        for number, passes in enumerate(steps):
            if number == WARM_STEPS:
                began, targets, done = time.perf_counter(), 0, 0
            for rows in passes:
                ids, mask, labels = _padded(rows)
                loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
                (loss / len(passes)).backward()
                targets += sum(len(target) for _, target in rows)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            done += 1
            if number > WARM_STEPS and time.perf_counter() - began > order.seconds:
                break
        return Pace(targets=targets, seconds=time.perf_counter() - began, steps=done)


def _bucketed(items: Data, order: Order) -> Iterator[list[Rows]]:
    random = np.random.default_rng(0)
    rows = [(prompt, target) for prompt, targets in items for target in targets]
    rows.sort(key=lambda row: len(row[0]) + len(row[1]))
    groups = [rows[at : at + order.sequences] for at in range(0, len(rows), order.sequences)]
    while True:
        for at in random.permutation(len(groups)):
            yield [groups[at]]


def _by_task(items: Data, order: Order) -> Iterator[list[Rows]]:
    random = np.random.default_rng(0)
    size = max(1, order.sequences // order.cell.branches)
    while True:
        mixed = [items[i] for i in random.permutation(len(items))]
        for at in range(0, len(mixed) - size + 1, size):
            chosen = mixed[at : at + size]
            yield [
                [(prompt, targets[task]) for prompt, targets in chosen]
                for task in range(order.cell.branches)
            ]


def _padded(rows: Rows) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    length = max(len(prompt) + len(target) for prompt, target in rows)
    ids = np.full((len(rows), length), PAD, dtype=np.int64)
    labels = np.full((len(rows), length), -100, dtype=np.int64)
    mask = np.zeros((len(rows), length), dtype=np.int64)
    for number, (prompt, target) in enumerate(rows):
        whole = len(prompt) + len(target)
        ids[number, :whole] = prompt + target
        labels[number, len(prompt) : whole] = target
        mask[number, :whole] = 1
    return torch.from_numpy(ids), torch.from_numpy(mask), torch.from_numpy(labels)
