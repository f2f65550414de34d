"""Exact scores of given continuations: each prompt is read once for all that may follow it."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from limbeck.models.local.rows import Prompt, Rows
from limbeck.models.local.said import Token


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


def told(rows: Rows, ids: Sequence[int], top: int) -> list[Token]:
    """What the model thought of each token of a text but the first, and the likeliest in its place.

    `rows` must be empty, of a model that reads and writes in one row, and are used up.
    """
    if len(ids) < 2:
        return []
    logits = rows.join([Prompt((), tuple(ids[:1]))])[:, None]
    if len(ids) > 2:
        logits = torch.cat(
            [logits, rows.extend(torch.tensor([ids[1:-1]]).to(logits.device))], dim=1
        )
    logprobs = logits[0].float().log_softmax(-1)  # (T - 1, V)
    most = min(max(top, 2), logprobs.shape[-1])
    best, tokens = logprobs.topk(most, dim=-1)
    found = []
    rows_of = zip(ids[1:], logprobs, best.tolist(), tokens.tolist(), strict=True)
    for chosen, row, nats, likeliest in rows_of:
        logprob = float(row[chosen])
        other = nats[1] if likeliest[0] == chosen else nats[0]
        pairs = tuple(zip(likeliest, nats, strict=True))[:top]
        found.append(Token(chosen, logprob, logprob - other, pairs))
    return found
