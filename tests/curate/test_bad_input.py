"""What no pipeline is made for: the dataset is right all the same, or one sentence says why not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from limbeck.curate import sources
from limbeck.curate.curate import curate, examine_records, write
from limbeck.curate.dataset import read_dataset
from limbeck.curate.sources import batches_of
from limbeck.errors import DatasetError
from limbeck.store.records import Record
from limbeck.store.store import Store
from limbeck.types import Outcome, Task, Trace

Make = Callable[..., Trace]
LABELS = ("refund", "exchange", "deny")


@pytest.fixture(autouse=True)
def spilled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches so small that their texts go to the disk."""
    monkeypatch.setattr(sources, "BATCH", 5)


def test_any_text_that_a_store_takes_can_be_curated(
    trace: Make, choice_task: Task, tmp_path: Path
) -> None:
    odd = (
        "nul \0 here",
        "half \ud83d pair",
        "r\u00e9sum\u00e9 e\u0301",
        "\u202eright to left",
        "\x1f\x1e",
        "\u3042\U0001f600",
    )
    traces = [
        trace(f"{text} {n}", raw=f"I read {text!s}, and so it is.\nAnswer: {LABELS[n % 3]}")
        for n in range(4)
        for text in odd
    ]
    with Store(tmp_path / "store.db") as store:
        store.add(traces)
        store.attach([Outcome(trace_id=traces[0].id, value="re\0fund", source="gold")])
        records = store.records("triage", batch=7)
        with examine_records(records, choice_task, None, None, None, tmp_path) as examined:
            dataset = read_dataset(write(examined, tmp_path).path)
    whole = curate(
        traces,
        {traces[0].id: Outcome(trace_id=traces[0].id, value="re\0fund", source="gold")},
        choice_task,
        tmp_path,
    )
    assert whole.hash == dataset.hash
    dropped = dataset.dropped()
    kept = dataset.split("train")
    assert len(kept) + dropped.height == len(traces)
    assert {example.input.rstrip(" 0123") for example in kept} >= {odd[2], odd[3], odd[5]}
    assert set(dropped["reason"]) <= {"residue", "unknown_truth", "near_duplicate", "language"}


def test_thousands_of_copies_of_one_trace_are_one_example(
    trace: Make, choice_task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "BATCH", 500)
    copies = [trace("case", raw="It is late.\nAnswer: deny", latency_s=n / 10) for n in range(3000)]
    other = trace("other case", raw="It is new.\nAnswer: refund")
    info = curate([*copies, other], {}, choice_task, tmp_path)
    assert info.splits["train"] == 2
    assert info.summary.drops == {"duplicate": {"train": 2999}}


def test_the_same_trace_again_and_again_is_one_trace(
    trace: Make, choice_task: Task, tmp_path: Path
) -> None:
    pair = [trace(f"case {n}", raw=f"Late.\nAnswer: {LABELS[n]}") for n in range(2)]
    info = curate(pair * 40, {}, choice_task, tmp_path)
    assert (info.summary.traces, info.splits["train"]) == (2, 2)


@pytest.mark.slow
def test_a_chain_of_five_megabytes_is_one_row_like_any_other(
    trace: Make, choice_task: Task, tmp_path: Path
) -> None:
    long = " ".join(f"Step {n} says {n * 7919 % 10007}." for n in range(260_000))
    traces = [trace(f"case {n}", raw=f"Rule {n}.\nAnswer: {LABELS[n % 3]}") for n in range(20)]
    traces.append(trace("long", raw=f"{long}\nAnswer: deny"))
    assert len(long) > 5_000_000
    info = curate(traces, {}, choice_task, tmp_path)
    dataset = read_dataset(info.path)
    rationales = [example.rationale or "" for example in dataset.split("train")]
    rationales += dataset.dropped()["rationale"].to_list()
    assert max(map(len, rationales)) == len(long)


@pytest.mark.parametrize(
    ("raws", "said"),
    [
        (["nothing to say."] * 30, "nothing is left to train on: all 30 training traces"),
        (["Late.\nAnswer: deny"] * 30, "wanted at least two different answers"),
    ],
)
def test_where_nothing_can_be_learned_the_old_dataset_stays(
    raws: list[str], said: str, trace: Make, choice_task: Task, tmp_path: Path
) -> None:
    good = [trace(f"case {n}", raw=f"Rule {n}.\nAnswer: {LABELS[n % 3]}") for n in range(20)]
    before = curate(good, {}, choice_task, tmp_path)
    bad = [trace(f"case {n}", raw=raw) for n, raw in enumerate(raws)]
    with pytest.raises(DatasetError, match=said):
        curate(bad, {}, choice_task, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [before.name]
    assert read_dataset(before.path).hash == before.hash


def test_answers_that_are_the_same_after_normalization_are_no_conflict(
    trace: Make, choice_task: Task, tmp_path: Path
) -> None:
    said = ("deny", "Deny.", "(c)", "**deny**", '"DENY"', " deny ")
    traces = [trace("case", raw=f"Late {n}.\nAnswer: {one}") for n, one in enumerate(said)]
    traces.append(trace("other", raw="New.\nAnswer: refund"))
    info = curate(traces, {}, choice_task, tmp_path)
    assert info.summary.conflicts.inputs == 0
    assert info.splits["train"] == 2


def test_a_damaged_record_is_named(choice_task: Task, trace: Make, tmp_path: Path) -> None:
    [good] = next(batches_of([trace()], {}, {}))
    bad = Record("sha256:bad", '{"task": 1')
    with pytest.raises(DatasetError, match=r"'sha256:bad', .* is damaged; .* limbeck store verify"):
        examine_records([[good, bad]], choice_task, None, None, None, tmp_path)
    assert list(tmp_path.iterdir()) == []
