"""A store that fails in mid-run: the configured choice is taken, counted and shown."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from limbeck.models.dialects.table import TABLE, dialect
from limbeck.store.store import Store
from limbeck.workspace import Workspace

FULL = 100_000
"""More than a spool of a few traces, and less than the store's log after `WARM` calls."""
WARM = 60


def call(
    url: str, text: str, name: str = "anthropic", *, stream: bool = False
) -> tuple[int, bytes, str | None]:
    """The status, the body as far as it came, and the name of the trace."""
    spoken = dialect(name)
    body = spoken.write_request(model="teacher-1", system="Decide.", user=text, stream=stream)
    with urllib3.PoolManager(retries=False) as pool:
        response = pool.request(
            "POST", f"{url}/t/plain{spoken.PATH}", json=body, preload_content=False, timeout=60
        )
        with contextlib.suppress(urllib3.exceptions.ProtocolError):
            data = b""
            for piece in response.stream():
                data += piece
            return response.status, data, response.headers.get("x-limbeck-trace-id")
        return response.status, data + b"<broken off>", None


def warm(url: str) -> None:
    for number in range(WARM):
        assert call(url, f"warm-{number}")[0] == 200


def inputs(tasks: Workspace) -> list[str]:
    with Store(tasks.store_url) as store:
        assert store.verify() == []
        return sorted(
            trace.input for trace in store.traces("plain") if not trace.input.startswith("warm")
        )


def spools(tasks: Workspace) -> list[Path]:
    return sorted((tasks.home / "spool").glob("*"))


