from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import urllib3

from limbeck.capture.post_hoc.batching import SETTLE_S, Batching
from limbeck.capture.post_hoc.explaining import Explaining
from limbeck.capture.post_hoc.lacking import find_lacking
from limbeck.capture.post_hoc.submissions import Submission, Submissions
from limbeck.capture.redact import Redactor
from limbeck.capture.sandbox.tasks import load
from limbeck.errors import TeacherError, UncertainError
from limbeck.models.batches.batch import Limits
from limbeck.store.forgetting import Scope
from limbeck.store.store import Store
from limbeck.types import RedactForm, Task, Trace

Bare = Callable[..., list[Trace]]
Make = Callable[..., Batching]
Start = Callable[..., str]
UPSTREAMS = ["anthropic", "openai_chat", "openai_responses"]


class Killed(BaseException):
    """Stands for a program that is gone from one step to the next."""


def prepare(batching: Batching, upstream: str = "anthropic", **more: Any) -> list[Submission]:
    job = cast(Explaining, batching.job)
    found = find_lacking(job.store, job.task, more.get("how", "guided"))
    asked = {"how": "guided", "model": "m", "max_tokens": 500, **more}
    return batching.prepare((one.trace_id for one in found.wanted), upstream=upstream, **asked)


def whole_run(batching: Batching, upstream: str = "anthropic") -> None:
    prepare(batching, upstream)
    batching.run(wait=True)


def taken(url: str) -> list[int]:
    """How many requests each batch of the teacher holds."""
    with urllib3.PoolManager() as pool:
        ours = pool.request("GET", f"{url}/v1/messages/batches").json()["data"]
        theirs = pool.request("GET", f"{url}/v1/batches").json()["data"]
    return [sum(one["request_counts"].values()) for one in ours] + [
        one["request_counts"]["total"] for one in theirs
    ]


@pytest.mark.parametrize("how", ["guided", "blind"])
@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_questions_become_rationales_with_their_cost(
    store: Store, bare: Bare, batching: Make, teacher: Start, upstream: str, how: Any
) -> None:
    traces = bare(5)
    store.add(traces)
    waits: list[float] = []
    here = batching(teacher(), waits=waits)
    prepare(here, upstream, how=how, model="simulated-teacher")
    [after] = here.run(wait=True)
    made = store.rationales("refunds")
    assert (after.step, after.tally.explained, after.traces) == ("collected", 5, ())
    assert waits == [1.0]
    assert set(made) == {trace.id for trace in traces}
    for item, trace in zip(load("refunds").generate(5, seed=1), traces, strict=True):
        one = made[trace.id]
        assert one.rationale == "\n".join(item.steps)
        assert (one.answer, one.generator, one.simulated) == (item.truth, "simulated-teacher", True)
        assert one.usage.tier == "batch"
        assert one.blind == (how == "blind")
        assert one.cost_usd == pytest.approx((one.usage.input * 3 + one.usage.output * 15) / 2e6)
    spent = sum(one.cost_usd or 0 for one in made.values())
    assert after.tally.cost_usd == pytest.approx(spent)
    assert store.verify() == []


def test_without_waiting_the_next_run_fetches(
    store: Store, bare: Bare, batching: Make, teacher: Start
) -> None:
    store.add(bare(3))
    here = batching(teacher())
    prepare(here)
    assert [one.step for one in here.run(wait=False)] == ["submitted"]
    assert store.rationales("refunds") == {}
    assert [one.step for one in here.run(wait=False)] == ["collected"]
    assert len(store.rationales("refunds")) == 3
    assert here.run(wait=False) == []


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_what_failed_is_counted_by_reason_and_asked_again(
    store: Store, bare: Bare, batching: Make, teacher: Start, upstream: str
) -> None:
    store.add(bare(6))
    here = batching(teacher(looks=0, faults=["errored", "expired", "canceled", "expired"]))
    prepare(here, upstream)
    [after] = here.run(wait=True)
    assert after.tally.failed == {"expired": 2, "errored": 1, "canceled": 1}
    assert after.tally.explained == 2
    again = find_lacking(store, here.job.task, "guided", unusable=here.submissions.in_vain())
    assert again.total == 4
    prepare(here, upstream)
    here.run(wait=True)
    assert len(store.rationales("refunds")) == 6


def test_a_batch_that_was_refused_as_a_whole_costs_nothing_and_says_why(
    store: Store, bare: Bare, batching: Make, teacher: Start
) -> None:
    store.add(bare(2))
    here = batching(teacher(looks=0, faults=["failed"]))
    prepare(here, "openai_chat")
    [after] = here.run(wait=True)
    assert (after.step, after.tally.cost_usd) == ("refused", 0)
    assert after.reason == "Enqueued token limit reached (simulated)"
    assert after.tally.failed == {"batch refused": 2}


