"""Nouns to rows and back."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from limbeck.types import Outcome, PostHoc, Trace, canonical_json, content_hash

_SURROGATE = re.compile("[\ud800-\udfff]")


def trace_row(trace: Trace, recorded_at: str) -> dict[str, Any]:
    origin = trace.provenance
    return {
        "id": trace.id,
        "task": trace.task,
        "source": origin.source,
        "status": trace.status,
        "split": trace.split,
        "generator": plain(origin.generator),
        "simulated": origin.simulated,
        "skeleton": origin.skeleton,
        "context": trace.context,
        "subject": plain(origin.subject),
        "request_id": plain(origin.request_id),
        "correlation": plain(origin.correlation),
        "cost_usd": trace.cost_usd,
        "content": plain(trace.content),
        "recorded_at": recorded_at,
    }


def outcome_row(outcome: Outcome, recorded_at: str) -> dict[str, Any]:
    content = outcome.model_dump(mode="json")
    return {
        "hash": content_hash(content),
        "trace_id": outcome.trace_id,
        "content": plain(canonical_json(content)),
        "recorded_at": recorded_at,
    }


def rationale_row(made: PostHoc, recorded_at: str) -> dict[str, Any]:
    content = made.model_dump(mode="json", exclude_defaults=True)
    return {
        "hash": content_hash(content),
        "trace_id": made.trace_id,
        "content": plain(canonical_json(content)),
        "recorded_at": recorded_at,
    }


def read_trace(content: str) -> Trace:
    """Raises ValueError if it is not the content of a trace."""
    # pydantic's own JSON reader refuses the escapes of lone surrogates, which teachers do send.
    return Trace.model_validate(json.loads(content))


def read_outcome(content: str) -> Outcome:
    """Raises ValueError if it is not the content of an outcome."""
    return Outcome.model_validate(json.loads(content))


def read_rationale(content: str) -> PostHoc:
    """Raises ValueError if it is not the content of a post-hoc rationale."""
    return PostHoc.model_validate(json.loads(content))


def plain(text: str | None) -> str | None:
    """Text that every database takes: lone surrogates and NUL as JSON escapes.

    In `content` they stand inside JSON strings only, where the escape means the same.
    """
    if text is None or (text.isascii() and "\0" not in text):
        return text
    if "\0" in text:
        text = text.replace("\0", "\\u0000")
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def as_text(at: datetime) -> str:
    """The time as it stands in the tables: UTC; one without a zone is taken for UTC."""
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
