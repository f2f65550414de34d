from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck.capture.importer import BATCH, import_file, import_rows
from limbeck.capture.reply import reread
from limbeck.errors import ConfigError, ImportFileError, UsageError
from limbeck.store.store import Store
from limbeck.types import AnswerForm, ImportMap, RedactForm, Task
from limbeck.workspace import read_task

Write = Callable[..., Path]
ROOT = Path(__file__).parents[2]
ROWS = ImportMap(input="{q}", reply="reply", truth="gold", id="id")
TASK = Task(name="t", answer=AnswerForm(kind="choice", choices=("yes", "no")), rows=ROWS)


def row(n: int, **more: Any) -> dict[str, Any]:
    return {"id": n, "q": f"Is it {n}?", "reply": f"It is {n}.\nAnswer: yes", "gold": "no", **more}


def counts(result: Any) -> tuple[int, int, int, int]:
    return result.read, result.added, result.already, result.outcomes


@pytest.mark.parametrize("packed", [False, True])
def test_rows_become_traces_with_gold_outcomes(store: Store, write: Write, packed: bool) -> None:
    path = write([row(1), row(2)], packed=packed)
    assert counts(import_rows(store, TASK, path)) == (2, 2, 0, 2)
    found = next(trace for trace in store.traces("t") if trace.input == "Is it 1?")
    trace = reread(TASK, found)
    assert trace.raw == "It is 1.\nAnswer: yes"
    assert trace.rationale is not None
    assert (trace.rationale.text, trace.answer) == ("It is 1.", "yes")
    origin = trace.provenance
    assert (origin.source, origin.file, origin.row) == ("import", "rows.jsonl", "1")
    assert origin.skeleton == TASK.skeleton
    truth = store.truths("t")[trace.id]
    assert (truth.value, truth.source) == ("no", "gold")


def test_a_second_import_adds_nothing(store: Store, write: Write) -> None:
    path = write([row(n) for n in range(5)])
    import_rows(store, TASK, path)
    assert counts(import_rows(store, TASK, path)) == (5, 0, 5, 0)
    write([row(n) for n in range(7)])
    assert counts(import_rows(store, TASK, path)) == (7, 2, 5, 2)


def test_the_parts_of_a_reply_may_stand_apart(store: Store, write: Write) -> None:
    path = write([{"q": "x", "why": " Because. ", "label": "YES", "model": "m", "licence": "MIT"}])
    rows = ImportMap(
        input="q", rationale="why", answer="label", generator="model", licence="licence"
    )
    import_rows(store, TASK, path, rows=rows)
    [trace] = store.traces("t")
    assert trace.raw is None
    assert trace.rationale is not None
    assert (trace.rationale.text, trace.answer) == ("Because.", "yes")
    assert (trace.provenance.generator, trace.provenance.licence) == ("m", "MIT")
    assert trace.provenance.row == "line 1"


def test_reasoning_beside_a_whole_reply_is_its_thinking_block(store: Store, write: Write) -> None:
    path = write([{"q": "x", "reasoning": "Hm.", "content": "yes"}])
    import_rows(
        store, TASK, path, rows=ImportMap(input="q", reply="content", rationale="reasoning")
    )
    [found] = store.traces("t")
    trace = reread(TASK, found)
    assert (trace.thinking, trace.answer) == ("Hm.", "yes")
    assert trace.rationale is not None
    assert trace.rationale.origin == "native"


def test_a_split_is_kept_with_every_row(store: Store, write: Write) -> None:
    import_rows(store, TASK, write([row(1)]), split="test")
    assert [trace.split for trace in store.traces("t")] == ["test"]


def test_a_limit_is_in_rows(store: Store, write: Write) -> None:
    path = write([row(n) for n in range(5)])
    assert counts(import_rows(store, TASK, path, limit=3)) == (3, 3, 0, 3)


def test_choices_may_come_with_the_row(store: Store, write: Write) -> None:
    task = Task(name="t", answer=AnswerForm(kind="choice"))
    rows = ImportMap(input="{q} ({c})", choices="c", choice_join=" / ", reply="r", truth="t")
    path = write([{"q": "Which?", "c": ["a cat", "a dog"], "r": "Answer: (b)", "t": "dog"}])
    import_rows(store, task, path, rows=rows)
    [found] = store.traces("t")
    trace = reread(task, found)
    assert (trace.input, trace.choices) == ("Which? (a cat / a dog)", ("a cat", "a dog"))
    assert trace.answer == store.truths("t")[trace.id].value == "a dog"


def test_rows_without_use_are_skipped_with_a_reason(store: Store, write: Write) -> None:
    empty = {"id": 2, "q": " ", "reply": "Answer: yes", "gold": "no"}
    nothing = {"id": 3, "q": "x", "reply": None, "gold": None}
    result = import_rows(store, TASK, write([row(1), empty, nothing]))
    assert counts(result) == (3, 1, 0, 1)
    assert result.skipped == {
        "neither a reply nor an answer nor a truth": 1,
        "the input is empty": 1,
    }


