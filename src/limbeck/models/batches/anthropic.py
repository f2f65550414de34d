"""Anthropic's Message Batches: POST /v1/messages/batches.

The API has no name of the caller's own for a batch, so that one whose submission was never answered
is told by the custom ids in its results, which are there when it has ended.

Source: the official client, anthropic/types/messages/message_batch*.py; Anthropic API guide, "Batch
processing": at most 100,000 requests or 256 MB a batch, results kept for 29 days.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from limbeck.errors import DataError, TeacherError, UncertainError
from limbeck.models.batches.batch import Found, Item, Limits, Result, Sought, State
from limbeck.models.batches.connection import Connection
from limbeck.models.dialects.fields import count, mapping, sequence, text
from limbeck.models.waiting import asked_wait_s

PATH = "/v1/messages/batches"
EARLIER = timedelta(minutes=10)
LATER = timedelta(hours=1)
"""Around the time of the submission by our clock: clocks differ, and a long upload takes its time."""
_PAGE = "100"


class MessageBatches:
    LIMITS = Limits(requests=100_000, bytes=250_000_000)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def item_bytes(self, item: Item) -> int:
        return len(_line(item)) + 1

    def submit(self, token: str, items: Iterable[Item]) -> str:
        body = b'{"requests":[' + b",".join(map(_line, items)) + b"]}"
        batch_id = text(mapping(self._connection.post(PATH, body).body).get("id"))
        if batch_id is None:
            raise UncertainError(
                f"{self._connection.place} took a batch and gave no id for it; wanted a Message Batch"
            )
        return batch_id

    def find(self, sought: Sought) -> Found:
        candidates = []
        for batch in self._listed(sought.at - EARLIER):
            batch_id = text(batch.get("id"))
            made = _moment(batch.get("created_at"))
            if batch_id is None or batch_id in sought.others:
                continue
            if made is not None and made > sought.at + LATER:
                continue
            if sum(map(count, mapping(batch.get("request_counts")).values())) != sought.requests:
                continue
            if batch.get("processing_status") != "ended":
                candidates.append(batch_id)
            elif not batch.get("archived_at") and self._holds(batch_id, sought.token):
                return Found(batch_id)
        return Found(None, tuple(candidates))

    def state(self, batch_id: str) -> State:
        answer = self._connection.get(f"{PATH}/{batch_id}")
        batch = mapping(answer.body)
        counts = mapping(batch.get("request_counts"))
        return State(
            ended=batch.get("processing_status") == "ended",
            done=sum(count(value) for name, value in counts.items() if name != "processing"),
            ended_at=_moment(batch.get("ended_at")) or _moment(batch.get("created_at")),
            gone=batch.get("archived_at") is not None,
            wait_s=asked_wait_s(answer.headers),
            simulated=answer.headers.get("x-limbeck-simulated") == "1",
        )

    def results(self, batch_id: str) -> Iterator[Result]:
        # The batch's own `results_url` names this place too; a key goes to the configured host only.
        for line in self._connection.lines(f"{PATH}/{batch_id}/results"):
            if line.strip():
                yield self._result(line)

    def close(self) -> None:
        self._connection.close()

    def _listed(self, since: datetime) -> Iterator[dict[str, Any]]:
        """The batches made after `since`, the newest first."""
        query = {"limit": _PAGE}
        while True:
            page = mapping(self._connection.get(PATH, query).body)
            batches = [mapping(batch) for batch in sequence(page.get("data"))]
            for batch in batches:
                made = _moment(batch.get("created_at"))
                if made is not None and made < since:
                    return
                yield batch
            last = text(page.get("last_id"))
            if not batches or page.get("has_more") is not True or last is None:
                return
            query = {"limit": _PAGE, "after_id": last}

    def _holds(self, batch_id: str, token: str) -> bool:
        # All items of a batch of ours begin with its token, so that one of them tells.
        first = next(self.results(batch_id), None)
        return first is not None and first.custom_id.startswith(token)

    def _result(self, line: bytes) -> Result:
        try:
            row = mapping(json.loads(line))
        except ValueError:
            return Result("", None, "unreadable", "the line is not JSON")
        custom_id = text(row.get("custom_id")) or ""
        result = mapping(row.get("result"))
        kind = text(result.get("type")) or "unreadable"
        if kind != "succeeded":
            said = self._connection.dialect.read_error(mapping(result.get("error")))
            return Result(custom_id, None, kind, said or "")
        try:
            return Result(custom_id, self._connection.dialect.read_reply(result.get("message")))
        except (DataError, TeacherError) as error:
            return Result(custom_id, None, "unreadable", str(error))


def _line(item: Item) -> bytes:
    return json.dumps({"custom_id": item.custom_id, "params": item.body}).encode()


def _moment(given: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(given) if isinstance(given, str) else None
    except ValueError:
        return None
