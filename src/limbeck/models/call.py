"""What is asked of a model and what it says, whatever wire format carried it."""

from __future__ import annotations

from limbeck.types import Noun, Status, Usage


class Call(Noun):
    """One request to a model, as far as Limbeck reads it; the bytes themselves pass untouched.

    `user` is the text of the last user message and `turns` the number of messages that are not
    instructions. `candidates` is how many replies are asked for.
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
    candidates: int = 1
    wants_usage: bool = True
    """The client asked for token counts in a stream (always so in the Messages API)."""

    @property
    def plain(self) -> bool:
        """One question in text and nothing else: what a student can stand in for."""
        return (
            self.turns == 1 and self.candidates == 1 and not self.has_tools and not self.has_media
        )


class Reply(Noun):
    """What a model said. `stop_reason` uses the words of the Messages API in every dialect.

    `error` is set where the model broke off with an error after it had begun. `created` is in
    Unix seconds; `request_id` is the provider's name for the reply.
    """

    text: str
    thinking: str | None = None
    signature: str | None = None
    stop_reason: str | None = None
    usage: Usage = Usage()
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