def test_questions_are_divided_by_number_and_by_size(
    store: Store, bare: Bare, batching: Make, teacher: Start
) -> None:
    store.add(bare(7))
    url = teacher(looks=0)
    here = batching(url)
    made = prepare(here, most=Limits(3, 10**9))
    assert [one.requests for one in made] == [3, 3, 1]
    assert len({one.token for one in made}) == 3
    here.run(wait=True)
    assert sorted(taken(url)) == [1, 3, 3]
    assert len(store.rationales("refunds")) == 7


def test_a_batch_stays_below_the_size_that_is_allowed(
    store: Store, bare: Bare, batching: Make, teacher: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(bare(6))
    sent = []
    plain = urllib3.PoolManager.request

    def noted(pool: Any, method: str, url: str, **more: Any) -> Any:
        if method == "POST":
            sent.append(len(more["body"]))
        return plain(pool, method, url, **more)

    monkeypatch.setattr(urllib3.PoolManager, "request", noted)
    here = batching(teacher(looks=0))
    prepare(here, most=Limits(100, 5_000))
    here.run(wait=True)
    assert len(sent) > 1
    assert max(sent) < 5_000 + 100
    assert len(store.rationales("refunds")) == 6


POINTS = [
    ("Submissions.save", "before", 1),
    ("Submissions.save", "after", 1),
    ("Submissions.save", "before", 2),
    ("Submissions.save", "after", 2),
    ("api.submit", "after", 1),
    ("Submissions.save", "after", 3),
    ("api.results", "before", 1),
    ("Store.explain", "before", 1),
    ("Store.explain", "after", 1),
    ("Submissions.save", "before", 4),
    ("Submissions.save", "after", 4),
]
"""Prepared is the first state that is written, submitting the second, submitted the third, and collected
the fourth."""


def broken_at(point: tuple[str, str, int], here: Batching, patch: pytest.MonkeyPatch) -> None:
    where, when, nth = point
    calls = 0

    def breaking(plain: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **more: Any) -> Any:
            nonlocal calls
            calls += 1
            if when == "before" and calls == nth:
                raise Killed
            result = plain(*given, **more)
            if when == "after" and calls == nth:
                raise Killed
            return result

        return call

    kind, _, method = where.partition(".")
    if kind == "api":
        plain = here.connect

        def connect(name: str) -> Any:
            service = plain(name)
            patch.setattr(service.api, method, breaking(getattr(service.api, method)))
            return service

        patch.setattr(here, "connect", connect)
    else:
        owner: Any = {"Store": Store, "Submissions": Submissions}[kind]
        patch.setattr(owner, method, breaking(getattr(owner, method)))


@pytest.mark.parametrize("upstream", ["anthropic", "openai_chat"])
@pytest.mark.parametrize("point", POINTS, ids=lambda point: "-".join(map(str, point)))
def test_broken_off_anywhere_it_goes_on_and_pays_once(
    store: Store, bare: Bare, batching: Make, teacher: Start, point: Any, upstream: str
) -> None:
    store.add(bare(4))
    url = teacher(looks=1)
    broken = batching(url)
    with pytest.MonkeyPatch.context() as patch:
        broken_at(point, broken, patch)
        with pytest.raises(Killed):
            whole_run(broken, upstream)
    after = batching(url)
    if not after.submissions.read():
        prepare(after, upstream)
    after.run(wait=True)
    assert taken(url) == [4]
    assert len(store.rationales("refunds")) == 4
    [one] = after.submissions.read()
    assert (one.step, one.tally.explained) == ("collected", 4)
    # Nothing was kept twice: the latest of a trace hides earlier ones, so all are counted.
    assert store.forget(Scope(task="refunds")).rationales == 4
    assert find_lacking(store, after.job.task, "guided").total == 0


def test_two_lost_answers_are_told_apart(
    store: Store, bare: Bare, batching: Make, teacher: Start, task: Task
) -> None:
    store.add([*bare(4), *bare(4, "ledger")])
    url = teacher(looks=3)
    other = load("ledger").task()
    both = (task, other)
    for one in both:
        here = batching(url, one)
        with pytest.MonkeyPatch.context() as patch:
            broken_at(("api.submit", "after", 1), here, patch)
            with pytest.raises(Killed):
                whole_run(here)
    for one in both:
        [lost] = batching(url, one).run(wait=False)
        assert (lost.step, len(lost.candidates)) == ("submitting", 2)
    for one in both:
        batching(url, one).run(wait=True)
    assert taken(url) == [4, 4]
    assert len(store.rationales("refunds")) == len(store.rationales("ledger")) == 4
    ids = {batching(url, one).submissions.read()[0].batch_id for one in both}
    assert len(ids) == 2


def test_a_batch_that_is_not_listed_at_once_is_waited_for(
    store: Store, bare: Bare, batching: Make, teacher: Start
) -> None:
    store.add(bare(2))
    url, waits = teacher(looks=0), list[float]()
    here = batching(url, waits=waits)
    [one] = prepare(here)
    at = one.at
    here.submissions.save(one.model_copy(update={"step": "submitting"}))
    here.run(wait=True)
    assert 0 < waits[0] <= SETTLE_S
    assert taken(url) == [2]
    old = one.model_copy(update={"step": "submitting", "at": at - timedelta(hours=5)})
    here.submissions.save(old)
    waits.clear()
    here.run(wait=True)
    assert waits == []


def test_a_lost_answer_leaves_the_batch_uncertain_and_a_refusal_frees_its_questions(
    store: Store, bare: Bare, batching: Make, teacher: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(bare(4))
    here = batching(teacher(looks=0))

    def failing(error: TeacherError) -> None:
        plain = here.connect

        def connect(name: str) -> Any:
            service = plain(name)

            def submit(*_: Any) -> str:
                raise error

            monkeypatch.setattr(service.api, "submit", submit)
            return service

        monkeypatch.setattr(here, "connect", connect)

    prepare(here, most=Limits(2, 10**9))
    failing(UncertainError("the connection broke off"))
    with pytest.raises(UncertainError, match="run the same command again"):
        here.run(wait=True)
    assert sorted(one.step for one in here.submissions.read()) == ["prepared", "submitting"]
    for one in here.submissions.read():
        here.submissions.save(one.model_copy(update={"step": "prepared"}))
    failing(TeacherError("it could not be reached"))
    with pytest.raises(TeacherError):
        here.run(wait=True)
    assert [one.step for one in here.submissions.read()] == ["prepared", "prepared"]
    failing(TeacherError("no such model", 404))
    with pytest.raises(TeacherError):
        here.run(wait=True)
    assert here.submissions.read() == []


def test_a_trace_that_was_forgotten_meanwhile_is_left_out(
    store: Store, bare: Bare, batching: Make, teacher: Start
) -> None:
    keep, before, after = bare(3)
    store.add([keep])
    named = [
        one.model_copy(update={"provenance": one.provenance.model_copy(update={"subject": who})})
        for one, who in ((before, "a"), (after, "b"))
    ]
    store.add(named)
    url = teacher(looks=1)
    here = batching(url)
    prepare(here)
    store.forget(Scope(subject="a"))
    here.run(wait=False)
    store.forget(Scope(subject="b"))
    [one] = here.run(wait=True)
    assert taken(url) == [2]
    assert one.tally.unusable == {"forgotten": 1}
    assert set(store.rationales("refunds")) == {keep.id}


def test_a_reply_in_vain_is_paid_for_remembered_and_not_asked_again(
    store: Store, bare: Bare, batching: Make, teacher: Start
) -> None:
    store.add(bare(3))
    here = batching(teacher(looks=0))
    prepare(here, max_tokens=4, model="simulated-teacher")
    [one] = here.run(wait=True)
    assert one.tally.unusable == {"cut_off": 3}
    assert one.tally.cost_usd > 0
    vain = here.submissions.in_vain()
    assert len(vain) == 3
    assert find_lacking(store, here.job.task, "guided", unusable=vain).total == 0
    assert find_lacking(store, here.job.task, "guided").total == 3


def test_an_answer_that_differs_is_kept_and_counted(
    store: Store, bare: Bare, batching: Make, teacher: Start
) -> None:
    [right, wrong] = bare(2)
    other = "deny" if wrong.raw != "Answer: deny" else "refund"
    store.add([right, wrong.model_copy(update={"raw": f"Answer: {other}"})])
    here = batching(teacher(looks=0))
    prepare(here, how="blind")
    [one] = here.run(wait=True)
    assert (one.tally.explained, one.tally.differing) == (2, 1)


def test_what_a_task_wants_taken_out_is_taken_out_of_rationales(
    store: Store, bare: Bare, batching: Make, teacher: Start
) -> None:
    store.add(bare(1))
    here = batching(teacher(looks=0))
    job = cast(Explaining, here.job)
    taken_out = Redactor(RedactForm(patterns={"rule": r"window \d+"}))
    here.job = Explaining(job.store, job.task, taken_out)
    prepare(here)
    here.run(wait=True)
    [made] = store.rationales("refunds").values()
    assert "window" not in made.rationale
    assert "[RULE" in made.rationale


def test_a_submission_on_disk_is_json_that_names_its_traces(
    tmp_path: Path, store: Store, bare: Bare, batching: Make, teacher: Start
) -> None:
    traces = bare(2)
    store.add(traces)
    here = batching(teacher())
    [one] = prepare(here)
    [path] = tmp_path.glob("home/elicit/refunds/*.json")
    said = json.loads(path.read_text())
    assert said["step"] == "prepared"
    assert said["traces"] == [trace.id for trace in traces]
    assert all(len(name) <= 64 for name in one.custom_ids())