@contextlib.contextmanager
def locked(tasks: Workspace) -> Iterator[Callable[[], None]]:
    """The store's lock, held by somebody else until told."""
    with contextlib.closing(sqlite3.connect(tasks.store_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        def release() -> None:
            other.execute("ROLLBACK")

        yield release


# ---- a full disk --------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_on_a_full_disk_traces_wait_in_the_spool_and_come_back(
    start: Any, upstream: Any, tasks: Workspace, stream: bool
) -> None:
    with start(upstream.url) as gateway:
        warm(gateway.url)
        gateway.may_write(FULL)
        for number in range(5):
            status, data, _ = call(gateway.url, f"full-{number}", stream=stream)
            assert (status, b"broken off" in data) == (200, False)
        health = gateway.health()
        assert (health["status"], health["spooled"], health["unrecorded"]) == ("degraded", 5, 0)
        assert "disk" in health["last_store_error"]
        assert len(spools(tasks)) == 1
        gateway.may_write(None)
        assert call(gateway.url, "after", stream=stream)[0] == 200
        assert gateway.health()["spooled"] == 5
        assert "the store failed, the spool has what it did not take" in gateway.said()
    with start(upstream.url) as again:
        until(lambda: again.health()["absorbed"] == 5)
    assert inputs(tasks) == ["after", *[f"full-{number}" for number in range(5)]]
    assert spools(tasks) == []


@pytest.mark.slow
def test_the_spool_is_emptied_while_the_gateway_runs(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    with start(upstream.url) as gateway:
        warm(gateway.url)
        gateway.may_write(FULL)
        assert call(gateway.url, "full")[0] == 200
        gateway.may_write(None)
        until(lambda: gateway.health()["absorbed"] == 1)
        assert spools(tasks) == []
    assert inputs(tasks) == ["full"]


@pytest.mark.parametrize("name", sorted(TABLE))
def test_on_a_full_disk_calls_are_refused_where_that_is_the_choice(
    start: Any, upstream: Any, tasks: Workspace, name: str
) -> None:
    with start(upstream.url, on_store_failure="refuse") as gateway:
        warm(gateway.url)
        gateway.may_write(FULL)
        status, data, trace = call(gateway.url, "full", name)
        assert (status, trace) == (503, None)
        assert "write this call down" in str(dialect(name).read_error(json.loads(data)))
        _, streamed, _ = call(gateway.url, "full", name, stream=True)
        assert streamed.endswith(b"<broken off>")
        assert gateway.health()["unrecorded"] == 2
        gateway.may_write(None)
        assert call(gateway.url, "after", name)[0] == 200
    assert inputs(tasks) == ["after"]
    assert spools(tasks) == []


def test_with_both_disks_full_the_client_is_answered_and_the_loss_is_shown(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    with start(upstream.url) as gateway:
        warm(gateway.url)
        gateway.may_write(1)
        status, _, trace = call(gateway.url, "lost")
        assert (status, trace) == (200, None)
        health = gateway.health()
        assert (health["status"], health["spooled"], health["unrecorded"]) == ("degraded", 0, 1)
        gateway.may_write(None)
        assert call(gateway.url, "after")[0] == 200
    assert inputs(tasks) == ["after"]


# ---- a lock -------------------------------------------------------------------------------------


def test_a_locked_store_is_waited_for(start: Any, upstream: Any, tasks: Workspace) -> None:
    with start(upstream.url, store_timeout_s=30) as gateway, locked(tasks) as release:
        done: list[Any] = []
        calling = threading.Thread(target=lambda: done.append(call(gateway.url, "patient")))
        calling.start()
        until(lambda: len(upstream.requests) == 1)
        calling.join(0.3)
        assert done == [], "no reply before its trace is on disk"
        release()
        calling.join()
        assert done[0][0] == 200
        assert gateway.health()["spooled"] == 0
    assert inputs(tasks) == ["patient"]


def test_a_store_that_is_locked_for_too_long_is_spooled_for(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    with start(upstream.url, store_timeout_s=0.3) as gateway:
        with locked(tasks) as release:
            assert call(gateway.url, "locked")[0] == 200
            health = gateway.health()
            assert (health["status"], health["spooled"]) == ("degraded", 1)
            assert "locked" in health["last_store_error"]
            release()
        assert call(gateway.url, "after")[0] == 200
    with start(upstream.url) as again:
        until(lambda: again.health()["absorbed"] == 1)
    assert inputs(tasks) == ["after", "locked"]


def test_calls_to_a_store_that_is_locked_for_too_long_are_refused_where_that_is_the_choice(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    settings = {"store_timeout_s": 0.3, "on_store_failure": "refuse"}
    with start(upstream.url, **settings) as gateway:
        with locked(tasks) as release:
            assert call(gateway.url, "locked")[0] == 503
            release()
        assert call(gateway.url, "after")[0] == 200
    assert inputs(tasks) == ["after"]


# ---- rights and damage --------------------------------------------------------------------------


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None,
    reason="root may write what is read-only, and there is no setpriv to take that right away",
)
def test_a_store_whose_rights_are_taken_in_mid_run_is_kept_and_not_opened_again(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    spool = tasks.root / "elsewhere"
    with contextlib.ExitStack() as restored:
        with start(upstream.url, spool=str(spool), bound=True) as gateway:
            assert call(gateway.url, "before")[0] == 200
            for file in [tasks.home, *tasks.home.glob("store.db*")]:
                restored.callback(file.chmod, file.stat().st_mode)
                file.chmod(file.stat().st_mode & 0o555)
            # What is open stays open to its process.
            assert call(gateway.url, "during")[0] == 200
            assert gateway.health()["unrecorded"] == 0
        refused = pytest.raises(AssertionError, match=r"it may not be written;.* check the perm")
        with refused, start(upstream.url, spool=str(spool), bound=True):
            pass
    with start(upstream.url, spool=str(spool)) as again:
        until(lambda: not list(spool.glob("*.jsonl")))
        assert again.health()["unrecorded"] == 0
    assert inputs(tasks) == ["before", "during"]


def damage(path: Path) -> None:
    """Spoil all of the store, when nothing of it is in the log or in anybody's cache."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.executescript("CREATE TABLE passing (x); DROP TABLE passing;")
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    with path.open("rb+") as opened:
        opened.write(os.urandom(path.stat().st_size))


def test_a_store_that_is_damaged_is_spooled_for_and_is_not_opened_again(
    start: Any, upstream: Any, tasks: Workspace
) -> None:
    with start(upstream.url) as gateway:
        warm(gateway.url)
        damage(tasks.store_path)
        for number in range(3):
            assert call(gateway.url, f"damaged-{number}")[0] == 200
        health = gateway.health()
        assert (health["status"], health["spooled"], health["unrecorded"]) == ("degraded", 3, 0)
        assert "damaged" in health["last_store_error"] or "not a" in health["last_store_error"]
    with pytest.raises(AssertionError, match="restore a copy"), start(upstream.url):
        pass
    for file in tasks.home.glob("store.db*"):
        file.unlink()
    with start(upstream.url) as again:
        until(lambda: again.health()["absorbed"] == 3)
    assert inputs(tasks) == [f"damaged-{number}" for number in range(3)]


def until(what: Any) -> None:
    """Wait for something that the gateway does by itself, within a minute."""
    waiting = threading.Event()
    for _ in range(600):
        if what():
            return
        waiting.wait(0.1)
    raise AssertionError("it did not come about")
