"""The simulated teacher's batch endpoints, as Anthropic and OpenAI have them.

A batch ends when it has been looked at a given number of times, so that nothing depends on the clock.
Everything is in memory and gone when the server stops.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import HTTP
from typing import Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from limbeck.errors import DataError
from limbeck.models.call import Reply
from limbeck.models.dialects.table import Dialect, dialect
from limbeck.types import Noun

BatchFault = Literal["errored", "expired", "canceled", "failed"]
Answer = Callable[[Dialect, Any], Reply]
"""Reads a request body of a dialect and says the reply; raises DataError or ValueError."""

DAY_S = 86_400


class BatchRules(Noun):
    """How batches go: they end at the look after `looks` of them, and the first requests that come have
    the `faults`, one each. `failed` is for a whole batch of OpenAI's."""

    looks: int = 1
    retry_after_ms: int = 50
    faults: tuple[BatchFault, ...] = Field(default_factory=tuple)


@dataclass
class Batch:
    """A batch and what came of it; `lines` are those of the results, `errors` those that failed."""

    id: str
    made: float
    requests: int
    looks: int
    about: dict[str, Any] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    lines: list[bytes] = field(default_factory=list)
    errors: list[bytes] = field(default_factory=list)
    failure: str | None = None

    @property
    def ended(self) -> bool:
        return self.looks <= 0


