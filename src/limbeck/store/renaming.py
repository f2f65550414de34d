"""Step 002: traces get the names that leave defaults and derived fields out.

It spells out how a name was made then, because today's way will move on.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import sqlalchemy as sa
from pydantic_core import PydanticSerializationError, to_json

_DEFAULTS: dict[str, Any] = {
    "choices": [],
    "status": "ok",
    "generator": "unknown",
    "simulated": False,
    "input": 0,
    "output": 0,
    "cached": 0,
}
_ORDER = (
    *("input", "choices", "raw", "thinking", "rationale", "answer", "status", "stop_reason"),
    *("group", "split", "provenance", "usage", "cost_usd", "latency_s", "created_at"),
)
_PROVENANCE = (
    *("source", "generator", "simulated", "skeleton", "request_id", "correlation"),
    *("file", "row", "licence"),
)
_SURROGATE = re.compile("[\ud800-\udfff]")


def rename(
    connection: sa.Connection, traces: sa.Table, outcomes: sa.Table, former_ids: sa.Table
) -> None:
    """Move the rows of `traces_001` and `outcomes_001` into `traces` and `outcomes`.

    Programs that hold a trace's old id still find it by that.
    """
    old_traces = sa.Table("traces_001", sa.MetaData(), autoload_with=connection)
    old_outcomes = sa.Table("outcomes_001", sa.MetaData(), autoload_with=connection)
    names: dict[str, str] = {}
    moved: set[str] = set()
    in_time = sa.select(old_traces).order_by(old_traces.c.recorded_at, old_traces.c.id)
    for row in connection.execute(in_time).mappings().all():
        content = _without_defaults(json.loads(row["content"]))
        text = _dumped(content)
        names[row["id"]] = name = _hash(f'{{"schema":2,"trace":{text}}}')
        # Two that differed by a default only are one now.
        if name not in moved:
            moved.add(name)
            new = {"id": name, "content": _plain(text), "cost_usd": content.get("cost_usd")}
            connection.execute(sa.insert(traces).values({**row, **new}))
    for old, name in names.items():
        connection.execute(sa.insert(former_ids).values(id=old, trace_id=name))
    for row in (
        connection.execute(sa.select(old_outcomes).order_by(old_outcomes.c.position))
        .mappings()
        .all()
    ):
        content = json.loads(row["content"]) | {"trace_id": names[row["trace_id"]]}
        text = _canonical(content)
        new = {"hash": _hash(text), "trace_id": content["trace_id"], "content": _plain(text)}
        # The database counts the positions, or it would give the next row one that is taken.
        kept = {key: value for key, value in row.items() if key != "position"}
        known = sa.select(outcomes.c.hash).where(outcomes.c.hash == new["hash"])
        if connection.execute(known).first() is None:
            connection.execute(sa.insert(outcomes).values({**kept, **new}))


def _without_defaults(content: dict[str, Any]) -> dict[str, Any]:
    # A trace always says its task, also where it has none.
    kept = {"task": content["task"], **_dropped(content, _ORDER)}
    kept["provenance"] = _dropped(content["provenance"], _PROVENANCE)
    kept["usage"] = _dropped(content["usage"], ("input", "output", "cached"))
    if not kept["usage"]:
        del kept["usage"]
    if "rationale" in kept:
        said = content["rationale"]
        origin = {} if said["origin"] == "elicited" else {"origin": said["origin"]}
        kept["rationale"] = {"text": said["text"], **origin}
    if "raw" in kept:
        kept.pop("rationale", None)
        kept.pop("answer", None)
    return kept


def _dropped(content: dict[str, Any], order: tuple[str, ...]) -> dict[str, Any]:
    return {
        key: content[key]
        for key in order
        if content.get(key) is not None and (key not in _DEFAULTS or content[key] != _DEFAULTS[key])
    }


def _dumped(content: dict[str, Any]) -> str:
    """JSON in the order of the fields, as pydantic writes it; lone surrogates need the other way."""
    try:
        return to_json(content).decode()
    except PydanticSerializationError:
        return json.dumps(content, separators=(",", ":"))


def _canonical(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _hash(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _plain(text: str) -> str:
    text = text.replace("\0", "\\u0000")
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
