"""What a gateway tells of itself when its store or its configuration fails, and when they work again."""

from __future__ import annotations

import json
import logging
import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import urllib3

from limbeck.errors import StoreError
from limbeck.models.call import Reply
from limbeck.models.dialects.table import dialect
from limbeck.serve import gateway as module
from limbeck.serve.gateway import Gateway, open_gateway
from limbeck.serve.running import running_in_thread
from limbeck.serve.settings import GatewaySettings
from limbeck.serve.setup import Setup
from limbeck.store.store import Store
from limbeck.types import Trace, Usage
from limbeck.workspace import Workspace


class Told(logging.Handler):
    """The events that a gateway tells, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.records: queue.Queue[logging.LogRecord] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.put(record)

    def wait_for(self, event: str) -> dict[str, Any]:
        while True:
            found = vars(self.records.get(timeout=30))
            if found.get("event") == event:
                return found


@pytest.fixture
def told() -> Iterator[Told]:
    handler = Told()
    logger = logging.getLogger("limbeck.gateway")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


class Moody:
    """A store that fails as long as it is told to."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.fails = True

    def append(self, traces: Sequence[Trace], blobs: Mapping[str, bytes]) -> None:
        if self.fails:
            raise StoreError("database or disk is full", whole=True)
        self.store.append(traces, blobs)

    def settle(self) -> int:
        return 0

    def sort_in(self) -> int:
        return 0


BODY = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "?"}]}


def ask(url: str) -> int:
    with urllib3.PoolManager(retries=False) as pool:
        return pool.request("POST", f"{url}/v1/messages", json=BODY).status


@pytest.mark.parametrize(("spool", "event"), [(True, "store_failed"), (False, "trace_lost")])
def test_a_store_that_fails_and_works_again_is_told(
    spool: bool,
    event: str,
    provider: Any,
    whole: Callable[..., Any],
    store: Store,
    told: Told,
    tmp_path: Path,
) -> None:
    reply = Reply(text="yes", stop_reason="end_turn", usage=Usage(input=9), model="m")
    provider.replies = [whole(json.dumps(dialect("anthropic").write_reply(reply)).encode())]
    settings = GatewaySettings.model_validate(
        {"upstreams": {"anthropic": {"base_url": provider.url}}}
    )
    moody: Any = Moody(store)
    app = Gateway(Setup.of(settings, {}), moody, spool=tmp_path / "spool" if spool else None)
    with running_in_thread(app) as url:
        assert ask(url) == 200
        assert told.wait_for(event)["levelname"] == "ERROR"
        moody.fails = False
        assert ask(url) == 200
        again = told.wait_for("store_works_again")
    assert (again["spooled"], again["lost"]) == ((1, 0) if spool else (0, 1))
    assert app.metrics.commits_failed == 1
    # The call was made and paid, whether or not its trace could be kept.
    assert sum(one.calls for one in app.metrics.calls.values()) == 2
    stopped = told.wait_for("stop")
    assert (stopped["cut"], stopped["drained"]) == (0, 0)


def test_a_configuration_that_cannot_be_used_is_told_and_counted(
    workspace: Workspace, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RELOAD_S", 0.01)
    path = workspace.root / "limbeck.toml"
    path.write_text("[gateway]\nlog = 'events'\n")
    app = open_gateway(workspace.root)
    with running_in_thread(app):
        told.wait_for("start")
        path.write_text("[gateway]\nlog = 'everything'\n")
        refused = told.wait_for("configuration_refused")
        assert "gateway.log" in str(refused["args"])
        path.write_text("[gateway]\nlog = 'calls'\n")
        assert told.wait_for("configuration_read")["tasks"] == []
    assert app.counts.configuration_errors == 1
