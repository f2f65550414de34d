"""Batches of questions: handed in once, waited for, and their results kept.

Wherever the program is killed, the next one goes on: a file says of each batch what was about to happen
to it, and what happened. Handing in is the one step that cannot be repeated. Where its answer was lost,
the provider is asked for the batch before it is handed in again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from types import MappingProxyType
from typing import Protocol, TypeVar

from limbeck.capture.post_hoc.asking import Asking, How
from limbeck.capture.post_hoc.keeping import Answered, Keeping
from limbeck.capture.post_hoc.submissions import (
    Submission,
    Submissions,
    Tally,
    custom_id,
    new_token,
)
from limbeck.errors import TeacherError, UncertainError
from limbeck.models.batches.batch import BatchApi, Item, Limits, Result, Sought, State
from limbeck.models.dialects.table import Dialect
from limbeck.models.prices import BATCH
from limbeck.types import Task

MOST = Limits(requests=20_000, bytes=64_000_000)
"""Of our own, below what providers take: a batch is put together in memory."""
SETTLE_S = 60.0
"""A batch that was handed in may not be listed at once. It is believed lost only so many seconds after it
was sent."""
FIRST_POLL_S = 5.0
LONGEST_POLL_S = 120.0
ASKED_POLL_S = (1.0, 600.0)
"""Seconds that a provider may ask to wait between two looks, at least and at most."""
_BUNDLE = 200
"""Results that are kept in one transaction."""

NO_CASES: Mapping[str, tuple[str, ...]] = MappingProxyType({})

T = TypeVar("T")


@dataclass(frozen=True)
class Service:
    """An upstream: its batch API, and what is needed to write requests and to price replies."""

    api: BatchApi
    dialect: Dialect
    provider: str | None


@dataclass(frozen=True)
class Progress:
    """How far the batches of a run are; `note` says what is going on."""

    done: int
    requests: int
    note: str


class Job(Protocol):
    """What is asked in batches, and what is made of the replies."""

    @property
    def task(self) -> Task: ...

    def questions(self, one: Submission) -> Iterator[tuple[str, Asking]]:
        """The questions of a submission by their names, which are its `traces`; what is gone since is
        left out."""

    def keeping(self, one: Submission, provider: str | None) -> Keeping: ...


@dataclass
class Batching:
    """The batches of one job.

    `connect` gives the upstream of that name. `told` is called whenever something changed.
    """

    job: Job
    submissions: Submissions
    connect: Callable[[str], Service]
    sleep: Callable[[float], None] = time.sleep
    told: Callable[[Progress], None] = lambda _: None

    def prepare(
        self,
        names: Iterable[str],
        *,
        upstream: str,
        model: str,
        max_tokens: int,
        how: How | None = None,
        cases: Mapping[str, tuple[str, ...]] = NO_CASES,
        most: Limits = MOST,
    ) -> list[Submission]:
        """Divide the questions of these names into batches and write down what will be in them. Nothing
        is sent."""
        service = self.connect(upstream)
        limits = Limits(*map(min, most, service.api.LIMITS))
        blank = Submission(
            token=new_token(),
            task=self.job.task.name,
            upstream=upstream,
            model=model,
            how=how,
            max_tokens=max_tokens,
            step="prepared",
            requests=0,
            at=_now(),
        )
        with contextlib.closing(service.api):
            return [
                self.submissions.save(_about(blank, some, cases, token=new_token()))
                for some in self._divided(names, blank, cases, service, limits)
            ]

    def run(self, *, wait: bool) -> list[Submission]:
        """Take every open submission as far as it goes now, or to its end where `wait`.

        Returns them as they are then. Raises TeacherError, and UncertainError where the answer to a
        submission was lost.
        """
        run = [one.token for one in self.submissions.open()]
        pause_s = FIRST_POLL_S
        with contextlib.ExitStack() as stack:
            services = _Services(self.connect, stack)
            while True:
                asked_s = self._step(services)
                now = [one for one in self.submissions.read() if one.token in run]
                if not wait or not any(one.step == "submitted" or one.candidates for one in now):
                    return now
                low, high = ASKED_POLL_S
                self.sleep(pause_s if asked_s is None else min(max(asked_s, low), high))
                pause_s = min(pause_s * 1.5, LONGEST_POLL_S)

    def _step(self, services: _Services) -> float | None:
        """One look at every open submission; returns the seconds that a provider asks to wait."""
        waits = []
        run = self.submissions.open()
        done, requests = 0, sum(one.requests for one in run)
        for one in run:
            service = services[one.upstream]
            if one.step == "submitting":
                one = self._settle(one, service)
            if one.step == "prepared":
                one = self._submit(one, service)
            if one.step == "submitted":
                assert one.batch_id is not None
                state = service.api.state(one.batch_id)
                if state.ended:
                    one = self._collect(one, service, state)
                else:
                    waits.append(state.wait_s)
                done += one.requests if state.ended else state.done
            self.told(Progress(done, requests, _note(one)))
        asked = [wait for wait in waits if wait is not None]
        return max(asked, default=None)

    # ---- handing in ------------------------------------------------------------------------------

    def _submit(self, one: Submission, service: Service) -> Submission:
        items = list(self._items(one, service))
        if not items:
            return self._over(one, "collected", Tally(asked=0))
        named = {item.custom_id for item in items}
        kept = tuple(about for name, about in one.custom_ids().items() if name in named)
        one = _about(one, kept, one.cases, step="submitting", at=_now(), candidates=())
        self.submissions.save(one)
        try:
            batch_id = service.api.submit(one.token, items)
        except UncertainError as error:
            raise UncertainError(
                f"{error}; it may hold a batch of {one.requests:,} requests now, or not: run the same "
                "command again, which looks for it before it hands it in anew",
                error.status,
            ) from None
        except TeacherError as error:
            # Nothing was taken, and so nothing is to be paid.
            self._save(one, step="prepared")
            if error.status is not None:
                # The next batch would be refused as well; with other options they are asked anew.
                for other in self.submissions.open():
                    if other.step == "prepared":
                        self.submissions.drop(other)
            raise
        return self._save(one, step="submitted", batch_id=batch_id)

    def _settle(self, one: Submission, service: Service) -> Submission:
        """Find out whether a submission without an answer was taken."""
        sought = Sought(one.token, one.requests, one.at, self.submissions.batch_ids())
        found = service.api.find(sought)
        if found.batch_id is None and not found.candidates:
            left_s = SETTLE_S - (_now() - one.at).total_seconds()
            if left_s > 0:
                self.told(Progress(0, one.requests, "looking whether an earlier batch was taken"))
                self.sleep(left_s)
                found = service.api.find(sought)
        if found.batch_id is not None:
            return self._save(one, step="submitted", batch_id=found.batch_id, candidates=())
        if found.candidates:
            return self._save(one, candidates=found.candidates)
        return self._save(one, step="prepared", candidates=())

    def _items(self, one: Submission, service: Service) -> Iterator[Item]:
        """The requests of a submission."""
        for name, (system, user) in self.job.questions(one):
            body = service.dialect.write_request(
                model=one.model, system=system, user=user, max_tokens=one.max_tokens
            )
            yield Item(custom_id(one.token, name), body)

    def _divided(
        self,
        names: Iterable[str],
        blank: Submission,
        cases: Mapping[str, tuple[str, ...]],
        service: Service,
        limits: Limits,
    ) -> Iterator[tuple[str, ...]]:
        """The names of the questions of each batch."""
        some: list[str] = []
        size = 0
        for bundle in _bundles(names):
            by_name = {custom_id(blank.token, name): name for name in bundle}
            for item in self._items(_about(blank, bundle, cases), service):
                length = service.api.item_bytes(item)
                full = len(some) == limits.requests or size + length > limits.bytes
                if some and full:
                    yield tuple(some)
                    some, size = [], 0
                some.append(by_name[item.custom_id])
                size += length
        if some:
            yield tuple(some)

    # ---- fetching --------------------------------------------------------------------------------

    def _collect(self, one: Submission, service: Service, state: State) -> Submission:
        """Keep the results of a batch that has ended. It may be done twice: nothing is kept twice."""
        if state.failure is not None:
            count = one.asked_about()
            failed = Tally(asked=count, failed={"batch refused": count})
            return self._over(one, "refused", failed, reason=state.failure)
        keeper = self.job.keeping(one, service.provider)
        names = one.custom_ids()
        assert one.batch_id is not None
        results = iter(()) if state.gone else service.api.results(one.batch_id)
        for bundle in _bundles(results):
            # A result may stand twice where the provider began anew.
            mine = [result for result in bundle if result.custom_id in names]
            by_name = {names.pop(r.custom_id): r for r in mine if r.custom_id in names}
            keeper.keep(_answered(by_name, state))
            for name, result in by_name.items():
                if result.reply is None:
                    keeper.fail(name, result.reason)
        for name in names.values():
            keeper.fail(name, "results no longer kept" if state.gone else "no result")
        return self._over(one, "collected", keeper.tally(), in_vain=tuple(keeper.in_vain))

    def _over(self, one: Submission, step: str, tally: Tally, **more: object) -> Submission:
        return self._save(one, step=step, tally=tally, traces=(), cases={}, candidates=(), **more)

    def _save(self, one: Submission, **update: object) -> Submission:
        return self.submissions.save(one.model_copy(update=update))


class _Services:
    """The upstreams of a run, each connected once."""

    def __init__(self, connect: Callable[[str], Service], stack: contextlib.ExitStack) -> None:
        self._connect = connect
        self._stack = stack
        self._known: dict[str, Service] = {}

    def __getitem__(self, name: str) -> Service:
        if name not in self._known:
            self._known[name] = self._connect(name)
            self._stack.callback(self._known[name].api.close)
        return self._known[name]


def _about(
    one: Submission,
    names: Sequence[str],
    cases: Mapping[str, tuple[str, ...]],
    **update: object,
) -> Submission:
    """`one` with the questions of these names, and no others."""
    held = {name: cases[name] for name in names if name in cases}
    about = {"traces": tuple(names), "cases": held, "requests": len(names)}
    return one.model_copy(update={**about, **update})


def _answered(by_name: dict[str, Result], state: State) -> Iterator[Answered]:
    for name, result in by_name.items():
        if result.reply is not None:
            # What OpenAI says of the tier does not tell a batch, which is what is paid.
            usage = result.reply.usage.model_copy(update={"tier": BATCH})
            yield Answered(name, result.reply, usage, state.simulated, state.ended_at)


def _bundles(items: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(items)
    while bundle := list(islice(rest, _BUNDLE)):
        yield bundle


def _note(one: Submission) -> str:
    if one.candidates:
        return f"waiting to see which of {len(one.candidates)} batches is ours"
    return f"{one.step} {one.batch_id}" if one.batch_id else one.step


def _now() -> datetime:
    return datetime.now(UTC)
