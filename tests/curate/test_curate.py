from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from limbeck.curate.curate import curate, examine
from limbeck.curate.dataset import read_dataset
from limbeck.curate.explain import explain
from limbeck.curate.settings import resolve_settings
from limbeck.errors import DatasetError
from limbeck.types import Outcome, SplitPlan, Task, Trace

Make = Callable[..., Trace]
LABELS = ("refund", "exchange", "deny")
BAD = "the rule </s> is not clear."


@pytest.fixture
def many(trace: Make, choice_task: Task) -> tuple[Task, list[Trace], dict[str, Outcome]]:
    """300 inputs in four splits; every third chain is damaged and every fifth answer is wrong."""
    task = choice_task.model_copy(update={"splits": SplitPlan()})
    traces, truths = [], {}
    for n in range(300):
        truth = LABELS[n % 3]
        answer = LABELS[(n + 1) % 3] if n % 5 == 0 else truth
        chain = f"Case {n}: {BAD}" if n % 3 == 0 else f"Case {n} has a clear rule."
        made = trace(f"case {n}", raw=f"{chain}\nAnswer: {answer}")
        traces.append(made)
        truths[made.id] = Outcome(trace_id=made.id, value=truth, source="gold")
    return task, traces, truths


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_where_students_are_judged_no_chain_drops_a_trace(
    many: tuple[Task, list[Trace], dict[str, Outcome]],
) -> None:
    rows = examine(many[1], many[2], many[0]).with_texts()
    judged = rows.filter(pl.col("split") != "train")
    assert judged.filter(pl.col("rationale").str.contains("</s>")).height > 10
    assert judged.filter(~pl.col("correct")).height > 5
    assert judged["reason"].null_count() == judged.height
    train = rows.filter(pl.col("split") == "train")
    assert set(train["reason"].drop_nulls()) >= {"residue", "wrong_answer"}
    assert train.filter(pl.col("reason").is_null() & ~pl.col("correct")).is_empty()


def test_the_quality_of_a_chain_never_moves_an_input_to_another_split(
    trace: Make, choice_task: Task
) -> None:
    task = choice_task.model_copy(update={"splits": SplitPlan()})
    split_of = []
    for chain in ("A clear rule.", BAD):
        traces = [trace(f"case {n}", raw=f"{chain}\nAnswer: deny") for n in range(100)]
        rows = examine(traces, {}, task).with_texts()
        split_of.append(dict(rows.select("input", "split").iter_rows()))
    assert split_of[0] == split_of[1]


def test_the_answers_of_judging_rows_are_the_truth_and_the_teachers_stand_beside(
    many: tuple[Task, list[Trace], dict[str, Outcome]], tmp_path: Path
) -> None:
    info = curate(many[1], many[2], many[0], tmp_path)
    rows = read_dataset(info.path).rows("test")
    assert rows["answer"].to_list() == rows["truth"].to_list()
    wrong = rows.filter(~pl.col("teacher_correct"))
    assert wrong.height > 0
    assert (wrong["teacher_answer"] != wrong["truth"]).all()
    teacher = info.summary.teacher["test"]
    assert (teacher.right, teacher.known) == (rows["teacher_correct"].sum(), rows.height)
    assert teacher.low < teacher.share < teacher.high


def test_the_same_traces_in_any_order_give_the_same_bytes(
    many: tuple[Task, list[Trace], dict[str, Outcome]], tmp_path: Path
) -> None:
    task, traces, truths = many
    shuffled = list(traces)
    random.Random(1).shuffle(shuffled)
    backwards = dict(reversed(truths.items()))
    first = curate(traces, truths, task, tmp_path / "a")
    second = curate(shuffled, backwards, task, tmp_path / "b")
    assert first.hash == second.hash
    assert digests(tmp_path / "a") == digests(tmp_path / "b")


def test_an_identical_dataset_is_used_again(
    many: tuple[Task, list[Trace], dict[str, Outcome]], tmp_path: Path
) -> None:
    first = curate(many[1], many[2], many[0], tmp_path)
    times = {path: path.stat().st_mtime_ns for path in first.path.iterdir()}
    second = curate(many[1], many[2], many[0], tmp_path)
    assert (first.reused, second.reused) == (False, True)
    assert first.path == second.path
    assert {path: path.stat().st_mtime_ns for path in first.path.iterdir()} == times
    assert [path.name for path in tmp_path.iterdir()] == [first.name]


def test_another_setting_gives_another_dataset_beside_the_first(
    many: tuple[Task, list[Trace], dict[str, Outcome]], tmp_path: Path
) -> None:
    task, traces, truths = many
    first = curate(traces, truths, task, tmp_path)
    everything = resolve_settings(task, {"wrong_answer": {"keep": "all"}})
    second = curate(traces, truths, task, tmp_path, everything)
    assert second.splits["train"] > first.splits["train"]
    assert read_dataset(first.path).hash == first.hash
    wrong = [e for e in read_dataset(second.path).split("train") if e.answer != e.truth]
    assert wrong


