"""What asking would cost, before it is done."""

from __future__ import annotations

import math

from limbeck.capture.post_hoc.lacking import Lacking
from limbeck.models.prices import BATCH, cost_usd
from limbeck.types import Noun, Price, Task, Usage


class Estimate(Noun):
    """Tokens and USD for `requests` questions.

    `output_tokens` and `usd` go by how long rationales of the task are; `most_output_tokens` and
    `most_usd` are for replies that all reach the token limit. USD are None where nobody knows the price.
    """

    model: str
    requests: int
    batch: bool
    input_tokens: int
    output_tokens: int
    most_output_tokens: int
    usd: float | None
    most_usd: float | None


def price_of(task: Task, model: str) -> Price:
    """What `task` says of the price, where it says it of `model`; else only its batch discount."""
    if task.teacher.model in ("", model):
        return task.teacher.price
    return Price(batch=task.teacher.price.batch)


def estimate(
    task: Task,
    lacking: Lacking,
    model: str,
    *,
    batch: bool,
    max_tokens: int,
    provider: str | None = None,
) -> Estimate:
    """What asking about `lacking.wanted` would take."""
    price = price_of(task, model)
    reads = [math.ceil(one.characters / lacking.characters_a_token) for one in lacking.wanted]
    writes = math.ceil(min(lacking.rationale_tokens, max_tokens))

    def usd(output: int) -> float | None:
        # Each request for itself: a long one may be paid at other rates than the rest.
        tier = BATCH if batch else None
        parts = [
            cost_usd(model, Usage(input=read, output=output, tier=tier), price, provider=provider)
            for read in reads
        ]
        known = [part for part in parts if part is not None]
        return math.fsum(known) if len(known) == len(parts) else None

    return Estimate(
        model=model,
        requests=len(reads),
        batch=batch,
        input_tokens=sum(reads),
        output_tokens=writes * len(reads),
        most_output_tokens=max_tokens * len(reads),
        usd=usd(writes),
        most_usd=usd(max_tokens),
    )
