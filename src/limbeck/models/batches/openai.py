"""OpenAI's Batch API: a file of requests is uploaded, and a batch made of it.

A batch carries its token as metadata, so that one whose submission was never answered is found again.

Source: the official client, openai/types/batch*.py; OpenAI API reference, "Batch": at most 50,000
requests and 200 MB a batch, answered within 24 hours.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from limbeck.errors import DataError, TeacherError, UncertainError
from limbeck.models.batches.batch import Found, Item, Limits, Result, Sought, State
from limbeck.models.batches.connection import Connection
from limbeck.models.dialects.fields import count, mapping, sequence, text
from limbeck.models.waiting import asked_wait_s

FILES = "/v1/files"
PATH = "/v1/batches"
KEY = "limbeck"
"""The metadata that holds the token."""
ENDED = {"completed", "failed", "expired", "cancelled"}
EARLIER = timedelta(minutes=10)
"""Clocks differ."""
_PAGE = "100"
REASONS = {"batch_expired": "expired", "batch_cancelled": "canceled"}
"""The error codes of requests that were not answered, in the words of all providers."""


class OpenAIBatches:
    LIMITS = Limits(requests=50_000, bytes=195_000_000)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def item_bytes(self, item: Item) -> int:
        return len(self._line(item)) + 1

    def submit(self, token: str, items: Iterable[Item]) -> str:
        lines = b"\n".join(map(self._line, items)) + b"\n"
        form = {"purpose": "batch", "file": (f"limbeck-{token}.jsonl", lines, "application/jsonl")}
        file_id = text(mapping(self._connection.upload(FILES, form).body).get("id"))
        if file_id is None:
            raise TeacherError(
                f"{self._connection.place} took a file and gave no id for it; wanted that of OpenAI's "
                "Files API"
            )
        asked = {
            "input_file_id": file_id,
            "endpoint": self._connection.dialect.PATH,
            "completion_window": "24h",
            "metadata": {KEY: token},
        }
        batch_id = text(
            mapping(self._connection.post(PATH, json.dumps(asked).encode()).body).get("id")
        )
        if batch_id is None:
            raise UncertainError(
                f"{self._connection.place} took a batch and gave no id for it; wanted that of OpenAI's "
                "Batch API"
            )
        return batch_id

    def find(self, sought: Sought) -> Found:
        for batch in self._listed(sought.at - EARLIER):
            if mapping(batch.get("metadata")).get(KEY) == sought.token:
                return Found(text(batch.get("id")))
        return Found()

    def state(self, batch_id: str) -> State:
        answer = self._connection.get(f"{PATH}/{batch_id}")
        batch = mapping(answer.body)
        status = batch.get("status")
        counts = mapping(batch.get("request_counts"))
        ends = (batch.get(f"{name}_at") for name in ("completed", "expired", "cancelled", "failed"))
        return State(
            ended=status in ENDED,
            done=count(counts.get("completed")) + count(counts.get("failed")),
            ended_at=next(filter(None, map(_moment, ends)), _moment(batch.get("created_at"))),
            failure=_failure(batch) if status == "failed" else None,
            wait_s=asked_wait_s(answer.headers),
            simulated=answer.headers.get("x-limbeck-simulated") == "1",
        )

    def results(self, batch_id: str) -> Iterator[Result]:
        batch = mapping(self._connection.get(f"{PATH}/{batch_id}").body)
        for field in ("output_file_id", "error_file_id"):
            file_id = text(batch.get(field))
            if file_id:
                for line in self._connection.lines(f"{FILES}/{file_id}/content"):
                    if line.strip():
                        yield self._result(line)

    def close(self) -> None:
        self._connection.close()

    def _line(self, item: Item) -> bytes:
        asked = {
            "custom_id": item.custom_id,
            "method": "POST",
            "url": self._connection.dialect.PATH,
            "body": item.body,
        }
        return json.dumps(asked).encode()

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
            last = text(batches[-1].get("id")) if batches else None
            if page.get("has_more") is not True or last is None:
                return
            query = {"limit": _PAGE, "after": last}

    def _result(self, line: bytes) -> Result:
        try:
            row = mapping(json.loads(line))
        except ValueError:
            return Result("", None, "unreadable", "the line is not JSON")
        custom_id = text(row.get("custom_id")) or ""
        response, error = mapping(row.get("response")), mapping(row.get("error"))
        if error:
            reason = REASONS.get(text(error.get("code")) or "", "errored")
            return Result(custom_id, None, reason, text(error.get("message")) or "")
        if response.get("status_code") != 200:
            said = self._connection.dialect.read_error(response.get("body"))
            return Result(custom_id, None, "errored", said or "")
        try:
            return Result(custom_id, self._connection.dialect.read_reply(response.get("body")))
        except (DataError, TeacherError) as failed:
            return Result(custom_id, None, "unreadable", str(failed))


def _failure(batch: dict[str, Any]) -> str:
    errors = [mapping(error) for error in sequence(mapping(batch.get("errors")).get("data"))]
    said = [text(error.get("message")) or text(error.get("code")) for error in errors]
    return "; ".join(dict.fromkeys(one for one in said if one)) or "no reason was given"


def _moment(given: Any) -> datetime | None:
    seconds = count(given)
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
