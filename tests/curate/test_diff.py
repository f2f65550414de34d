from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from limbeck.curate.curate import curate
from limbeck.curate.dataset import Dataset, read_dataset
from limbeck.curate.diff import diff, find_dataset
from limbeck.curate.settings import resolve_settings
from limbeck.types import SplitPlan, Task, Trace

Make = Callable[..., Trace]
LABELS = ("refund", "exchange", "deny")


@pytest.fixture
def made(trace: Make, choice_task: Task, tmp_path: Path) -> Callable[..., Dataset]:
    def make(n: int = 30, task: Task = choice_task, **given: dict[str, object]) -> Dataset:
        traces = [
            trace(
                f"case {k}",
                raw=f"Case {k}{'</s>' if k % 10 == 0 else ''} is so.\nAnswer: {LABELS[k % 3]}",
            )
            for k in range(n)
        ]
        info = curate(traces, {}, task, tmp_path, resolve_settings(task, given))
        return read_dataset(info.path)

    return make


def test_a_dataset_does_not_differ_from_itself(made: Callable[..., Dataset]) -> None:
    found = diff(made(), made())
    assert found.same
    assert found.changes == ()
    assert found.settings == {}


def test_what_a_setting_changed_is_told_with_the_traces(made: Callable[..., Dataset]) -> None:
    found = diff(made(), made(residue={"enabled": False}))
    assert not found.same
    assert found.settings == {"settings.checks.residue.enabled": (True, False)}
    assert [(c.before, c.after, c.traces) for c in found.changes] == [
        ("dropped: residue", "train", 3)
    ]
    assert found.splits["train"] == (27, 30)
    assert found.reworded == 0


def test_new_traces_come_from_nowhere(made: Callable[..., Dataset]) -> None:
    found = diff(made(20), made(21))
    assert [(c.before, c.traces) for c in found.changes] == [("not there", 1)]


def test_an_input_that_one_learns_and_the_other_judges_is_a_leak(
    made: Callable[..., Dataset], choice_task: Task
) -> None:
    plan = SplitPlan(train=0.5, validation=0.5, calibration=0, test=0)
    other = choice_task.model_copy(update={"splits": plan})
    found = diff(made(), made(task=other))
    assert 0 < found.leaks <= found.splits["validation"][1]


def test_a_dataset_is_found_by_path_or_by_name(made: Callable[..., Dataset]) -> None:
    dataset = made()
    assert find_dataset(dataset.path.name, dataset.path.parent) == dataset.path
    assert find_dataset(str(dataset.path), Path("elsewhere")) == dataset.path