def test_every_trace_is_in_one_split_or_dropped(
    many: tuple[Task, list[Trace], dict[str, Outcome]], tmp_path: Path
) -> None:
    task, traces, truths = many
    again = [Trace.model_validate({**t.model_dump(), "latency_s": 1.0}) for t in traces[:40]]
    info = curate([*traces, *again], truths, task, tmp_path)
    dataset = read_dataset(info.path)
    kept = [e.trace_id for split in dataset.splits for e in dataset.split(split)]
    dropped = dataset.dropped()["trace_id"].to_list()
    assert sorted(kept + dropped) == sorted(t.id for t in [*traces, *again])
    assert info.summary.funnel[0].left == 340
    assert info.summary.funnel[-1].left == len(kept)
    assert "duplicate" in info.summary.drops
    inputs = [e.input for split in dataset.splits for e in dataset.split(split)]
    assert len(inputs) == len(set(inputs))


def test_without_outcomes_the_truth_is_called_agreement(trace: Make, choice_task: Task) -> None:
    traces = [trace(f"case {n}", raw=f"Rule {n}.\nAnswer: {LABELS[n % 3]}") for n in range(30)]
    task = choice_task.model_copy(update={"splits": SplitPlan(test=1)})
    examined = examine(traces, {}, task)
    assert set(examined.rows["truth_source"]) == {"teacher_agreement"}
    assert examined.summary.teacher == {}
    assert any("measure agreement, not correctness" in said for said in examined.caveats)


def test_a_test_row_keeps_its_input_out_of_train(trace: Make, choice_task: Task) -> None:
    traces = [
        trace("what now?", raw="Late.\nAnswer: deny", split="test"),
        trace("What  now?", raw="Broken.\nAnswer: deny"),
    ]
    rows = examine(traces, {}, choice_task).rows
    assert dict(rows.select("split", "reason").iter_rows()) == {"test": None, "train": "leakage"}


def test_what_is_no_teachers_reply_is_set_aside(trace: Make, choice_task: Task) -> None:
    traces = [
        trace("a", raw="Answer: deny"),
        trace("b", raw="Answer: deny", source="student"),
        trace("c", raw="", status="error", split="test"),
    ]
    rows = examine(traces, {}, choice_task).with_texts()
    reasons = dict(rows.select("input", "reason").iter_rows())
    assert reasons == {"a": None, "b": "student_reply", "c": "failed_call"}


def test_a_damaged_reply_does_not_dispute_a_clean_one_in_train(
    trace: Make, choice_task: Task
) -> None:
    traces = [
        trace(raw="It is late.\nAnswer: deny"),
        trace(raw="It is late, so deny.\nAnswer: refund"),
    ]
    rows = examine(traces, {}, choice_task).rows
    assert set(rows["reason"]) == {None, "contradiction"}


def test_an_outcome_that_only_says_wrong_is_no_truth(trace: Make, choice_task: Task) -> None:
    made = trace(raw="Late.\nAnswer: deny", split="test")
    truths = {made.id: Outcome(trace_id=made.id, correct=False, source="human")}
    examined = examine([made], truths, choice_task)
    assert examined.rows["reason"].to_list() == ["unknown_truth"]
    assert any("what is left is easier" in said for said in examined.caveats)


def test_the_first_reason_is_the_mechanical_one(trace: Make, choice_task: Task) -> None:
    made = trace(raw="The rule says late. " * 6 + "\nAnswer: refund")
    truths = {made.id: Outcome(trace_id=made.id, value="deny", source="gold")}
    examined = examine([made], truths, choice_task)
    assert examined.rows["reason"].to_list() == ["loop"]
    found = explain(examined, made.id[7:20])
    assert {f.check for f in found.findings if not f.passes} == {"loop", "wrong_answer"}
    assert (found.split, found.truth, found.answer) == ("train", "deny", "refund")


def test_explaining_an_unknown_trace_says_so(trace: Make, choice_task: Task) -> None:
    examined = examine([trace(raw="Answer: deny")], {}, choice_task)
    with pytest.raises(DatasetError, match="0 traces of the task 'triage'"):
        explain(examined, "ffff0000")


@pytest.mark.parametrize(
    ("raws", "said"),
    [
        ([], "the task 'triage' has no traces"),
        (["nothing to say."] * 3, r"all 3 training traces .* most \(3\) for 'missing_answer'"),
        (["Late.\nAnswer: deny"] * 4, "all 4 traces of 'triage' .* have the answer 'deny'"),
    ],
)
def test_when_nothing_can_be_learned_the_biggest_reason_is_named(
    raws: list[str], said: str, trace: Make, choice_task: Task, tmp_path: Path
) -> None:
    (tmp_path / "triage-01234567").mkdir()
    traces = [trace(f"case {n}", raw=raw) for n, raw in enumerate(raws)]
    with pytest.raises(DatasetError, match=said):
        curate(traces, {}, choice_task, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["triage-01234567"]


def test_no_row_for_training_is_named(trace: Make, choice_task: Task, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none of the 1 traces .* split 'train'"):
        curate([trace(raw="Answer: deny", split="test")], {}, choice_task, tmp_path)
