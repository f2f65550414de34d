"""Exact scores of given continuations: each prompt is read once for all that may follow it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from limbeck.models.local.rows import Prompt, Rows


def score(
    rows: Rows,
    prompts: Sequence[Prompt],
    choices: Sequence[Sequence[Sequence[int]]],
    stops: Sequence[int],
) -> list[tuple[float, ...]]:
    """log P(choice, then any of `stops` | prompt) in nats, for each choice of each prompt.

    `rows` must be empty, and are used up.
    """
    first = rows.join(prompts).float().log_softmax(-1)  # (N, V)
    owner = [at for at, some in enumerate(choices) for _ in some]
    flat = [choice for some in choices for choice in some]
    if not flat:
        return [() for _ in choices]
    rows.keep(owner)
    longest = max(1, max(map(len, flat)))
    ids = torch.zeros(len(flat), longest, dtype=torch.long)
    for at, choice in enumerate(flat):
        ids[at, : len(choice)] = torch.tensor(choice, dtype=torch.long)
    ids = ids.to(first.device)
    after = rows.extend(ids).float().log_softmax(-1)  # (C, T, V)
    before = torch.cat([first[torch.tensor(owner, device=first.device)][:, None], after], dim=1)
    lengths = torch.tensor([len(choice) for choice in flat], device=first.device)
    of_tokens = before[:, :-1].gather(2, ids[..., None])[..., 0]  # (C, T)
    inside = torch.arange(longest, device=first.device)[None] < lengths[:, None]
    at_end = before[torch.arange(len(flat), device=first.device), lengths]  # (C, V)
    ended = at_end[:, list(stops)].logsumexp(-1)
    total = iter(((of_tokens * inside).sum(-1) + ended).tolist())
    return [tuple(next(total) for _ in some) for some in choices]
