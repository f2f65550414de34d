from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from limbeck.store import migrations, schema
from limbeck.store.engine import open_engine
from limbeck.store.store import Store
from limbeck.types import Outcome, Provenance, Rationale, Trace, Usage


def old_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def old_hash(value: Any) -> str:
    text = old_json(value).encode("utf-8", "surrogatepass")
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


def old_plain(text: str) -> str:
    for character in text:
        if character == "\0" or "\ud800" <= character <= "\udfff":
            text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def old_trace(**fields: Any) -> dict[str, Any]:
    """A trace as the first version wrote it: every field, with its default."""
    origin = {"source": "import", "generator": "unknown", "simulated": False, "skeleton": None}
    named = {"request_id": None, "correlation": None, "file": None, "row": None, "licence": None}
    return {
        "task": "t",
        "input": "x",
        "choices": [],
        "raw": None,
        "thinking": None,
        "rationale": None,
        "answer": None,
        "status": "ok",
        "stop_reason": None,
        "group": None,
        "split": None,
        "usage": {"input": 0, "output": 0, "cached": 0},
        "cost_usd": None,
        "latency_s": None,
        "created_at": None,
        **fields,
        "provenance": {**origin, **named, **fields.get("provenance", {})},
    }


def old_trace_row(content: dict[str, Any], recorded_at: str) -> dict[str, Any]:
    named = content
    if content["raw"] is not None:
        named = {**content, "rationale": None, "answer": None}
    origin = content["provenance"]
    of_content = {name: content[name] for name in ("task", "status", "split")}
    columns = ("source", "generator", "simulated", "skeleton", "request_id", "correlation")
    return {
        "id": old_hash({"schema": 1, "trace": named}),
        **of_content,
        **{name: origin[name] for name in columns},
        "content": old_plain(old_json(content)),
        "recorded_at": recorded_at,
    }


def old_outcome_row(trace_id: str, **said: Any) -> dict[str, Any]:
    content = {
        "trace_id": trace_id,
        "value": None,
        "correct": None,
        "source": "gold",
        "at": None,
        **said,
    }
    return {
        "hash": old_hash(content),
        "trace_id": trace_id,
        "content": old_json(content),
        "recorded_at": "2026-01-09T00:00:00+00:00",
    }


CONTENTS = (
    old_trace(
        input="replied",
        raw="because\nAnswer: b",
        rationale={"text": "because", "origin": "elicited"},
        answer="b",
        provenance={"source": "gateway", "request_id": "r1", "generator": "m", "simulated": True},
        usage={"input": 12, "output": 3, "cached": 0},
        cost_usd=0.000125,
        latency_s=1.0,
        created_at="2026-01-02T03:04:05.678901Z",
    ),
    old_trace(
        input="apart",
        rationale={"text": "because", "origin": "human"},
        answer="a",
        choices=["a", "b"],
        group="g",
        split="test",
    ),
    old_trace(input="plain", rationale={"text": "it is", "origin": "elicited"}, answer="a"),
    old_trace(input="Ünïcode \0 and a lone \ud800", raw="\udfff", status="error"),
    old_trace(input="untasked", task=None, stop_reason="end_turn", thinking="hm", raw=""),
)
TRACES = (
    Trace(
        task="t",
        input="replied",
        raw="because\nAnswer: b",
        provenance=Provenance(source="gateway", request_id="r1", generator="m", simulated=True),
        usage=Usage(input=12, output=3),
        cost_usd=0.000125,
        latency_s=1.0,
        created_at=datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
    ),
    Trace(
        task="t",
        input="apart",
        rationale=Rationale(text="because", origin="human"),
        answer="a",
        choices=("a", "b"),
        group="g",
        split="test",
        provenance=Provenance(source="import"),
    ),
    Trace(
        task="t",
        input="plain",
        rationale=Rationale(text="it is"),
        answer="a",
        provenance=Provenance(source="import"),
    ),
    Trace(
        task="t",
        input="Ünïcode \0 and a lone \ud800",
        raw="\udfff",
        status="error",
        provenance=Provenance(source="import"),
    ),
    Trace(
        task=None,
        input="untasked",
        raw="",
        thinking="hm",
        stop_reason="end_turn",
        provenance=Provenance(source="import"),
    ),
)
ROWS = [
    old_trace_row(content, f"2026-01-0{day}T00:00:00+00:00")
    for day, content in enumerate(CONTENTS, 1)
]


def write_first_version(place: str | Path) -> None:
    """A store as the first version left it, with CONTENTS and three outcomes."""
    engine = open_engine(place)
    with engine.connect() as plain:
        connection = plain.execution_options(limbeck_writing=True)
        with connection.begin():
            schema.migrations.create(connection)
            migrations.traces_outcomes_blobs(connection)
            connection.execute(
                sa.text("INSERT INTO migrations VALUES ('001_traces_outcomes_blobs', '2026')")
            )
            tables = sa.MetaData()
            tables.reflect(connection)
            # Not in the order of their times, which is the order in which they came.
            connection.execute(sa.insert(tables.tables["traces"]), ROWS[::-1])
            outcomes = [
                old_outcome_row(ROWS[0]["id"], value="a"),
                old_outcome_row(ROWS[0]["id"], value="b"),
                old_outcome_row(ROWS[1]["id"], correct=True, source="human"),
            ]
            connection.execute(sa.insert(tables.tables["outcomes"]), outcomes)
            data = b"data"
            name = f"sha256:{hashlib.sha256(data).hexdigest()}"
            connection.execute(sa.insert(tables.tables["blobs"]).values(hash=name, data=data))
    engine.dispose()


@pytest.fixture
def renamed(path: Path) -> Path:
    write_first_version(path)
    return path


def test_every_trace_is_there_in_the_order_of_its_time_and_under_its_new_name(
    renamed: Path,
) -> None:
    with Store(renamed) as store:
        assert list(store.traces("t")) == list(TRACES[:4])
        assert list(store.traces(None)) == [TRACES[4]]
        for trace in TRACES:
            assert store.trace(trace.id) == trace
        assert store.verify() == []


def test_outcomes_stay_with_their_trace(renamed: Path) -> None:
    with Store(renamed) as store:
        first, second = TRACES[0].id, TRACES[1].id
        assert store.truths("t") == {
            first: Outcome(trace_id=first, value="b", source="gold"),
            second: Outcome(trace_id=second, correct=True, source="human"),
        }
        assert store.counts().outcomes == 3
        # Further ones come behind them.
        later = Outcome(trace_id=first, value="c", source="gold")
        assert store.attach([later]) == 1
        assert store.truths("t")[first] == later


def test_a_trace_is_found_by_the_id_that_it_had(renamed: Path) -> None:
    with Store(renamed) as store:
        for row, trace in zip(ROWS, TRACES, strict=True):
            assert row["id"] != trace.id
            assert store.find(trace_id=row["id"]) == trace.id
        assert store.find(request_id="r1") == TRACES[0].id


def test_blobs_stay(renamed: Path) -> None:
    with Store(renamed) as store:
        name = store.put_blob(b"data")
        assert store.counts().blobs == 1
        assert store.blob(name) == b"data"


def test_opening_again_changes_nothing(renamed: Path) -> None:
    Store(renamed).close()
    with Store(renamed) as store:
        before = (store.counts(), list(store.traces("t")))
    with Store(renamed) as store:
        assert (store.counts(), list(store.traces("t"))) == before
        assert store.verify() == []


def test_an_import_of_the_same_traces_adds_nothing(renamed: Path) -> None:
    with Store(renamed) as store:
        assert store.add(TRACES) == 0