def test_equal_rows_without_an_id_are_told_apart_by_their_line(store: Store, write: Write) -> None:
    rows = ImportMap(input="q", reply="reply", truth="gold")
    path = write([row(1), row(1, gold="yes")])
    assert import_rows(store, TASK, path, rows=rows).added == 2
    assert sorted(o.value or "" for o in store.truths("t").values()) == ["no", "yes"]


def test_progress_counts_bytes_and_rows(store: Store, write: Write) -> None:
    path = write([row(n) for n in range(250)])
    seen: list[tuple[int, int]] = []
    import_rows(store, TASK, path, progress=lambda *counts: seen.append(counts))
    assert [rows for _, rows in seen] == [100, 200]
    assert 0 < seen[0][0] <= seen[1][0] <= path.stat().st_size


@pytest.mark.parametrize(
    ("bad", "wanted"),
    [
        (
            {"id": 9, "q": "x", "reply": "y"},
            "the key 'gold' is missing; the keys are: id, q, reply",
        ),
        (row(9, gold="maybe"), "the truth is 'maybe'; wanted one of ['yes', 'no']"),
        (b'{"id": 9, "q": "x\xff"}', "is not UTF-8"),
        (b"{", "broken JSON"),
    ],
)
def test_a_bad_line_is_named_and_the_whole_batches_before_it_are_kept(
    store: Store, write: Write, bad: dict[str, Any] | bytes, wanted: str
) -> None:
    good: list[dict[str, Any] | bytes] = [row(n) for n in range(2 * BATCH + 10)]
    path = write([*good, bad, row(-1)])
    with pytest.raises(ImportFileError) as caught:
        import_rows(store, TASK, path)
    assert caught.value.line == 2 * BATCH + 11
    message = str(caught.value)
    assert message.startswith(f"{path}, line 2,011: ")
    assert wanted in message
    assert "2,000 rows before it were written" in message
    assert store.counts().traces == store.counts().outcomes == 2 * BATCH
    write(good)
    assert counts(import_rows(store, TASK, path)) == (2010, 10, 2000, 10)
    assert store.verify() == []


def test_half_a_gzip_file_keeps_its_whole_batches_and_is_completed_later(
    store: Store, write: Write
) -> None:
    whole = write([row(n, pad=str(hash(str(n)))) for n in range(3500)], packed=True)
    data = whole.read_bytes()
    whole.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(ImportFileError, match="breaks off after line") as caught:
        import_rows(store, TASK, whole)
    assert caught.value.line is None
    kept = store.counts().traces
    assert kept in (1000, 2000)
    whole.write_bytes(data)
    result = import_rows(store, TASK, whole)
    assert (result.added, result.already) == (3500 - kept, kept)


def test_an_empty_file_is_refused(store: Store, write: Write) -> None:
    with pytest.raises(ImportFileError, match=r"the file is empty; .* nothing was written"):
        import_rows(store, TASK, write([]))


def test_a_reply_and_its_answer_at_once_contradict_each_other(store: Store, write: Write) -> None:
    with pytest.raises(ConfigError, match="either the whole reply or its parts"):
        import_rows(store, TASK, write([row(1)]), rows=ImportMap(reply="reply", answer="gold"))


def test_a_truth_that_is_no_number_is_refused_for_a_number(store: Store, write: Write) -> None:
    task = Task(name="t", answer=AnswerForm(kind="number"), rows=ROWS)
    with pytest.raises(ImportFileError, match="the truth is 'about 7'; wanted a number"):
        import_rows(store, task, write([row(1, gold="about 7")]))


@pytest.mark.parametrize(("name", "file"), [("svamp", "svamp_palm/test"), ("cqa", "cqa_palm/test")])
def test_real_files_come_in_whole_and_once(
    store: Store, shared_data: Path, name: str, file: str
) -> None:
    task = read_task(ROOT / f"examples/tasks/{name}.toml")
    path = shared_data / f"{file}.jsonl.gz"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    result = import_rows(store, task, path, split="test")
    assert counts(result) == (len(rows), len(rows), 0, len(rows))
    assert import_rows(store, task, path, split="test").added == 0
    assert {trace.provenance.generator for trace in store.traces(name)} == {"palm-540b"}
    assert store.verify() == []


TURNS = [{"role": "user", "content": "Is it?"}, {"role": "assistant", "content": "Answer: yes"}]


def observation(n: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"obs-{n}",
        "traceId": "tr",
        "type": "GENERATION",
        "input": [{"role": "user", "content": f"Is it {n}?"}],
        "output": "Answer: yes",
        "usageDetails": {},
        **more,
    }


