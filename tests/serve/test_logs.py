"""What a gateway says on standard error: lines of JSON, few in a storm, and never a secret."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3

from limbeck.models.call import Reply
from limbeck.models.dialects.table import dialect
from limbeck.serve import logs
from limbeck.serve.logs import BURST, WINDOW_S, JsonLines, Lines, Storms, json_lines
from limbeck.types import Usage
from limbeck.workspace import Workspace

log = logging.getLogger("limbeck.gateway")
RUN = "import sys; from limbeck.cli.app import main; sys.exit(main(sys.argv[1:]))"
SECRET = "sk-planted-0123456789"
SAID = "words-of-a-customer"


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_is_one_json_object_with_the_fields_of_its_event() -> None:
    said = io.StringIO()
    with json_lines(said):
        log.info("it %s", "runs\nand runs", extra={"event": "start", "port": 4100})
        log.warning("no event")
        logging.getLogger("opentelemetry.exporter").error("no collector")
    first, second, spans = lines(said.getvalue())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "info",
        "event": "start",
        "message": "it runs\nand runs",
        "port": 4100,
    }
    assert (second["level"], second["event"]) == ("warning", "message")
    assert (spans["level"], spans["event"]) == ("error", "spans")


def test_afterwards_logging_is_as_it_was() -> None:
    logger = logging.getLogger("limbeck")
    before = (logger.level, logger.propagate, list(logger.handlers))
    with json_lines(io.StringIO()):
        assert not logger.propagate
    assert (logger.level, logger.propagate, list(logger.handlers)) == before


def test_an_exception_is_told_without_its_words() -> None:
    said = io.StringIO()
    with json_lines(said):
        try:
            raise ValueError(f"cannot read {SECRET!r}")
        except ValueError:
            log.exception("a call failed")
    [line] = lines(said.getvalue())
    assert line["exception"] == "ValueError"
    assert line["where"][0].startswith("test_logs.py:")
    assert SECRET not in said.getvalue()


def a_record(event: str, at: float, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.makeLogRecord({"event": event, "created": at, "levelno": level, "msg": event})


def test_a_storm_is_a_few_lines_and_a_count() -> None:
    storms = Storms()
    passed = [storms.filter(a_record("upstream_failed", 100.0)) for _ in range(1000)]
    assert passed == [True] * BURST + [False] * (1000 - BURST)
    # Another kind, and what was asked for call by call, are not held back by it.
    assert storms.filter(a_record("store_failed", 100.0))
    assert all(storms.filter(a_record("call", 100.0, logging.INFO)) for _ in range(1000))
    later = a_record("upstream_failed", 100.0 + WINDOW_S)
    assert storms.filter(later)
    assert vars(later)["left_out"] == 1000 - BURST
    assert "left_out" not in vars(a_record("upstream_failed", 100.0 + 2 * WINDOW_S))


class Stuck(io.StringIO):
    """A reader that takes nothing until it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.let = threading.Event()
        self.wrote = threading.Semaphore(0)

    def write(self, text: str) -> int:
        self.entered.set()
        self.let.wait()
        written = super().write(text)
        self.wrote.release()
        return written


def test_a_reader_that_stops_reading_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "QUEUED", 3)
    stream = Stuck()
    handler = Lines(stream)
    handler.setFormatter(JsonLines())

    def say(number: int) -> None:
        record = {"name": log.name, "msg": f"line {number}", "levelname": "INFO"}
        handler.handle(logging.makeLogRecord(record))

    say(0)
    assert stream.entered.wait(30)
    for number in range(1, 11):
        say(number)  # Three wait, seven are dropped.
    stream.let.set()
    for _ in range(4):
        assert stream.wrote.acquire(timeout=30)
    say(11)
    handler.close()
    found = lines(stream.getvalue())
    assert [line["message"] for line in found] == [f"line {n}" for n in (0, 1, 2, 3, 11)]
    assert found[-1]["dropped"] == 7


def test_a_stream_that_is_closed_ends_nothing() -> None:
    stream = io.StringIO()
    stream.close()
    with json_lines(stream):
        log.warning("nobody hears this")


def test_a_gateway_tells_its_events_and_calls_and_no_secret(
    workspace: Workspace, provider: Any, whole: Callable[..., Any], tmp_path: Path
) -> None:
    spoken = dialect("anthropic")
    usage = Usage(input=10, output=2)
    reply = Reply(text=SAID, stop_reason="end_turn", usage=usage, model="m")
    provider.replies = [whole(json.dumps(spoken.write_reply(reply)).encode()), []]
    (workspace.root / "limbeck.toml").write_text(
        f"[gateway]\nlog = 'calls'\nslow_s = 0.000001\n"
        f"[gateway.upstreams.anthropic]\nbase_url = '{provider.url}'\nkey_env = 'PLANTED'\n"
    )
    command = [sys.executable, "-c", RUN, "gateway", "--port", "0", "--json"]
    said = tmp_path / "said"
    with (
        said.open("wb") as stderr,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "PLANTED": SECRET},
            cwd=workspace.root,
        ) as process,
        urllib3.PoolManager(retries=False) as pool,
    ):
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        try:
            ask = {"model": "m", "messages": [{"role": "user", "content": SAID}], "max_tokens": 9}
            query = f"/v1/messages?key={SECRET}"
            headers = {"authorization": f"Bearer {SECRET}", "connection": "close"}
            for _ in range(2):
                pool.request("POST", url + query, json=ask, headers=headers)
            refused = {"origin": f"https://{SECRET}.example.org", **headers}
            assert pool.request("GET", url + query, headers=refused).status == 403
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait() == 0
    assert provider.requests[0][0].count(SECRET.encode()) == 2
    told = said.read_text()
    assert SECRET not in told
    assert SAID not in told
    by_event: dict[str, list[dict[str, Any]]] = {}
    for line in lines(told):
        by_event.setdefault(line["event"], []).append(line)
    assert set(by_event) == {
        "start",
        "call",
        "slow_call",
        "upstream_failed",
        "client_refused",
        "stop",
    }
    first, second = by_event["call"]
    assert (first["status"], first["input_tokens"], first["output_tokens"]) == ("ok", 10, 2)
    assert (first["model"], first["task"], first["kept"]) == ("m", None, True)
    assert first["trace"].startswith("sha256:")
    assert second["status"] == "error"
    assert by_event["upstream_failed"][0]["kind"] == "unreachable"
    assert by_event["client_refused"][0]["status"] == 403
    assert by_event["stop"][0]["recorded"] == 2
    assert by_event["start"][0]["port"] == int(url.rpartition(":")[2])
