from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from limbeck.capture import exporter
from limbeck.capture.exporter import FileFormat, export
from limbeck.errors import DataError
from limbeck.store.store import Store
from limbeck.types import (
    AnswerForm,
    Elicited,
    Outcome,
    PostHoc,
    Provenance,
    Rationale,
    Task,
    Trace,
    Usage,
)

TASK = Task(name="t", answer=AnswerForm(kind="choice", choices=("yes", "no")))
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
FORMS: tuple[FileFormat, ...] = ("parquet", "jsonl")


def trace(text: str = "x", task: str | None = "t", **fields: Any) -> Trace:
    return Trace(task=task, input=text, **{"provenance": Provenance(source="sdk"), **fields})


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pl.read_parquet(path).to_dicts()
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("form", FORMS)
def test_a_row_has_all_that_is_known_of_a_trace(
    store: Store, tmp_path: Path, form: FileFormat
) -> None:
    full = trace(
        "a lone \ud800",
        raw="It is so.\nAnswer: Yes.",
        choices=("yes", "no"),
        provenance=Provenance(source="gateway", generator="m", subject="s", correlation="c"),
        usage=Usage(input=12, output=3, cached=5, cache_write_1h=4, reasoning=2, tier="batch"),
        elicited=Elicited(how="inline"),
        cost_usd=0.25,
        latency_s=1.5,
        created_at=AT,
    )
    store.record([full], [Outcome(trace_id=full.id, value="no", source="human", at=AT)])
    out = tmp_path / f"traces.{form}"
    result = export(store, {"t": TASK}, ["t"], out, form=form)
    assert (result.rows, result.tasks, result.path) == (1, {"t": 1}, str(out))
    [row] = read(out)
    wanted = {
        "trace_id": full.id,
        "task": "t",
        "input": "a lone ?",
        "reply": full.raw,
        "rationale": "It is so.",
        "rationale_origin": "elicited",
        "answer": "yes",
        "outcome": "no",
        "outcome_source": "human",
        "outcome_correct": None,
        "generator": "m",
        "subject": "s",
        "correlation": "c",
        "choices": ["yes", "no"],
        "input_tokens": 12,
        "cached_tokens": 5,
        "cache_write_1h_tokens": 4,
        "tier": "batch",
        "cost_usd": 0.25,
        "latency_s": 1.5,
        "elicited": "inline",
        "simulated": False,
    }
    assert {name: row[name] for name in wanted} == wanted
    for name in ("created_at", "outcome_at"):
        said = row[name] if form == "parquet" else datetime.fromisoformat(row[name])
        assert said == AT


@pytest.mark.parametrize("form", FORMS)
def test_rows_come_in_the_order_of_the_traces_however_many(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: FileFormat
) -> None:
    monkeypatch.setattr(exporter, "BATCH", 7)
    store.add([trace(str(number)) for number in range(40)])
    store.add([trace("untasked", None, raw="Answer: yes"), trace("unknown", "u")])
    out = tmp_path / f"traces.{form}"
    result = export(store, {"t": TASK}, ["t", "u", None], out, form=form)
    rows = read(out)
    wanted = [*map(str, range(40)), "unknown", "untasked"]
    assert [row["input"] for row in rows] == wanted
    assert result.tasks == {"t": 40, "u": 1, "": 1}
    # Nobody says how to read the reply of a call of no task.
    assert (rows[-1]["reply"], rows[-1]["answer"]) == ("Answer: yes", None)
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_rationale_that_was_asked_for_afterwards_fills_the_gap(
    store: Store, tmp_path: Path
) -> None:
    without, having = trace("1", answer="yes"), trace("2", rationale=Rationale(text="own"))
    store.add([without, having])
    store.explain([PostHoc(trace_id=one.id, rationale="asked") for one in (without, having)])
    export(store, {"t": TASK}, ["t"], tmp_path / "o.jsonl", form="jsonl")
    said = [(row["rationale"], row["rationale_origin"]) for row in read(tmp_path / "o.jsonl")]
    assert said == [("asked", "post_hoc"), ("own", "elicited")]


@pytest.mark.parametrize("form", FORMS)
def test_no_traces_are_a_file_with_all_columns(
    store: Store, tmp_path: Path, form: FileFormat
) -> None:
    out = tmp_path / f"none.{form}"
    assert export(store, {}, ["t"], out, form=form).rows == 0
    assert read(out) == []
    if form == "parquet":
        store.add([trace()])
        export(store, {}, ["t"], tmp_path / "one.parquet", form=form)
        none, one = pl.read_parquet_schema(out), pl.read_parquet_schema(tmp_path / "one.parquet")
        assert dict(none) == dict(one)


def test_a_file_that_is_there_stays_as_it_is(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "o.jsonl"
    out.write_text("mine")
    with pytest.raises(DataError, match="is there already"):
        export(store, {}, ["t"], out, form="jsonl")
    assert out.read_text() == "mine"
    export(store, {}, ["t"], out, form="jsonl", force=True)
    assert out.read_text() == ""


@pytest.mark.parametrize("form", FORMS)
def test_an_export_that_breaks_off_leaves_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: FileFormat
) -> None:
    monkeypatch.setattr(exporter, "BATCH", 2)
    store.add([trace(str(number)) for number in range(5)])
    folder = tmp_path / "out"
    folder.mkdir()
    out = folder / f"traces.{form}"
    out.write_text("mine")
    plain, calls = exporter._row, iter(range(4))

    def broken(*args: Any) -> exporter.Row:
        next(calls)
        return plain(*args)

    monkeypatch.setattr(exporter, "_row", broken)
    with pytest.raises(RuntimeError):
        export(store, {}, ["t"], out, form=form, force=True)
    assert [path.name for path in folder.iterdir()] == [out.name]
    assert out.read_text() == "mine"


def test_a_folder_that_is_not_there_says_so(store: Store, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot write .*; check the folder"):
        export(store, {}, ["t"], tmp_path / "no" / "o.jsonl", form="jsonl")