def test_exports_that_overlap_give_every_call_once(store: Store, write: Write) -> None:
    january = write([observation(n) for n in range(6)], "january.jsonl")
    later = write([observation(n) for n in range(4, 9)], "later.jsonl")
    assert counts(import_file(store, TASK, january)) == (6, 6, 0, 0)
    assert counts(import_file(store, TASK, later)) == (5, 3, 2, 0)


def test_a_call_is_there_once_however_it_came(store: Store, write: Write) -> None:
    path = write([observation(1), observation(1)])
    assert import_file(store, None, path).added == 1
    # Its task may have changed since, and its price too: it is the same call.
    result = import_file(store, TASK, path)
    assert counts(result) == (2, 0, 2, 0)
    assert store.counts().traces == 1


def test_an_outcome_that_comes_later_goes_to_the_call_that_is_there(
    store: Store, write: Write
) -> None:
    import_file(store, TASK, write([observation(1)]))
    [trace] = store.traces("t")
    scored = observation(1, scores=[{"name": "correct", "value": 0, "source": "ANNOTATION"}])
    result = import_file(store, None, write([scored]))
    assert (result.added, result.outcomes) == (0, 1)
    assert store.truths("t")[trace.id].correct is False


def test_a_dry_run_writes_nothing_and_shows_the_first_traces(store: Store, write: Write) -> None:
    path = write([observation(n) for n in range(5)])
    result = import_file(None, TASK, path)
    assert (result.format, result.read, result.added) == ("langfuse", 5, 5)
    assert [one.trace.input for one in result.shown] == ["Is it 0?", "Is it 1?", "Is it 2?"]
    assert {one.trace.answer for one in result.shown} == {"yes"}
    assert store.counts().traces == 0


def test_replies_without_an_answer_are_counted(store: Store, write: Write) -> None:
    path = write([observation(1), observation(2, output="I cannot say.")])
    assert import_file(store, TASK, path).unanswered == 1


def test_a_limit_is_in_calls_also_where_a_line_holds_many(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "page.json"
    path.write_text(json.dumps({"data": [observation(n) for n in range(9)], "meta": {}}))
    assert counts(import_file(store, TASK, path, limit=4)) == (4, 4, 0, 0)


def test_a_bad_row_of_an_export_is_named_by_its_line(store: Store, write: Write) -> None:
    path = write([{"messages": TURNS}, {"messages": TURNS, "id": 2}, {"text": "x"}])
    with pytest.raises(ImportFileError, match="wanted one of messages") as caught:
        import_file(store, TASK, path)
    assert caught.value.line == 3


def test_rows_of_no_task_ask_for_one(store: Store, write: Write) -> None:
    with pytest.raises(UsageError, match="wanted a --task whose"):
        import_file(store, None, write([row(1)]))


@pytest.mark.parametrize("kind", ["csv", "json", "parquet"])
def test_rows_may_stand_in_any_kind_of_file(store: Store, tmp_path: Path, kind: str) -> None:
    import polars as pl

    rows = [row(n) for n in range(3)]
    path = tmp_path / f"rows.{kind}"
    if kind == "json":
        path.write_text(json.dumps(rows, indent=1))
    elif kind == "csv":
        pl.DataFrame(rows).write_csv(path)
    else:
        pl.DataFrame(rows).write_parquet(path)
    assert counts(import_rows(store, TASK, path)) == (3, 3, 0, 3)
    assert {trace.answer for trace in store.traces("t")} <= {None, "yes"}
    assert import_rows(store, TASK, path).added == 0


def test_what_the_task_redacts_is_not_stored(store: Store, write: Write) -> None:
    task = TASK.model_copy(update={"redact": RedactForm(kinds=("email",))})
    path = write([row(1, q="I am jo@example.org")])
    assert counts(import_rows(store, task, path)) == (1, 1, 0, 1)
    [trace] = store.traces("t")
    assert "jo@example.org" not in trace.content
    assert store.truths("t")[trace.id].value == "no"


def test_a_split_is_kept_with_every_exported_call(store: Store, write: Write) -> None:
    import_file(store, TASK, write([observation(1)]), split="test")
    assert [trace.split for trace in store.traces("t")] == ["test"]


def test_calls_with_other_instructions_than_the_task_are_counted(
    store: Store, write: Write
) -> None:
    system = {"role": "system", "content": "Answer yes or no."}
    rows = [{"messages": [system, *TURNS]}, {"messages": TURNS}]
    task = TASK.model_copy(update={"instruction": "Answer yes or no."})
    assert import_file(store, task, write(rows)).other_instructions == 0
    other = task.model_copy(update={"instruction": "Be brief."})
    assert import_file(None, other, write(rows)).other_instructions == 1
