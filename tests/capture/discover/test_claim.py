from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from limbeck.capture.discover.claim import claim
from limbeck.capture.discover.discover import Discovery, discover
from limbeck.capture.discover.task_file import write_task_file
from limbeck.capture.reply import reread
from limbeck.capture.sandbox.month import Said, record_month
from limbeck.capture.skeleton import divide
from limbeck.models.dialects import anthropic
from limbeck.store.store import Store
from limbeck.types import PostHoc, Task
from limbeck.workspace import Workspace

NAMES = {480: "refunds", 240: "routes", 180: "ledger", 150: "minutes", 120: "invoices"}


class Month:
    """A recorded month with a task file for each candidate."""

    def __init__(self, folder: Path) -> None:
        self.workspace = Workspace.create(folder)
        self.store = Store(self.workspace.store_url)
        self.said = record_month(self.store)
        self.discovery: Discovery = discover(self.store)
        self.ids = {NAMES[one.calls]: one.id for one in self.discovery.found.candidates}
        for name, group in self.ids.items():
            write_task_file(self.workspace, self.discovery.candidate(group), name)

    def task(self, name: str) -> Task:
        return self.workspace.task(name)

    def planted(self, name: str) -> dict[str, Said]:
        return {trace_id: one for trace_id, one in self.said.items() if one.job == name}


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Month]:
    made = Month(tmp_path_factory.mktemp("month"))
    yield made
    made.store.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Month]:
    """A month that a test may change."""
    made = Month(tmp_path / "own")
    yield made
    made.store.close()


@pytest.mark.parametrize("name", NAMES.values())
def test_the_task_file_divides_the_calls_as_they_were_planted(month: Month, name: str) -> None:
    task = month.task(name)
    for one in month.planted(name).values():
        divided = divide(task, anthropic.read_request(one.body), one.body)
        assert (divided.input, divided.matched) == (one.varies, True)
        # What was changed in the middle of the month is another skeleton, and meant to be.
        if name != "minutes":
            assert divided.skeleton == task.skeleton


def test_a_changed_prompt_is_the_skeleton_of_the_calls_that_came_after(month: Month) -> None:
    task = month.task("minutes")
    same = [
        divide(task, anthropic.read_request(one.body), one.body).skeleton == task.skeleton
        for one in month.planted("minutes").values()
    ]
    assert same == [False] * 90 + [True] * 60


@pytest.mark.parametrize("name", NAMES.values())
def test_claimed_calls_are_the_tasks_with_their_outcomes(own: Month, name: str) -> None:
    task, planted = own.task(name), own.planted(name)
    before = own.store.counts()
    group = own.discovery.groups[own.ids[name]]
    claimed = claim(own.store, task, group, own.discovery.census)
    assert claimed == (len(planted), 0)
    traces = list(own.store.traces(name))
    assert sorted(trace.input for trace in traces) == sorted(one.varies for one in planted.values())
    truths = {trace_id: one.value for trace_id, one in own.store.truths(name).items()}
    for trace in traces:
        if trace.id in truths:
            assert reread(task, trace).answer == truths[trace.id]
    assert len(truths) == sum(one.truth is not None for one in planted.values())
    after = own.store.counts()
    assert (after.traces, after.outcomes) == (before.traces, before.outcomes)
    assert after.tasks[""].traces == before.tasks[""].traces - len(planted)
    assert own.store.verify() == []


def test_the_new_skeleton_is_kept_with_the_calls(own: Month) -> None:
    task = own.task("routes")
    claim(own.store, task, own.discovery.groups[own.ids["routes"]], own.discovery.census)
    assert {trace.provenance.skeleton for trace in own.store.traces("routes")} == {task.skeleton}
    kept = own.store.blob(task.skeleton)
    assert kept is not None
    assert b"Today is {date}" in kept


def test_rationales_that_were_asked_for_move_along(own: Month) -> None:
    trace_id = next(iter(own.planted("invoices")))
    own.store.explain([PostHoc(trace_id=trace_id, rationale="it says so")])
    group = own.discovery.groups[own.ids["invoices"]]
    claim(own.store, own.task("invoices"), group, own.discovery.census)
    [made] = own.store.rationales("invoices").values()
    assert made.rationale == "it says so"
    assert made.trace_id != trace_id


def test_what_is_left_of_an_interrupted_claim_is_claimed_by_the_next(
    own: Month, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("limbeck.capture.discover.claim.BATCH", 100)
    group = own.discovery.groups[own.ids["refunds"]]
    task = own.task("refunds")
    moved = 0

    def stop_in_the_middle(done: int, of: int) -> None:
        if own.store.counts().tasks.get("refunds") is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        claim(own.store, task, group, own.discovery.census, stop_in_the_middle)
    moved = own.store.counts().tasks["refunds"].traces
    assert 0 < moved < 480
    again = discover(own.store)
    [left] = (one for one in again.found.candidates if one.id == own.ids["refunds"])
    assert left.calls == 480 - moved
    assert claim(own.store, task, again.groups[left.id], again.census).calls == left.calls
    assert own.store.counts().tasks["refunds"].traces == 480
