from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
import urllib3

from limbeck.cli.app import main
from limbeck.workspace import Workspace


@contextlib.contextmanager
def started(*args: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "limbeck.cli.app", *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline(), process
        finally:
            process.kill()


def test_a_gateway_and_a_sandbox_say_where_they_are_and_end_with_ctrl_c(
    workspace: Workspace,
) -> None:
    with (
        started("sandbox", "--task", "ledger", "--fault-rate", "0", "--json") as (line, sandbox),
        urllib3.PoolManager() as pool,
    ):
        teacher = json.loads(line)
        assert teacher["tasks"] == ["ledger"]
        upstream = f"anthropic={teacher['url']}"
        with started("gateway", "--port", "0", "--upstream", upstream, "--json") as (line, gateway):
            url = json.loads(line)["url"]
            health = pool.request("GET", f"{url}/limbeck/health").json()
            assert health["status"] == "ok"
            headers = {"anthropic-version": "2023-06-01"}
            models = pool.request("GET", f"{url}/v1/models", headers=headers).json()
            assert models["data"][0]["id"] == "simulated-teacher"
            pool.clear()
            for process in (gateway, sandbox):
                process.send_signal(signal.SIGINT)
                assert process.wait() == 0


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        (["gateway", "--host", "0.0.0.0"], 1, "wanted a loopback address"),
        (["gateway", "--upstream", "anthropic"], 2, "wanted NAME=URL"),
        (["gateway", "--upstream", "gopher=http://h"], 1, "wanted one of anthropic, openai_chat"),
        (["gateway", "--upstream", "anthropic=h"], 1, "'gateway.upstreams.anthropic.base_url'"),
        (["gateway", "--port", "70000"], 1, "the command line: the key 'gateway.port'"),
        (["sandbox", "--task", "chess"], 1, "no sandbox task 'chess'"),
        (["sandbox", "--fault-rate", "3"], 1, "wanted a share from 0 to 1"),
        (["sandbox", "--latency", "-1"], 2, "wanted 0 or more seconds"),
    ],
)
def test_a_wrong_option_is_one_sentence(
    workspace: Workspace,
    capsys: pytest.CaptureFixture[str],
    args: list[str],
    code: int,
    sentence: str,
) -> None:
    assert main(args) == code
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("port = 70000", "limbeck.toml: the key 'gateway.port'"),
        ("require_keys = true", "require_keys is true and there are no usable client keys"),
    ],
)
def test_a_wrong_setting_is_one_sentence(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], said: str, sentence: str
) -> None:
    (workspace.root / "limbeck.toml").write_text(f"[gateway]\n{said}\n")
    assert main(["gateway", "--host", "127.0.0.1"]) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_a_gateway_whose_keys_are_damaged_says_so(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace.root / "limbeck.toml").write_text("[gateway]\nrequire_keys = true\n")
    workspace.home.mkdir(exist_ok=True)
    keys = workspace.home / "keys.json"
    keys.write_text("{")
    keys.chmod(0o600)
    assert main(["gateway"]) == 1
    assert "are damaged" in capsys.readouterr().err
