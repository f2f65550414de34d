from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from limbeck.curate import inspect, originals, sources
from limbeck.curate.contamination import Evaluation, Source
from limbeck.curate.curate import curate, examine, examine_records, write
from limbeck.curate.dataset import read_dataset
from limbeck.curate.engine import Engine, Here, Pool
from limbeck.curate.parts import PREFIX
from limbeck.curate.settings import resolve_settings
from limbeck.curate.sources import batches_of
from limbeck.errors import DatasetError
from limbeck.types import Outcome, SplitPlan, Task, Trace

Make = Callable[..., Trace]
Given = tuple[Task, list[Trace], dict[str, Outcome]]
LABELS = ("refund", "exchange", "deny")
ASKED = "The {} that i ordered from your shop came {} weeks late, and the box was wet all over: {}"
SETTINGS = {"duplicates": {"per_input": 2, "near": True}, "nonsense": {"at_least": 20}}
EVALUATION = Evaluation(
    (Source(name="held.jsonl", texts=1, hash="sha256:0"),), (("case 17 has no rule",),)
)


@pytest.fixture
def given(trace: Make, choice_task: Task) -> Given:
    """260 traces with repeats, near-duplicates, several chains an input, groups and faults."""
    task = choice_task.model_copy(update={"splits": SplitPlan()})
    traces, truths = [], {}
    for n in range(200):
        asked = ASKED.format(("shirt", "skirt")[n % 2], n % 25, "ab"[n % 7 == 0] * 3)
        chain = f"Case {n}: rule {n % 11} is clear, and the box came late. So it is this."
        chain = ["spam spam " * 30, chain + "</s>", chain, chain][n % 4] if n % 3 == 0 else chain
        group = f"customer {n % 40}" if n % 2 else None
        made = trace(asked, raw=f"{chain}\nAnswer: {LABELS[n % 3]}", group=group, row=str(n))
        traces.append(made)
        if n % 5:
            truths[made.id] = Outcome(trace_id=made.id, value=LABELS[(n % 25) % 3], source="gold")
    traces += [trace(f"case {n} has no rule", raw="I see.\nAnswer: deny") for n in range(60)]
    return task, traces, truths


def run(given: Given, out: Path, engine: Engine | None = None) -> dict[str, bytes]:
    """The files of the dataset, examined in batches of as many as `sources.BATCH` says."""
    task, traces, truths = given
    settings = resolve_settings(task, SETTINGS)
    records = batches_of(traces, truths, {})
    with examine_records(records, task, settings, None, EVALUATION, out, engine) as examined:
        info = write(examined, out)
    assert [path.name for path in out.iterdir()] == [info.name]
    return {path.name: path.read_bytes() for path in info.path.iterdir()}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    def cut(batch: int, table: int) -> None:
        monkeypatch.setattr(sources, "BATCH", batch)
        monkeypatch.setattr(originals, "TABLE", table)

    return cut


@pytest.mark.parametrize(("batch", "table"), [(7, 11), (64, 500), (1, 32)])
def test_the_size_of_the_batches_changes_no_byte(
    batch: int, table: int, given: Given, small: Callable[[int, int], None], tmp_path: Path
) -> None:
    whole = run(given, tmp_path / "whole")
    assert len(pl.read_parquet(whole["dropped.parquet"])["reason"].unique()) >= 6
    small(batch, table)
    assert run((given[0], given[1][::-1], given[2]), tmp_path / "cut") == whole


@pytest.mark.slow
def test_the_number_of_workers_changes_no_byte(
    given: Given,
    small: Callable[[int, int], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small(50, 100)
    here = run(given, tmp_path / "here", Here())
    # With so few in one go, the workers end in between and others are started.
    monkeypatch.setattr(inspect, "MANY", 2)
    for workers in (1, 3):
        assert run(given, tmp_path / f"pool-{workers}", Pool(workers)) == here


def _killed_once(item: tuple[int, Path]) -> int:
    number, mark = item
    if number == 5 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * 2


def _killed(item: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return item


@pytest.mark.slow
def test_what_a_killed_worker_had_is_done_again(tmp_path: Path) -> None:
    pool = Pool(2)
    items = [(number, tmp_path / "mark") for number in range(12)]
    assert list(pool.map(_killed_once, items)) == [number * 2 for number in range(12)]
    pool.close()


@pytest.mark.slow
def test_workers_that_are_always_killed_end_in_one_sentence() -> None:
    pool = Pool(1)
    with pytest.raises(DatasetError, match="killed 3 times, most likely because"):
        list(pool.map(_killed, range(3)))
    pool.close()


def test_an_interrupted_run_leaves_the_old_dataset_and_nothing_else(
    given: Given,
    small: Callable[[int, int], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task, traces, truths = given
    before = curate(traces, truths, task, tmp_path)
    small(16, 32)
    settings = resolve_settings(task, SETTINGS)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    for place in ("decide", "check_batch"):
        with monkeypatch.context() as patch:
            patch.setattr(inspect, place, interrupted)
            with pytest.raises(KeyboardInterrupt):
                curate(traces, truths, task, tmp_path, settings)
        assert [path.name for path in tmp_path.iterdir()] == [before.name]
    after = curate(traces, truths, task, tmp_path, settings)
    assert read_dataset(before.path).hash == before.hash != after.hash


def test_what_a_killed_run_has_left_is_swept_by_the_next(
    given: Given, small: Callable[[int, int], None], tmp_path: Path
) -> None:
    left = tmp_path / f"{PREFIX}left"
    left.mkdir()
    (left / "lock").touch()
    (left / "part-000000.arrow").write_bytes(b"x" * 100)
    small(16, 32)
    info = curate(given[1], given[2], given[0], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [info.name]


def test_a_run_beside_another_does_not_sweep_it_away(
    given: Given, small: Callable[[int, int], None], tmp_path: Path
) -> None:
    task, traces, truths = given
    small(16, 32)
    records = batches_of(traces, truths, {})
    with examine_records(records, task, None, None, None, tmp_path) as other:
        first = curate(traces, truths, task, tmp_path)
        assert write(other, tmp_path).hash == first.hash


def test_a_closed_examination_gives_back_its_folder(
    given: Given, small: Callable[[int, int], None], tmp_path: Path
) -> None:
    small(16, 32)
    records = batches_of(given[1], given[2], {})
    examined = examine_records(records, given[0], None, None, None, tmp_path)
    assert [path.name.startswith(PREFIX) for path in tmp_path.iterdir()] == [True]
    assert examined.texts(examined.rows.head(3))["input"].null_count() == 0
    examined.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said_in_one_sentence(
    given: Given, small: Callable[[int, int], None], tmp_path: Path
) -> None:
    small(16, 32)
    blocked = tmp_path / "file"
    blocked.touch()
    records = batches_of(given[1], given[2], {})
    with pytest.raises(DatasetError, match="earlier datasets are as they were"):
        examine_records(records, given[0], None, None, None, blocked)


def test_a_chain_of_megabytes_makes_a_batch_of_its_own(
    trace: Make, choice_task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "BATCH_BYTES", 5_000)
    traces = [
        trace(f"case {n}", raw="It is so. " * (n == 2) * 600 + "\nAnswer: deny") for n in range(5)
    ]
    pages = batches_of(traces, {}, {})
    assert [table.height for table in sources.tables(pages)] == [3, 2]
    rows = examine(traces, {}, choice_task).rows
    assert rows.filter(pl.col("reason") == "loop").height == 1
