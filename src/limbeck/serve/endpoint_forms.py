"""Between the OpenAI wire format and a student: what is asked, and how a reply is written.

What a student cannot do is refused in a sentence and never ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from limbeck.errors import UsageError
from limbeck.models.local.requests import Piece, Request, Wrote

SHORT = 16
"""Tokens that a completion has room for where its request does not say: as the API has it."""


class Asked(BaseModel):
    """What both kinds of request may say. Fields that are not known here are not read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str | None = None
    temperature: Annotated[float, Field(ge=0, le=10)] | None = None
    seed: Annotated[int, Field(ge=0)] | None = None
    n: Annotated[int, Field(ge=1, le=64)] | None = None
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    stop: str | list[str] | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    return_tokens_as_token_ids: bool | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(text for text in given if text)

    @property
    def with_usage(self) -> bool:
        return bool((self.stream_options or {}).get("include_usage"))

    def seeds(self) -> list[int]:
        """One for each reply that is wanted; they are the same for the same request."""
        first = self.seed or 0
        return [first + one for one in range(self.n or 1)]

    def refused(self) -> str | None:
        """The first thing in here that a student cannot do, or None."""
        drawn = bool(self.temperature)
        if drawn and self.top_p not in (None, 1, 1.0):
            return "top_p other than 1"
        if drawn and self.top_k not in (None, 0, -1):
            return "top_k"
        if self.frequency_penalty or self.presence_penalty:
            return "a penalty for repetition"
        return "logit_bias" if self.logit_bias else None


class AskedCompletion(Asked):
    prompt: str | list[str] | list[int] | list[list[int]]
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    echo: bool | None = None
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    suffix: str | None = None
    best_of: int | None = None
    stop_token_ids: list[int] | None = None
    skip_special_tokens: bool | None = None

    def refused(self) -> str | None:
        if self.suffix:
            return "suffix"
        if self.best_of not in (None, 1):
            return "best_of"
        if self.echo and self.stream:
            return "echo in a stream"
        return super().refused()

    def requests(self) -> list[Request]:
        """All replies of the first prompt, then those of the second, and so on."""
        room = SHORT if self.max_tokens is None else self.max_tokens
        return [
            Request(
                prompt,
                raw=True,
                room=room,
                temperature=self.temperature or 0.0,
                seed=seed,
                top=self.logprobs or 0,
                echo=bool(self.echo),
                stops=tuple(self.stop_token_ids or ()),
            )
            for prompt in _prompts(self.prompt)
            for seed in self.seeds()
        ]


class AskedChat(Asked):
    messages: Annotated[list[dict[str, Any]], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: list[Any] | None = None
    response_format: dict[str, Any] | None = None

    def refused(self) -> str | None:
        if self.tools:
            return "tools"
        if (self.response_format or {}).get("type", "text") != "text":
            return "a response_format other than text"
        if any(one.get("role") not in ("system", "developer", "user") for one in self.messages):
            return "a conversation of several turns"
        return super().refused()

    def requests(self) -> list[Request]:
        return [
            Request(
                self._input(),
                room=self.max_completion_tokens or self.max_tokens,
                temperature=self.temperature or 0.0,
                seed=seed,
                top=(self.top_logprobs or 0) if self.logprobs else 0,
            )
            for seed in self.seeds()
        ]

    def _input(self) -> str:
        """The user's text. Instructions are not read: the student learned them."""
        said = [one.get("content") for one in self.messages if one.get("role") == "user"]
        if len(said) != 1:
            raise UsageError(
                f"got {len(said)} user messages; wanted one, the input of the student's task"
            )
        content = said[0]
        if isinstance(content, list):
            kinds = {part.get("type") for part in content if isinstance(part, dict)}
            if kinds - {"text"}:
                raise UsageError(f"got content of the types {sorted(map(str, kinds))}; wanted text")
            content = "".join(str(part["text"]) for part in content)
        if not isinstance(content, str):
            raise UsageError(f"got content {content!r}; wanted a text")
        return content


def read(kind: type[AskedCompletion] | type[AskedChat], body: bytes) -> Any:
    """The request in `body`; raises `UsageError` with what is wrong in it."""
    try:
        asked = kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(place) for place in first["loc"]) or "the body"
        raise UsageError(f"{where}: {first['msg']}; got {str(first['input'])[:80]!r}") from None
    refused = asked.refused()
    if refused is not None:
        raise UsageError(f"got {refused}, which a student does not have; leave it out")
    return asked


def _prompts(given: Any) -> list[str | tuple[int, ...]]:
    if isinstance(given, str):
        return [given]
    if given and isinstance(given[0], int):
        return [tuple(given)]
    return [one if isinstance(one, str) else tuple(one) for one in given]


def cut(text: str, stops: Sequence[str]) -> tuple[str, bool]:
    """The text before the first of `stops`, and whether there was one."""
    found = [at for at in (text.find(stop) for stop in stops) if at >= 0]
    return (text[: min(found)], True) if found else (text, False)


def completion_choice(asked: AskedCompletion, index: int, wrote: Wrote) -> dict[str, Any]:
    text, ended = cut(wrote.text, asked.stops)
    if asked.skip_special_tokens is False:
        text, ended = cut("".join(piece.text for piece in wrote.pieces), asked.stops)
    pieces = wrote.pieces
    if asked.echo:
        text = "".join(piece.text for piece in wrote.prompt) + text
        pieces = wrote.prompt + wrote.pieces
    return {
        "index": index,
        "text": text,
        "finish_reason": finish(wrote.stopped or ended),
        "logprobs": (
            _completion_logprobs(pieces, bool(asked.return_tokens_as_token_ids))
            if asked.logprobs is not None
            else None
        ),
    }


def _completion_logprobs(pieces: Sequence[Piece], by_id: bool) -> dict[str, Any]:
    def name(token: int, text: str) -> str:
        return f"token_id:{token}" if by_id else text

    offsets, at = [], 0
    tops: list[dict[str, float] | None] = []
    for piece in pieces:
        offsets.append(at)
        at += len(piece.text)
        top: dict[str, float] = {}
        for token, text, logprob in piece.top:
            # Of two tokens that read alike the likelier stays.
            top.setdefault(name(token, text), logprob)
        tops.append(top if piece.logprob is not None else None)
    return {
        "tokens": [name(piece.id, piece.text) for piece in pieces],
        "token_logprobs": [piece.logprob for piece in pieces],
        "top_logprobs": tops,
        "text_offset": offsets,
    }


def chat_choice(asked: AskedChat, index: int, wrote: Wrote) -> dict[str, Any]:
    answer = (wrote.said.answer if wrote.said else None) or ""
    content, ended = cut(answer, asked.stops)
    return {
        "index": index,
        "message": {"role": "assistant", "content": content, "refusal": None},
        "finish_reason": finish(wrote.stopped or ended),
        "logprobs": (
            {"content": [_chat_logprob(piece) for piece in wrote.pieces], "refusal": None}
            if asked.logprobs
            else None
        ),
    }


def _chat_logprob(piece: Piece) -> dict[str, Any]:
    def one(text: str, logprob: float | None) -> dict[str, Any]:
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}

    return {
        **one(piece.text, piece.logprob),
        "top_logprobs": [one(text, logprob) for _, text, logprob in piece.top],
    }


def finish(stopped: bool) -> Literal["stop", "length"]:
    return "stop" if stopped else "length"


def usage(wrote: Sequence[Wrote], replies: int) -> dict[str, int]:
    """Tokens read and written; a prompt of several replies is read once."""
    read = sum(one.prompt_tokens for one in wrote[::replies])
    written = sum(len(one.pieces) for one in wrote)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
