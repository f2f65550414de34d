"""`limbeck gateway --top` beside a gateway that runs in this process."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from rich.console import Console

from limbeck.cli import top
from limbeck.cli.app import main
from limbeck.errors import LimbeckError, UsageError
from limbeck.serve.gateway import Gateway
from limbeck.serve.live import Now, TaskNow
from limbeck.serve.running import running_in_thread
from limbeck.serve.settings import GatewaySettings
from limbeck.serve.setup import Setup
from limbeck.store.store import Store
from limbeck.workspace import Workspace


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top, "EVERY_S", 0.0)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[ExitStack]:
    """A running gateway, at the port that its attribute `port` names; closing it ends the gateway."""
    with Store(tmp_path / "store.db") as store, ExitStack() as stack:
        url = stack.enter_context(
            running_in_thread(Gateway(Setup.of(GatewaySettings(), {}), store))
        )
        vars(stack)["port"] = int(url.rpartition(":")[2])
        yield stack


def port_of(gateway: ExitStack) -> int:
    return int(vars(gateway)["port"])


def test_with_json_every_reading_is_a_line(
    workspace: Workspace, gateway: ExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--top", "--json", "--count", "3", "--port", str(port_of(gateway))]
    assert main(["gateway", *options]) == 0
    first, second, _ = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (first["status"], first["total"]["calls"], first["tasks"]) == ("ok", 0, [])
    assert "calls_s" not in first["total"]
    assert second["total"]["calls_s"] == 0.0


def test_over_a_pipe_every_reading_is_a_line_of_text(
    workspace: Workspace, gateway: ExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    top.show("127.0.0.1", port_of(gateway), as_json=False, count=2)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("ok  calls -/s")
    assert second.startswith("ok  calls 0/s  errors 0/s")


def test_a_gateway_that_goes_away_is_waited_for(
    gateway: ExitStack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = top._watch(f"http://127.0.0.1:{port_of(gateway)}", None, None, lambda seconds: None)
    assert next(watched).status == "ok"
    gateway.close()
    gone = next(watched)
    assert gone.status == "gone"
    assert "no gateway answers" in (gone.last_error or "")
    assert next(watched).status == "gone"


def test_where_nothing_listens_the_error_says_what_to_do(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Bound and not listening: nobody else may have it meanwhile.
        port = taken.getsockname()[1]
        assert main(["gateway", "--top", "--port", str(port)]) == LimbeckError.exit_code
    said = capsys.readouterr().err
    assert f"no gateway answers at http://127.0.0.1:{port}; start one with: limbeck gateway" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:4100"),
        ("::", "http://[::1]:4100"),
        ("::1", "http://[::1]:4100"),
        ("[::1]", "http://[::1]:4100"),
        ("gateway.example.org", "http://gateway.example.org:4100"),
    ],
)
def test_the_address_to_listen_on_is_turned_into_one_to_ask(host: str, url: str) -> None:
    assert top._url(host, 4100) == url


def test_port_0_names_no_gateway() -> None:
    with pytest.raises(UsageError, match="--port is 0"):
        top.show("127.0.0.1", 0, as_json=True)


BUSY = TaskNow(
    task="a-task-with-a-name-that-is-longer-than-any-screen-is-wide-for-it",
    calls=123_456_789,
    calls_s=8123.4,
    errors_s=1234.5,
    p50_s=0.9994,
    p95_s=299.9,
    tokens_s=12_345_678.9,
    cost_usd=123_456.78,
    cost_usd_h=9_876.54,
)


def test_a_screen_of_80_characters_is_wide_enough() -> None:
    now = Now(
        status="degraded",
        version="10.11.12",
        up_s=400_000.0,
        total=BUSY.model_copy(update={"unpriced": 5}),
        tasks=(BUSY,) * 20,
        open_streams=1000,
        connections=1000,
        waiting_for_disk=512,
        spooled=3,
        lost=1,
        last_error="the store failed",
    )
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(top.draw("http://127.0.0.1:4100", now, 80))
    shown = console.export_text().splitlines()
    [head] = [row for row in shown if row.startswith("task")]
    assert head.split() == ["task", "calls/s", "errors/s", "p50", "p95", "tokens/s", "$/h", "$"]
    rows = [row for row in shown if row.startswith("a-task-with")]
    assert len(rows) == top.ROWS
    assert all(
        part in rows[0]
        for part in ("8123", "1234", "999 ms", "5.0 min", "12.3M", "9,877", "123,457")
    )
    assert "and 5 more tasks" in shown
    assert max(map(len, shown)) <= 80
    assert any("spool 3" in row and "lost 1" in row for row in shown)
    assert len(shown) <= 2 * 24


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "-"), (0.0, "0"), (1.44, "1.4"), (812.0, "812"), (12_345.0, "12.3k"), (2e6, "2.0M")],
)
def test_a_rate_is_short(value: float | None, said: str) -> None:
    assert top._rate(value) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, "-"), (0.0034, "3 ms"), (1.25, "1.2 s"), (90.0, "1.5 min")]
)
def test_a_latency_has_the_unit_that_suits_it(seconds: float | None, said: str) -> None:
    assert top._latency(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(5, "5 s"), (65, "1 min"), (3 * 3600 + 120, "3 h 2 min"), (200_000, "2 days")],
)
def test_a_time_since_the_start_is_short(seconds: float, said: str) -> None:
    assert top._span(seconds) == said
