"""The loop of decoding: which token comes next, and which row is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from limbeck.models.local.rows import Prompt, Rows
from limbeck.models.local.said import Token

LEAVE = 0.9
"""Rows leave together, when less than this share is left: copying their caches stays rare."""
PIECE = 64
"""Logits in a piece of a row; a preset's vocabulary is a multiple of it."""


@dataclass(eq=False)
class Line:
    """One reply that is being written: at most `room` tokens, up to one of `stops`.

    With a `temperature` above 0 the tokens are drawn; `draws` are numbers in [0, 1), one a token, that
    decide them, so that a reply does not depend on who else is in the batch. `top` is how many of the
    likeliest tokens are noted at each place.
    """

    prompt: Prompt
    stops: frozenset[int]
    room: int
    temperature: float = 0.0
    draws: Sequence[float] = ()
    on_token: Callable[[Token], None] | None = None
    top: int = 0
    written: list[Token] = field(default_factory=list)
    done: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.done = self.room <= 0

    def write(self, token: Token) -> None:
        """One token more."""
        self.written.append(token)
        self.done = len(self.written) >= self.room or token.id in self.stops
        if self.on_token is not None:
            self.on_token(token)


class Loop:
    """Writes lines, all that are under way by one token a step."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._lines: list[Line] = []
        self._next = torch.zeros(0, dtype=torch.long)
        self._live = 0

    @property
    def live(self) -> int:
        """Lines that are not done."""
        return self._live

    def join(self, lines: Sequence[Line]) -> None:
        """Begins lines, among those that are under way. Lines of one prompt share its reading."""
        self._begin(lines, None)

    def step(self, fresh: Sequence[Line] = ()) -> None:
        """Writes one more token of every line, and the first one of `fresh`, which begin with it."""
        if any(line.room > 0 for line in fresh) or not self._live:
            self._begin(fresh, self._next if self._live else None)
            return
        self._next = self._write(self._lines, self._rows.step(self._next))
        self._count()

    def _begin(self, lines: Sequence[Line], tokens: torch.Tensor | None) -> None:
        """Reads the prompts of `lines`; where `tokens` are given, those that are there read them."""
        lines = [line for line in lines if line.room > 0]
        if not lines:
            return
        places: dict[Prompt, int] = {}
        for line in lines:
            places.setdefault(line.prompt, len(places))
        logits = self._rows.join(list(places), tokens)
        there, old = len(self._lines), self._lines if tokens is not None else []
        if len(places) < len(lines):
            spread = [places[line.prompt] for line in lines]
            self._rows.keep([*range(there), *(there + place for place in spread)])
            spread = [*range(len(old)), *(len(old) + place for place in spread)]
            logits = logits[torch.tensor(spread, device=logits.device)]
        self._lines = self._lines + lines
        self._note()
        written = self._write([*old, *lines], logits)
        self._next = written if old else torch.cat([self._next.to(written.device), written])
        self._count()

    def _count(self) -> None:
        self._live = sum(not line.done for line in self._lines)
        self._leave()

    def _note(self) -> None:
        """What is asked of the lines besides their likeliest tokens: looked up when they change, not at
        every token."""
        self._sampling = any(line.temperature > 0 for line in self._lines)
        self._showing = any(line.top for line in self._lines)

    def drop(self, line: Line) -> None:
        """Nobody waits for this line any more."""
        line.done = True
        self._live = sum(not line.done for line in self._lines)

    def restart(self, rows: Rows) -> None:
        """Begins anew with other rows, which must be empty; all lines are given up."""
        self._rows, self._lines, self._next, self._live = rows, [], self._next[:0], 0

    def _write(self, lines: Sequence[Line], logits: torch.Tensor) -> torch.Tensor:
        """Chooses the next token of each line, (B,), and writes it down where the line goes on."""
        if self._sampling:
            tokens, logprobs, gaps = drawn(logits.float(), lines)
        else:
            tokens, logprobs, gaps = likeliest(logits.float())
        tops = likely(logits, lines) if self._showing else [()] * len(lines)
        for line, *said in zip(lines, tokens.tolist(), logprobs, gaps, tops, strict=True):
            if not line.done:
                line.write(Token(*said))
        return tokens

    def _leave(self) -> None:
        if not self._live:
            # The caches are left as they are: nothing may follow them.
            self._rows.keep([])
            self._lines, self._next = [], self._next[:0]
        elif self._live <= LEAVE * len(self._lines):
            kept = [at for at, line in enumerate(self._lines) if not line.done]
            # The last rows take the places of those that left, so that few are moved.
            moved = [at for at in kept if at >= len(kept)]
            kept = [at if not self._lines[at].done else moved.pop() for at in range(len(kept))]
            self._rows.keep(kept)
            self._lines = [self._lines[at] for at in kept]
            self._note()
            self._next = self._next[torch.tensor(kept, device=self._next.device)]


def likeliest(logits: torch.Tensor) -> tuple[torch.Tensor, list[float], list[float]]:
    """The best token of each row, (B,), its log-probability and its lead over the second, in nats."""
    best, tokens = two_best(logits.log_softmax(-1))
    first, second = best.T.tolist()
    return tokens[:, 0], first, [a - b for a, b in zip(first, second, strict=True)]


Top = tuple[tuple[int, float], ...]


def likely(logits: torch.Tensor, lines: Sequence[Line]) -> list[Top]:
    """For each line the likeliest tokens and their log-probabilities, as many as it asks for."""
    most = min(max((line.top for line in lines), default=0), logits.shape[1])
    if not most:
        return [()] * len(lines)
    best, tokens = logits.float().log_softmax(-1).topk(most, dim=-1)
    pairs = zip(tokens.tolist(), best.tolist(), lines, strict=True)
    return [tuple(zip(ids, nats, strict=True))[: line.top] for ids, nats, line in pairs]


def two_best(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The two largest of each row (B, V) and where they are, as `topk(2)`, by way of the largest of each
    piece of a row: on a processor and for many rows that takes half the time."""
    rows, size = logits.shape
    if size % PIECE or size < 4 * PIECE or rows < 8 or logits.device.type != "cpu":
        found = logits.topk(2, dim=-1)
        return found.values, found.indices
    pieces = logits.view(rows, -1, PIECE)
    chosen = pieces.amax(-1).topk(2, dim=-1).indices  # (B, 2)
    near = pieces.gather(1, chosen[..., None].expand(-1, -1, PIECE)).view(rows, 2 * PIECE)
    best, at = near.topk(2, dim=-1)
    return best, chosen.gather(1, at // PIECE) * PIECE + at % PIECE


def drawn(
    logits: torch.Tensor, lines: Sequence[Line]
) -> tuple[torch.Tensor, list[float], list[float]]:
    """A token of each row from softmax(logits / temperature); the best where that is 0.

    Returns the log-probabilities at temperature 1 and the leads over the best other token, in nats.
    """
    device = logits.device
    heat = torch.tensor([line.temperature for line in lines], device=device)
    draws = torch.tensor(
        [line.draws[len(line.written)] if line.draws and not line.done else 0.0 for line in lines],
        dtype=torch.float64,
        device=device,
    )
    shares = torch.softmax(logits.double() / heat.clamp(min=1e-6)[:, None], dim=-1).cumsum(-1)
    # The inverse of the cumulative distribution, with its last value, which rounding may miss, as 1.
    tokens = torch.searchsorted(shares / shares[:, -1:], draws[:, None], right=True)
    best = logits.topk(2, dim=-1)
    tokens = torch.where(heat[:, None] > 0, tokens, best.indices[:, :1])
    chosen = logits.gather(1, tokens)
    other = torch.where(tokens == best.indices[:, :1], best.values[:, 1:], best.values[:, :1])
    logprobs = (chosen - logits.logsumexp(-1, keepdim=True))[:, 0]
    return tokens[:, 0], logprobs.tolist(), (chosen - other)[:, 0].tolist()
