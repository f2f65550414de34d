"""LiteLLM: rows of its spend logs, and the standard logging payload that its callbacks write.

Prompts are only there with `store_prompts_in_spend_logs: true`. In spend logs `messages`, `response`
and `metadata` may be JSON in a text, and the messages may stand in `proxy_server_request` alone.

Sources: LiteLLM, "StandardLoggingPayload Specification", https://docs.litellm.ai/docs/proxy/logging_spec;
"UI Logs", https://docs.litellm.ai/docs/proxy/ui_logs; the table LiteLLM_SpendLogs of its schema.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from limbeck.capture.formats import chat
from limbeck.capture.formats.imported import SURE, Imported, Sign, Skipped
from limbeck.capture.formats.loose import (
    first,
    loaded,
    moment,
    number,
    seconds_between,
    tokens,
    usage_of,
    words,
)
from limbeck.capture.formats.requests import Requests
from limbeck.models.dialects.fields import mapping
from limbeck.types import Usage

NEEDS_REQUESTS = False
CALLS = ("completion", "text_completion", "anthropic_messages", "responses")
"""Types of calls that ask a model for words; `a` before the name is the asynchronous one."""


def recognise(row: Mapping[str, Any]) -> Sign | None:
    """A type of call, its times and its price."""
    priced = [name for name in ("response_cost", "spend") if name in row]
    if "call_type" in row and priced and ({"startTime", "start_time"} & set(row)):
        return Sign(SURE, f"it has the keys 'call_type' and {priced[0]!r}")
    return None


def read(row: Mapping[str, Any], requests: Requests | None) -> Iterator[Imported | Skipped]:
    """The call of a row. Raises BadLineError."""
    kind = words(row.get("call_type")) or "completion"
    if kind not in CALLS and kind.removeprefix("a") not in CALLS:
        yield Skipped(f"not a model call ({kind})")
        return
    if row.get("status") == "failure":
        yield Skipped("the call failed")
        return
    if str(row.get("cache_hit")).lower() == "true":
        yield Skipped("the reply came from LiteLLM's cache")
        return
    sent = mapping(loaded(row.get("proxy_server_request")))
    parameters = mapping(loaded(row.get("model_parameters")))
    asked = chat.messages(row.get("messages") or None)
    asked = asked if _asks(asked) else chat.messages(sent.get("messages"))
    model = words(row.get("model"))
    read = chat.reply(row.get("response"), model=model)
    if not _asks(asked) or read is None:
        yield Skipped("the prompt or the reply was not kept; set store_prompts_in_spend_logs: true")
        return
    reply, dialect = read
    system = sent.get("system")
    if system and not any(one["role"] == "system" for one in asked):
        asked = [chat.message({"role": "system", "content": system}), *asked]
    call, body = chat.request(
        asked,
        model=model,
        tools=first(parameters, "tools") or sent.get("tools"),
        form=first(parameters, "response_format") or sent.get("response_format"),
    )
    start = moment(first(row, "startTime", "start_time"))
    end = moment(first(row, "endTime", "end_time"))
    yield Imported(
        call=call,
        body=body,
        reply=reply,
        dialect=dialect,
        request_id=words(first(row, "request_id", "id")),
        correlation=_correlation(row),
        subject=words(row.get("end_user")),
        generator=reply.model or model,
        at=start,
        latency_s=seconds_between(start, end),
        cost_usd=number(first(row, "response_cost", "spend")) or None,
        usage=_usage(row, reply.usage),
    )


def _asks(asked: list[dict[str, Any]]) -> bool:
    """Rows without prompts hold `{}` or an empty list."""
    return any(one["role"] == "user" and one["content"] not in ("", "{}") for one in asked)


def _correlation(row: Mapping[str, Any]) -> str | None:
    metadata = mapping(loaded(row.get("metadata")))
    own = mapping(loaded(metadata.get("spend_logs_metadata")))
    return words(first(own, "correlation", "request_id"))


def _usage(row: Mapping[str, Any], told: Usage) -> Usage | None:
    """The row's counts; those of the reply where it tells more."""
    if told.input or told.output:
        return told
    return usage_of(tokens(row.get("prompt_tokens")), tokens(row.get("completion_tokens")))
