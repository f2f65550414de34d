from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from limbeck.capture.post_hoc.asking import Asking
from limbeck.capture.post_hoc.direct import ask_directly
from limbeck.capture.post_hoc.keeping import Keeper
from limbeck.capture.post_hoc.lacking import Questions, find_lacking
from limbeck.capture.reply import reread
from limbeck.capture.sandbox.faults import FaultRates
from limbeck.capture.sandbox.server import create_app
from limbeck.errors import TeacherError
from limbeck.models.remote import Teacher
from limbeck.serve.running import running_in_thread
from limbeck.store.store import Store
from limbeck.types import PostHoc, Task, Trace

Bare = Callable[..., list[Trace]]


def questions(keeper: Keeper) -> Iterator[tuple[str, Asking]]:
    """Why, of every trace of the keeper's task that lacks a rationale."""
    asked = Questions(keeper.store, keeper.task, "guided")
    ids = [one.trace_id for one in find_lacking(keeper.store, keeper.task, "guided").wanted]
    for trace_id, trace in keeper.store.find_all("trace_id", ids).items():
        again = reread(keeper.task, trace)
        yield trace_id, asked.ask(again, again.answer or "")


def test_every_reply_is_kept_as_it_comes_at_the_full_price(
    store: Store, task: Task, bare: Bare, teacher: Callable[..., str]
) -> None:
    store.add(bare(6))
    keeper = Keeper(store, task, "guided", "simulated-teacher")
    kept: list[tuple[int, int]] = []
    with Teacher(teacher(), "anthropic", "simulated-teacher") as asked:
        ask_directly(
            questions(keeper),
            keeper,
            asked,
            max_tokens=500,
            workers=2,
            told=lambda done: kept.append((done, len(store.rationales("refunds")))),
        )
    assert kept == [(n, n) for n in range(1, 7)]
    made: list[PostHoc] = list(store.rationales("refunds").values())
    for one in made:
        assert one.cost_usd == pytest.approx((one.usage.input * 3 + one.usage.output * 15) / 1e6)
        assert one.simulated
        assert one.usage.tier != "batch"
    assert keeper.tally().explained == 6


def test_a_question_that_fails_costs_the_others_nothing(
    store: Store, task: Task, bare: Bare
) -> None:
    store.add(bare(12))
    keeper = Keeper(store, task, "guided", "m")
    rates = FaultRates.none().model_copy(update={"http_529": 0.5}).model_dump()
    with (
        running_in_thread(create_app(rates=rates)) as url,
        Teacher(url, "anthropic", "m", attempts=1) as asked,
    ):
        ask_directly(questions(keeper), keeper, asked, max_tokens=500)
    tally = keeper.tally()
    assert tally.failed == {"status 529": 12 - tally.explained}
    assert 0 < tally.explained < 12
    assert len(store.rationales("refunds")) == tally.explained


def test_what_every_question_would_be_told_stops_the_first(
    store: Store, task: Task, bare: Bare, teacher: Callable[..., str]
) -> None:
    store.add(bare(3))
    keeper = Keeper(store, task, "guided", "m")
    with (
        Teacher(f"{teacher()}/nowhere", "anthropic", "m") as asked,
        pytest.raises(TeacherError, match="404"),
    ):
        ask_directly(questions(keeper), keeper, asked, max_tokens=500)
    assert keeper.tally().asked == 0


def test_where_nobody_is_reached_the_first_question_is_the_last(
    store: Store, task: Task, bare: Bare
) -> None:
    store.add(bare(3))
    keeper = Keeper(store, task, "guided", "m")
    with (
        Teacher("http://127.0.0.1:9", "anthropic", "m", attempts=1) as asked,
        pytest.raises(TeacherError, match="could not be reached"),
    ):
        ask_directly(questions(keeper), keeper, asked, max_tokens=500)
    assert keeper.tally().asked == 0
