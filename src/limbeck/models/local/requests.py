"""What is asked of a student that is being served, and what it wrote: plain values that pass between
processes without a model library."""

from __future__ import annotations

from dataclasses import dataclass

from limbeck.models.local.said import Said


@dataclass(frozen=True)
class Request:
    """One reply that is wanted.

    With `raw` False the text is an input of the task: the student is asked as its recipe says, and a
    control token in it is text like any other. With `raw` True the prompt is read as it stands, control
    tokens included; it may be given as ids. `room` is the most tokens to write (None: as the student's
    card says; 0: none). `top` is how many of the likeliest tokens are told at each place. With `echo`
    the tokens of the prompt are told too. `stops` are tokens that end a reply besides the usual. With a
    `rationale` the student answers at once after that one, put in place of its own; only where it
    thinks first. Without `pieces` the reply comes as it is divided, without its
    text as a whole and without its single tokens.
    """

    prompt: str | tuple[int, ...]
    raw: bool = False
    room: int | None = None
    temperature: float = 0.0
    seed: int = 0
    top: int = 0
    echo: bool = False
    stops: tuple[int, ...] = ()
    rationale: str | None = None
    pieces: bool = True


@dataclass(frozen=True)
class Piece:
    """A token: its text, and the log-probabilities, in nats, of it (None for the first of all) and of
    the likeliest tokens at its place, best first. A control token keeps its name as text.

    `shown` is by how much this token makes the visible text longer: that of the answer, or of a raw
    prompt's whole continuation. Characters of several tokens come with the last of them.
    """

    id: int
    text: str
    logprob: float | None
    top: tuple[tuple[int, str, float], ...] = ()
    shown: str = ""


@dataclass(frozen=True)
class Wrote:
    """A reply. `said` is None for a raw prompt; `stopped` is False where it was cut at its room."""

    said: Said | None
    text: str
    prompt: tuple[Piece, ...]
    pieces: tuple[Piece, ...]
    prompt_tokens: int
    stopped: bool
