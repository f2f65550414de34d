"""Step 002: traces get the names that leave defaults and derived fields out.

It spells out how a name was made then, because today's way will move on.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import sqlalchemy as sa

_DEFAULTS: dict[str, Any] = {
    "choices": [],
    "status": "ok",
    "generator": "unknown",
    "simulated": False,
    "input": 0,
    "output": 0,
    "cached": 0,
}
_SURROGATE = re.compile("[\ud800-\udfff]")


def rename(connection: sa.Connection, traces: sa.Table, outcomes: sa.Table) -> None:
    """Move the rows of `traces_001` and `outcomes_001` into `traces` and `outcomes`."""
    old_traces = sa.Table("traces_001", sa.MetaData(), autoload_with=connection)
    old_outcomes = sa.Table("outcomes_001", sa.MetaData(), autoload_with=connection)
    names: dict[str, str] = {}
    moved: set[str] = set()
    in_time = sa.select(old_traces).order_by(old_traces.c.recorded_at, old_traces.c.id)
    for row in connection.execute(in_time).mappings().all():
        content = _without_defaults(json.loads(row["content"]))
        text = _canonical(content)
        names[row["id"]] = name = _hash(f'{{"schema":2,"trace":{text}}}')
        # Two that differed by a default only are one now.
        if name not in moved:
            moved.add(name)
            new = {"id": name, "content": _plain(text), "cost_usd": content.get("cost_usd")}
            connection.execute(sa.insert(traces).values({**row, **new}))
    for row in (
        connection.execute(sa.select(old_outcomes).order_by(old_outcomes.c.position))
        .mappings()
        .all()
    ):
        content = json.loads(row["content"]) | {"trace_id": names[row["trace_id"]]}
        text = _canonical(content)
        new = {"hash": _hash(text), "trace_id": content["trace_id"], "content": _plain(text)}
        known = sa.select(outcomes.c.hash).where(outcomes.c.hash == new["hash"])
        if connection.execute(known).first() is None:
            connection.execute(sa.insert(outcomes).values({**row, **new}))


def _without_defaults(content: dict[str, Any]) -> dict[str, Any]:
    kept = _dropped(content)
    for part in ("provenance", "usage"):
        kept[part] = _dropped(content[part])
    if not kept["usage"]:
        del kept["usage"]
    if "rationale" in kept and content["rationale"].get("origin") == "elicited":
        kept["rationale"] = {"text": content["rationale"]["text"]}
    if "raw" in kept:
        kept.pop("rationale", None)
        kept.pop("answer", None)
    return kept


def _dropped(content: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in content.items()
        if value is not None and (key not in _DEFAULTS or value != _DEFAULTS[key])
    }


def _canonical(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _hash(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _plain(text: str) -> str:
    text = text.replace("\0", "\\u0000")
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
