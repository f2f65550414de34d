"""What a provider's batch API is asked and what it says, whatever its endpoints look like.

A batch is a list of requests that are answered within a day, at a share of the usual price.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from limbeck.models.call import Reply


class Item(NamedTuple):
    """One request of a batch. `custom_id` is its name in the results: at most 64 letters, digits,
    `-` and `_`, and no other item of the batch has it."""

    custom_id: str
    body: Mapping[str, Any]


class Limits(NamedTuple):
    """The most that one batch may hold; `bytes` is the length of what is sent."""

    requests: int
    bytes: int


class State(NamedTuple):
    """How far a batch is.

    `done` counts the requests that have a result, as far as the provider says so before the end.
    `failure` is why the batch as a whole was refused: nothing of it was asked. `gone` says that its
    results are no longer kept. `wait_s` is what the provider asks to wait before the next question.
    """

    ended: bool
    done: int = 0
    ended_at: datetime | None = None
    failure: str | None = None
    gone: bool = False
    wait_s: float | None = None
    simulated: bool = False


class Result(NamedTuple):
    """What became of one request: a reply, or why there is none (`errored`, `expired`, `canceled`,
    `unreadable`), and what the provider said about it."""

    custom_id: str
    reply: Reply | None
    reason: str = ""
    detail: str = ""


class Sought(NamedTuple):
    """What is known of a batch whose submission was never answered.

    `token` is what the custom ids of its `requests` items begin with. It was sent at `at` at the
    earliest. `others` are the ids of batches that are known to be other ones.
    """

    token: str
    requests: int
    at: datetime
    others: Collection[str] = ()


class Found(NamedTuple):
    """The batch that was sought. Where `batch_id` is None it is one of `candidates`, which can be told
    apart only when they have ended; where there are none, no such batch was taken."""

    batch_id: str | None = None
    candidates: tuple[str, ...] = ()


class BatchApi(Protocol):
    """The batch endpoints of one upstream. Every method raises TeacherError."""

    LIMITS: Limits

    def item_bytes(self, item: Item) -> int:
        """How many bytes `item` adds to what is sent."""

    def submit(self, token: str, items: Iterable[Item]) -> str:
        """Hand a batch in; returns its id.

        Raises UncertainError where it may have been taken or not, and TeacherError where it was not.
        """

    def find(self, sought: Sought) -> Found:
        """Look for a batch whose submission was never answered."""

    def state(self, batch_id: str) -> State: ...

    def results(self, batch_id: str) -> Iterator[Result]:
        """The results of a batch that has ended, in any order."""

    def close(self) -> None: ...
