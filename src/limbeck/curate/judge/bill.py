"""What a judge would cost, before it is asked."""

from __future__ import annotations

import math
from collections.abc import Sequence

from limbeck.capture.post_hoc.estimate import Estimate, price_of
from limbeck.capture.post_hoc.lacking import CHARACTERS_A_TOKEN
from limbeck.curate.judge.asking import LINE_TOKENS, RUBRIC, Case, ask, grouped
from limbeck.models.prices import BATCH, cost_usd
from limbeck.types import Noun, Task, Usage


class Bill(Noun):
    """What asking about so many `cases` would take; several are one request of the `estimate`."""

    cases: int
    estimate: Estimate


def bill(
    task: Task,
    cases: Sequence[Case],
    model: str,
    rubric: str = RUBRIC,
    *,
    batch: bool = True,
    provider: str | None = None,
) -> Bill:
    """What it would cost to judge `cases`, by their characters and a line for each; at most by two."""
    price = price_of(task, model)
    groups = list(grouped(cases, rubric))
    tier = BATCH if batch else None
    reads = [
        sum(math.ceil(len(text) / CHARACTERS_A_TOKEN) for text in ask(task, group.cases, rubric))
        for group in groups
    ]
    writes = [LINE_TOKENS * len(group.cases) for group in groups]

    def usd(times: int) -> float | None:
        parts = [
            cost_usd(
                model, Usage(input=read, output=times * write, tier=tier), price, provider=provider
            )
            for read, write in zip(reads, writes, strict=True)
        ]
        known = [part for part in parts if part is not None]
        return math.fsum(known) if len(known) == len(parts) else None

    estimate = Estimate(
        model=model,
        requests=len(groups),
        batch=batch,
        input_tokens=sum(reads),
        output_tokens=sum(writes),
        most_output_tokens=2 * sum(writes),
        usd=usd(1),
        most_usd=usd(2),
    )
    return Bill(cases=len(cases), estimate=estimate)
