from __future__ import annotations

import pytest
from pydantic import ValidationError

from limbeck.errors import ConfigError
from limbeck.models.dialects.table import TABLE
from limbeck.serve.settings import GatewaySettings, is_loopback
from limbeck.serve.setup import read_settings
from limbeck.workspace import Workspace


def test_every_dialect_has_the_providers_own_address_until_another_is_given() -> None:
    settings = GatewaySettings.model_validate(
        {"upstreams": {"anthropic": {"base_url": "http://127.0.0.1:9"}}}
    )
    assert set(settings.upstreams) == set(TABLE)
    assert settings.upstreams["anthropic"].base_url == "http://127.0.0.1:9"
    assert settings.upstreams["anthropic"].key_env is None
    assert settings.upstreams["openai_chat"].key_env == "OPENAI_API_KEY"
    assert GatewaySettings().upstreams["anthropic"].base_url == "https://api.anthropic.com"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.9.9.9"])
def test_loopback_is_loopback(host: str) -> None:
    assert is_loopback(host)
    assert GatewaySettings(host=host).host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "gateway.example.org", ""])
def test_another_host_wants_client_keys(host: str) -> None:
    assert GatewaySettings(host=host).wants_keys
    assert not GatewaySettings().wants_keys
    assert GatewaySettings(require_keys=True).wants_keys


def test_a_dialect_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValidationError, match="'gemini' has the dialect 'gemini'; wanted one of"):
        GatewaySettings.model_validate({"upstreams": {"gemini": {"base_url": "http://h"}}})


def test_the_command_line_stands_above_the_file(workspace: Workspace) -> None:
    (workspace.root / "limbeck.toml").write_text("[gateway]\nport = 4200\nhost = '::1'\n")
    opened = Workspace.find(workspace.root)
    settings = read_settings(opened, {"port": 0})
    assert (settings.port, settings.host) == (0, "::1")


def test_a_wrong_key_is_named_with_its_file(workspace: Workspace) -> None:
    (workspace.root / "limbeck.toml").write_text("[gateway]\nprot = 4200\n")
    with pytest.raises(ConfigError, match=r"limbeck.toml: unknown key 'gateway.prot'.*'port'"):
        read_settings(Workspace.find(workspace.root))
