"""Ray starts a cluster of two workers on this machine for these tests, and takes some seconds to."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from limbeck.curate import inspect, sources
from limbeck.curate.batches import Checked, Checking, check_batch
from limbeck.curate.curate import curate, examine_records, write
from limbeck.curate.engine import open_engine
from limbeck.curate.sources import batches_of
from limbeck.types import Outcome, SplitPlan, Task, Trace

ray: Any = pytest.importorskip("ray", reason="needs Ray: pip install 'limbeck[ray]'")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

Make = Callable[..., Trace]
Given = tuple[Task, list[Trace], dict[str, Outcome]]
LABELS = ("refund", "exchange", "deny")


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            object_store_memory=100_000_000,
            log_to_driver=False,
            logging_level="ERROR",
        )
        yield
        ray.shutdown()


@pytest.fixture
def given(trace: Make, choice_task: Task, monkeypatch: pytest.MonkeyPatch) -> Given:
    """200 traces in six batches."""
    monkeypatch.setattr(sources, "BATCH", 40)
    task = choice_task.model_copy(update={"splits": SplitPlan()})
    traces, truths = [], {}
    for n in range(200):
        chain = f"Case {n % 60} has a clear rule.{'</s>' if n % 7 == 0 else ''}"
        made = trace(f"case {n % 60}", raw=f"{chain}\nAnswer: {LABELS[n % 3]}", row=str(n))
        traces.append(made)
        truths[made.id] = Outcome(trace_id=made.id, value=LABELS[n % 3], source="gold")
    return task, traces, truths


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def on_ray(given: Given, out: Path) -> dict[str, bytes]:
    task, traces, truths = given
    records = batches_of(traces, truths, {})
    engine = open_engine("ray", None)
    with examine_records(records, task, None, None, None, out, engine) as examined:
        return files(write(examined, out).path)


def _killed_once(given: Checking, mark: Path) -> Checked:
    if given.number == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return check_batch(given)


def test_a_cluster_gives_the_identical_dataset(given: Given, tmp_path: Path) -> None:
    here = files(curate(given[1], given[2], given[0], tmp_path / "here").path)
    assert on_ray(given, tmp_path / "ray") == here


def test_a_worker_that_is_killed_changes_nothing(
    given: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = files(curate(given[1], given[2], given[0], tmp_path / "here").path)
    mark = tmp_path / "killed"
    monkeypatch.setattr(inspect, "check_batch", partial(_killed_once, mark=mark))
    # The tests are no package that a worker could import.
    ray.cloudpickle.register_pickle_by_value(__import__("sys").modules[__name__])
    assert on_ray(given, tmp_path / "ray") == here
    assert mark.exists()
