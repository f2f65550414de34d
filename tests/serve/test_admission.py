"""Client keys at the gateway: what they open, and what a stranger learns."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3

from limbeck.models.call import Reply
from limbeck.models.dialects.table import dialect
from limbeck.serve.gateway import Gateway
from limbeck.serve.keys import KeyRing, create_key
from limbeck.serve.running import running_in_thread
from limbeck.serve.settings import GatewaySettings
from limbeck.serve.setup import Setup
from limbeck.store.store import Store
from limbeck.types import Task

SPOKEN = dialect("anthropic")
BODY = SPOKEN.write_request(model="m", system="Decide.", user="A pan.")


@pytest.fixture
def answered(provider: Any, whole: Any) -> Any:
    said = Reply(text="Answer: grant", stop_reason="end_turn", model="m")
    provider.replies = [whole(json.dumps(SPOKEN.write_reply(said)).encode())]
    return provider


@pytest.fixture
def locked(answered: Any, store: Store, task: Task, tmp_path: Path) -> Any:
    """`locked(**settings)` is a gateway that wants keys, and a function that makes them."""

    def run(**settings: Any) -> Any:
        upstreams = {"anthropic": {"base_url": answered.url, "key_env": "PLANTED_KEY"}}
        found = GatewaySettings.model_validate(
            {"upstreams": upstreams, "require_keys": True, **settings}
        )
        other = task.model_copy(update={"name": "triage"})
        setup = Setup.of(found, {task.name: task, other.name: other})
        return running_in_thread(Gateway(setup, store, keys=KeyRing(tmp_path / "keys.json")))

    return run


def made(tmp_path: Path, name: str, **more: Any) -> str:
    return create_key(tmp_path / "keys.json", name, now=datetime.now(UTC), **more)[0]


def call(url: str, path: str = "/t/refunds/v1/messages", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with urllib3.PoolManager(retries=False) as pool:
        return pool.request("POST", url + path, json=BODY, headers=named)


def test_a_key_lets_its_client_in_and_goes_no_further(
    locked: Any, answered: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANTED_KEY", "provider-key")
    secret = made(tmp_path, "billing")
    with locked() as url:
        assert call(url).status == 401
        assert call(url, x_api_key="sk-somebody-elses").status == 401
        assert answered.requests == []
        assert call(url, x_api_key=secret).status == 200
        assert call(url, authorization=f"Bearer {secret}").status == 200
        assert call(url, x_limbeck_client_key=secret, x_api_key="sk-own").status == 200
    heads = [head.decode().lower() for head, _ in answered.requests]
    assert secret.lower() not in "".join(heads)
    assert ["x-api-key: provider-key" in head for head in heads] == [True, True, False]
    assert "x-api-key: sk-own" in heads[2]


@pytest.mark.parametrize(
    ("path", "headers", "model"),
    [
        ("/t/triage/v1/messages", {}, "m"),
        ("/v1/messages", {"x-limbeck-task": "triage"}, "m"),
        ("/t/refunds/v1/messages", {"x-limbeck-task": "triage"}, "m"),
        ("/v1/messages", {}, "limbeck/triage"),
        ("/v1/messages", {}, "m"),
        ("/v1/models", {}, "m"),
    ],
)
def test_a_key_of_one_task_opens_no_other_however_it_is_named(
    locked: Any, answered: Any, tmp_path: Path, path: str, headers: dict[str, str], model: str
) -> None:
    secret = made(tmp_path, "billing", tasks=("refunds",))
    with locked() as url, urllib3.PoolManager(retries=False) as pool:
        response = pool.request(
            "POST",
            url + path,
            json={**BODY, "model": model},
            headers={**headers, "x-api-key": secret},
        )
        assert call(url, x_api_key=secret).status == 200
    assert response.status == 403
    assert "may call the tasks refunds" in response.json()["error"]["message"]
    assert len(answered.requests) == 1


def test_a_key_that_calls_too_often_is_told_when_to_come_back(
    locked: Any, answered: Any, tmp_path: Path
) -> None:
    secret = made(tmp_path, "billing", rate="2/hour")
    with locked(rate="1000/s") as url:
        statuses = [call(url, x_api_key=secret).status for _ in range(2)]
        refused = call(url, x_api_key=secret)
    assert statuses == [200, 200]
    assert refused.status == 429
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert 1 <= int(refused.headers["retry-after"]) <= 1800
    assert len(answered.requests) == 2


def test_a_stranger_learns_of_a_gateways_health_that_it_is_well(
    locked: Any, tmp_path: Path
) -> None:
    secret = made(tmp_path, "billing")
    with locked() as url, urllib3.PoolManager() as pool:
        seen = pool.request("GET", f"{url}/limbeck/health").json()
        key = {"x-limbeck-client-key": secret}
        known = pool.request("GET", f"{url}/limbeck/health", headers=key).json()
    assert seen == {"status": "ok"}
    assert known["tasks"] == {"refunds": "record", "triage": "record"}


def test_a_damaged_file_of_keys_lets_nobody_in_and_is_told_to_its_keeper_only(
    locked: Any, tmp_path: Path
) -> None:
    secret = made(tmp_path, "billing")
    (tmp_path / "keys.json").write_text("{half")
    with locked() as url, urllib3.PoolManager() as pool:
        refused = call(url, x_api_key=secret)
        seen = pool.request("GET", f"{url}/limbeck/health").json()
    assert refused.status == 401
    assert str(tmp_path) not in refused.data.decode()
    assert seen == {"status": "degraded"}


def test_a_key_for_the_gateway_never_reaches_a_provider_even_where_none_is_wanted(
    answered: Any, gateway: Any
) -> None:
    with gateway() as url:
        assert call(url, x_api_key="lk_" + "a" * 43).status == 200
    assert b"lk_" not in answered.requests[0][0]