class Batches:
    """The batches of one server; `mark` are the headers of every response."""

    def __init__(self, answer: Answer, rules: BatchRules, mark: dict[str, str]) -> None:
        self._answer = answer
        self._rules = rules
        self._mark = mark
        self._faults = list(rules.faults)
        self._anthropic: dict[str, Batch] = {}
        self._openai: dict[str, Batch] = {}
        self._files: dict[str, bytes] = {}

    def routes(self) -> list[Route]:
        ours, theirs = "/v1/messages/batches", "/v1/batches"
        return [
            Route(ours, self._create, methods=["POST"]),
            Route(ours, self._list(self._anthropic, self._message_batch), methods=["GET"]),
            Route(f"{ours}/{{id}}", self._retrieve(self._anthropic, self._message_batch)),
            Route(f"{ours}/{{id}}/results", self._results),
            Route("/v1/files", self._upload, methods=["POST"]),
            Route("/v1/files/{id}/content", self._content),
            Route(theirs, self._create_of_file, methods=["POST"]),
            Route(theirs, self._list(self._openai, self._batch), methods=["GET"]),
            Route(f"{theirs}/{{id}}", self._retrieve(self._openai, self._batch)),
        ]

    # ---- both ------------------------------------------------------------------------------------

    def _json(self, body: Any, status: int = 200, wait: bool = False) -> Response:
        asked = {"retry-after-ms": str(self._rules.retry_after_ms)} if wait else {}
        return JSONResponse(body, status, {**self._mark, **asked})

    def _error(self, spoken: Dialect, status: int, said: str) -> Response:
        kind = "not_found_error" if status == 404 else "invalid_request_error"
        return self._json(spoken.write_error(status, kind, said), status)

    def _lines(self, lines: list[bytes]) -> Response:
        def pieces() -> Iterator[bytes]:
            for line in lines:
                yield line + b"\n"

        return StreamingResponse(pieces(), headers=self._mark, media_type="application/x-jsonl")

    def _list(self, batches: dict[str, Batch], write: Callable[[Batch], Any]) -> Any:
        async def listed(request: Request) -> Response:
            newest = list(reversed(batches.values()))
            after = request.query_params.get("after") or request.query_params.get("after_id")
            ids = [batch.id for batch in newest]
            start = ids.index(after) + 1 if after in ids else 0
            page = newest[start : start + int(request.query_params.get("limit", "20"))]
            said = [write(batch) for batch in page]
            for batch in page:
                batch.looks -= 1
            return self._json(
                {
                    "object": "list",
                    "data": said,
                    "has_more": start + len(page) < len(newest),
                    "first_id": page[0].id if page else None,
                    "last_id": page[-1].id if page else None,
                }
            )

        return listed

    def _retrieve(self, batches: dict[str, Batch], write: Callable[[Batch], Any]) -> Any:
        async def retrieved(request: Request) -> Response:
            batch = batches.get(request.path_params["id"])
            if batch is None:
                return self._error(dialect("anthropic"), 404, "there is no such batch (simulated)")
            said, wait = write(batch), not batch.ended
            batch.looks -= 1
            return self._json(said, wait=wait)

        return retrieved

    def _said(self, spoken: Dialect, body: Any) -> tuple[str, Any]:
        """What becomes of one request: a word for it, and the body of the reply or of the error."""
        if self._faults and self._faults[0] != "failed":
            fault = self._faults.pop(0)
            error = spoken.write_error(500, "api_error", f"{fault} (simulated)")
            return fault, error
        try:
            return "succeeded", spoken.write_reply(self._answer(spoken, body))
        except (ValueError, DataError) as error:
            return "errored", spoken.write_error(400, "invalid_request_error", str(error))

    # ---- Anthropic -------------------------------------------------------------------------------

    async def _create(self, request: Request) -> Response:
        spoken = dialect("anthropic")
        try:
            requests = json.loads(await request.body())["requests"]
            names = [one["custom_id"] for one in requests]
        except (ValueError, LookupError, TypeError):
            return self._error(spoken, 400, "wanted a list of requests with custom ids (simulated)")
        if len(set(names)) < len(names) or any(not 0 < len(name) <= 64 for name in names):
            return self._error(spoken, 400, "custom ids repeat or are too long (simulated)")
        batch = Batch(f"msgbatch_{uuid.uuid4().hex}", time.time(), len(names), self._rules.looks)
        for one in requests:
            kind, body = self._said(spoken, one["params"])
            batch.counts[kind] += 1
            held = {"succeeded": {"message": body}, "errored": {"error": body}}.get(kind, {})
            row = {"custom_id": one["custom_id"], "result": {"type": kind, **held}}
            batch.lines.append(json.dumps(row).encode())
        self._anthropic[batch.id] = batch
        return self._json(self._message_batch(batch))

    def _message_batch(self, batch: Batch) -> dict[str, Any]:
        kinds = ("succeeded", "errored", "canceled", "expired")
        counts = {kind: batch.counts[kind] if batch.ended else 0 for kind in kinds}
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": "ended" if batch.ended else "in_progress",
            "request_counts": {"processing": 0 if batch.ended else batch.requests, **counts},
            "created_at": _iso(batch.made),
            "expires_at": _iso(batch.made + DAY_S),
            "ended_at": _iso(batch.made + 1) if batch.ended else None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"/v1/messages/batches/{batch.id}/results" if batch.ended else None,
        }

    async def _results(self, request: Request) -> Response:
        batch = self._anthropic.get(request.path_params["id"])
        if batch is None or not batch.ended:
            return self._error(dialect("anthropic"), 404, "there are no results (simulated)")
        return self._lines(batch.lines)

    # ---- OpenAI ----------------------------------------------------------------------------------

    async def _upload(self, request: Request) -> Response:
        head = f"content-type: {request.headers.get('content-type', '')}\r\n\r\n".encode()
        form = message_from_bytes(head + await request.body(), policy=HTTP)
        for part in form.iter_parts() if form.is_multipart() else ():
            if part.get_param("name", header="content-disposition") == "file":
                file_id = f"file-{uuid.uuid4().hex}"
                data = part.get_payload(decode=True)
                assert isinstance(data, bytes)
                self._files[file_id] = data
                return self._json({"id": file_id, "object": "file", "purpose": "batch"})
        return self._error(dialect("openai_chat"), 400, "wanted a form with a file (simulated)")

    async def _content(self, request: Request) -> Response:
        data = self._files.get(request.path_params["id"])
        if data is None:
            return self._error(dialect("openai_chat"), 404, "there is no such file (simulated)")
        return self._lines(data.splitlines())

    async def _create_of_file(self, request: Request) -> Response:
        asked = json.loads(await request.body())
        data = self._files.get(asked.get("input_file_id"))
        if data is None:
            return self._error(dialect("openai_chat"), 400, "there is no such file (simulated)")
        rows = [json.loads(line) for line in data.splitlines() if line.strip()]
        spoken = dialect("openai_responses" if "responses" in asked["endpoint"] else "openai_chat")
        batch = Batch(f"batch_{uuid.uuid4().hex}", time.time(), len(rows), self._rules.looks, asked)
        if self._faults and self._faults[0] == "failed":
            self._faults.pop(0)
            batch.failure = "Enqueued token limit reached (simulated)"
            rows = []
        for row in rows:
            kind, body = self._said(spoken, row["body"])
            batch.counts[kind] += 1
            (batch.lines if kind == "succeeded" else batch.errors).append(_row(row, kind, body))
        for kind, lines in (("output", batch.lines), ("error", batch.errors)):
            if lines:
                batch.about[f"{kind}_file_id"] = f"file-{uuid.uuid4().hex}"
                self._files[batch.about[f"{kind}_file_id"]] = b"\n".join(lines)
        self._openai[batch.id] = batch
        return self._json(self._batch(batch))

    def _batch(self, batch: Batch) -> dict[str, Any]:
        over = "failed" if batch.failure else "expired" if batch.counts["expired"] else "completed"
        status = over if batch.ended else "in_progress"
        failed = {"object": "list", "data": [{"code": "limit", "message": batch.failure}]}
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": batch.about["endpoint"],
            "completion_window": "24h",
            "input_file_id": batch.about["input_file_id"],
            "output_file_id": batch.about.get("output_file_id") if batch.ended else None,
            "error_file_id": batch.about.get("error_file_id") if batch.ended else None,
            "metadata": batch.about.get("metadata"),
            "status": status,
            "errors": failed if batch.failure and batch.ended else None,
            "created_at": int(batch.made),
            f"{over}_at": int(batch.made) + 1 if batch.ended else None,
            "request_counts": {
                "total": batch.requests,
                "completed": len(batch.lines) if batch.ended else 0,
                "failed": len(batch.errors) if batch.ended else 0,
            },
        }


def _row(asked: dict[str, Any], kind: str, body: Any) -> bytes:
    row = {"id": f"batch_req_{uuid.uuid4().hex}", "custom_id": asked["custom_id"]}
    if kind in ("expired", "canceled"):
        code = {"expired": "batch_expired", "canceled": "batch_cancelled"}[kind]
        return json.dumps(
            {**row, "response": None, "error": {"code": code, "message": kind}}
        ).encode()
    status = 200 if kind == "succeeded" else 400
    response = {"status_code": status, "request_id": uuid.uuid4().hex, "body": body}
    return json.dumps({**row, "response": response, "error": None}).encode()


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
