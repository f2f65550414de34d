"""What is asked of a model and what it says, whatever wire format carried it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from limbeck.types import NO_USAGE, Status, Usage

# No nouns: they cross no disk, and checking each field again would cost every call more than reading it.


@dataclass(slots=True)
class Call:
    """One request to a model, as far as Limbeck reads it; the bytes themselves pass untouched.

    `user` is the text of the last user message and `turns` the number of messages that are not
    instructions. `candidates` is how many replies are asked for.

    The rest stands as in the request: `tools`; `form`, the format that the reply must have; `earlier`
    and `later`, the turns around the last user message; `last`, the content of that message where it
    is more than text.
    """

    model: str
    system: str = ""
    user: str = ""
    stream: bool = False
    max_tokens: int | None = None
    thinking: bool = False
    turns: int = 1
    has_tools: bool = False
    has_media: bool = False
    has_state: bool = False
    """The provider keeps a part of the call: earlier turns, a prompt, a container."""
    candidates: int = 1
    wants_usage: bool = True
    """The client asked for token counts in a stream (always so in the Messages API)."""
    tools: Any = None
    form: Any = None
    earlier: tuple[Any, ...] = ()
    later: tuple[Any, ...] = ()
    last: Any = None

    @property
    def plain(self) -> bool:
        """One question in text, to be answered in text: what a student can stand in for."""
        return (
            self.turns == 1
            and self.candidates == 1
            and self.form is None
            and not (self.has_tools or self.has_media or self.has_state)
        )


@dataclass(slots=True)
class Reply:
    """What a model said. `stop_reason` uses the words of the Messages API in every dialect.

    `blocks` is the content as its dialect writes it, where that is more than text and thinking: the
    blocks of the Messages API, the messages of all choices of Chat Completions, the output items of
    Responses. `error` is set where the model broke off with an error after it had begun. `created`
    is in Unix seconds; `request_id` is the provider's name for the reply.
    """

    text: str
    thinking: str | None = None
    signature: str | None = None
    blocks: tuple[Any, ...] | None = None
    stop_reason: str | None = None
    usage: Usage = NO_USAGE
    model: str = ""
    request_id: str | None = None
    created: int = 0
    error: str | None = None

    @property
    def status(self) -> Status:
        """Whether the reply is whole: a reply that says no reason for its end was cut off."""
        if self.error is not None:
            return "error"
        if self.stop_reason == "refusal":
            return "refused"
        if self.stop_reason in (None, "max_tokens", "model_context_window_exceeded"):
            return "cut_off"
        return "ok"
