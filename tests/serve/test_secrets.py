"""Secrets are planted wherever one may be given, and looked for wherever one may leak."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3

from limbeck.models.call import Reply
from limbeck.models.dialects.table import dialect
from limbeck.serve.keys import FILE, create_key, revoke_key
from limbeck.store.store import Store
from limbeck.workspace import Workspace

ENV_KEY = "sk-ant-planted-in-the-environment-1"
FILE_KEY = "sk-planted-in-a-file-2"
OWN_KEY = "sk-planted-by-a-client-3"
WRONG_KEY = "lk_planted-and-wrong-4"
MARK = "harmless-words-that-are-kept"
RUN = "import sys; from limbeck.cli.app import main; sys.exit(main(sys.argv[1:]))"


@dataclass
class Planted:
    """A running `limbeck gateway` whose every key is known, and all that it ever said."""

    url: str
    root: Path
    secrets: dict[str, str]
    said: list[bytes] = field(default_factory=list)

    def ask(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> int:
        """The status of the reply; what it says is kept."""
        with urllib3.PoolManager(retries=False) as pool:
            found = pool.request(method, self.url + path, headers=headers, json=body)
        self.said += [repr(dict(found.headers)).encode(), found.data]
        return found.status

    def kept(self) -> dict[Path, bytes]:
        """Every file of the workspace but the one in which a secret belongs."""
        files = [path for path in self.root.rglob("*") if path.is_file()]
        return {path: path.read_bytes() for path in files if path.name != "provider.key"}


@pytest.fixture
def planted(
    workspace: Workspace, provider: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Planted]:
    monkeypatch.setenv("PLANTED_KEY", ENV_KEY)
    key_file = workspace.root / "provider.key"
    key_file.write_text(FILE_KEY + "\n")
    key_file.chmod(0o600)
    (workspace.root / "limbeck.toml").write_text(
        "[gateway]\nrequire_keys = true\nlog = 'calls'\n"
        "[gateway.upstreams.anthropic]\n"
        f"base_url = '{provider.url}'\nkey_env = 'PLANTED_KEY'\n"
        "[gateway.upstreams.openai_chat]\n"
        f"base_url = '{provider.url}/v1'\nkey_file = '{key_file}'\n"
    )
    (workspace.tasks_folder / "refunds.toml").write_text("[answer]\nkind = 'text'\n")
    path, now = workspace.home / FILE, datetime.now(UTC)
    revoked, _ = create_key(path, "gone", now=now)
    revoke_key(path, "gone", now=now)
    secrets = {
        "client": create_key(path, "billing", now=now)[0],
        "narrow": create_key(path, "narrow", now=now, tasks=("refunds",), rate="1/day")[0],
        "revoked": revoked,
        "wrong": WRONG_KEY,
        "environment": ENV_KEY,
        "file": FILE_KEY,
        "own": OWN_KEY,
    }
    said = tmp_path / "stderr"
    with (
        said.open("wb") as stderr,
        subprocess.Popen(
            [sys.executable, "-c", RUN, "gateway", "--port", "0", "--json"],
            cwd=workspace.root,
            stdout=subprocess.PIPE,
            stderr=stderr,
        ) as process,
    ):
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, said.read_text()
        found = Planted(json.loads(line)["url"], workspace.root, secrets, [line])
        try:
            yield found
        finally:
            process.terminate()
            found.said.append(process.stdout.read())
    found.said.append(said.read_bytes())
    assert leaks(found) == []


def leaks(planted: Planted) -> list[str]:
    """Where which secret is found."""
    everything = {f"reply {n}": data for n, data in enumerate(planted.said)}
    everything |= {str(path): data for path, data in planted.kept().items()}
    return [
        f"the key {name!r} in {place}"
        for name, secret in planted.secrets.items()
        for place, data in everything.items()
        if secret.encode() in data or json.dumps(secret)[1:-1].encode() in data
    ]


def reply_of(name: str) -> bytes:
    said = Reply(text=f"{MARK}: yes", stop_reason="end_turn", model="m")
    return json.dumps(dialect(name).write_reply(said)).encode()


def body_of(name: str) -> Any:
    return dialect(name).write_request(model="m", system="Decide.", user=f"{MARK}?")


def test_no_secret_is_stored_logged_or_said(
    planted: Planted, provider: Any, whole: Callable[..., Any]
) -> None:
    client, messages, chat = (
        planted.secrets["client"],
        "/t/refunds/v1/messages",
        "/v1/chat/completions",
    )
    anthropic, openai = body_of("anthropic"), body_of("openai_chat")
    provider.replies = [
        whole(reply_of("anthropic")),
        whole(reply_of("openai_chat")),
        whole(reply_of("anthropic")),
        whole(b'{"error":{"message":"overloaded"}}', "529 Overloaded"),
        [],  # hangs up
    ]
    # A client key in the place of the provider's, in both ways, and beside a key of the client's own.
    assert planted.ask("POST", messages, {"x-api-key": client}, anthropic) == 200
    assert planted.ask("POST", chat, {"authorization": f"Bearer {client}"}, openai) == 200
    both = {"x-limbeck-client-key": client, "x-api-key": OWN_KEY}
    assert planted.ask("POST", messages, both, anthropic) == 200
    # The provider says no, and the provider hangs up.
    assert planted.ask("POST", messages, {"x-api-key": client}, anthropic) == 529
    assert planted.ask("POST", messages, {"x-api-key": client}, anthropic) >= 500
    heads = [head for head, _ in provider.requests]
    asked = [ENV_KEY, FILE_KEY, OWN_KEY, ENV_KEY, ENV_KEY]
    assert [key.encode() in head for key, head in zip(asked, heads, strict=True)] == [True] * 5
    ours = [planted.secrets[name].encode() for name in ("client", "narrow", "revoked", "wrong")]
    assert not any(secret in head for secret in ours for head in heads)
    # The search is one that finds: the words of the calls are in the store.
    with Store(planted.root / ".limbeck" / "store.db") as store:
        assert len(list(store.traces("refunds"))) >= 2
    assert any(MARK.encode() in data for data in planted.kept().values())


def test_no_secret_is_said_to_those_who_are_refused(planted: Planted, provider: Any) -> None:
    messages, body = "/t/refunds/v1/messages", body_of("anthropic")
    for name in ("wrong", "revoked", "environment", "own"):
        shown = {"x-api-key": planted.secrets[name]}
        assert planted.ask("POST", messages, shown, body) == 401
    assert planted.ask("POST", messages, {}, body) == 401
    assert planted.ask("GET", "/limbeck/health", {"x-api-key": WRONG_KEY}) == 200
    narrow = {"x-limbeck-client-key": planted.secrets["narrow"]}
    assert planted.ask("GET", "/limbeck/nothing", narrow) == 404
    assert planted.ask("POST", "/limbeck/v1/outcomes", narrow, {}) == 429
    assert provider.requests == []
