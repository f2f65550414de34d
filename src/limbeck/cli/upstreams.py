"""Whom to ask from the terminal: an upstream of the gateway, its key and its batch API."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from limbeck.capture.post_hoc.batching import Service
from limbeck.errors import ConfigError, UsageError
from limbeck.models.batches.connection import Connection
from limbeck.models.batches.table import batch_api
from limbeck.models.dialects.table import dialect
from limbeck.models.prices import provider_of
from limbeck.models.remote import PROVIDERS
from limbeck.serve.keys import read_key
from limbeck.serve.settings import GatewaySettings, Upstream
from limbeck.workspace import FILE, Workspace, read_values


class Whom(NamedTuple):
    """An upstream of the gateway, by name, and the model to ask there."""

    name: str
    upstream: Upstream
    model: str

    @property
    def dialect(self) -> str:
        return self.upstream.dialect or self.name

    @property
    def provider(self) -> str | None:
        return provider_of(self.dialect, self.upstream.base_url)


def read_upstreams(workspace: Workspace) -> dict[str, Upstream]:
    """The upstreams of the gateway's settings, by name."""
    section = workspace.settings.gateway
    return read_values(GatewaySettings, section, workspace.root / FILE, "gateway").upstreams


def named(option: str, given: str, upstreams: dict[str, Upstream], without: str = "") -> Whom:
    """Whom `PROVIDER:MODEL` means, as `option` got it; raises UsageError for another form."""
    provider, colon, model = given.partition(":")
    if provider not in PROVIDERS or not colon or not model:
        known = " or ".join(f"{one}:MODEL" for one in PROVIDERS)
        raise UsageError(f"{option} is {given!r}; wanted {known}{without}")
    return Whom(PROVIDERS[provider], upstreams[PROVIDERS[provider]], model)


def connecting(upstreams: dict[str, Upstream]) -> Callable[[str], Service]:
    """What opens the batch API of an upstream by its name; raises ConfigError where that is gone."""

    def connect(name: str) -> Service:
        if name not in upstreams:
            raise ConfigError(
                f"a batch was handed in to the upstream {name!r}, which is gone; "
                f"put it back under [gateway.upstreams] in {FILE} to fetch what was paid for"
            )
        whom = Whom(name, upstreams[name], "")
        spoken = dialect(whom.dialect)
        connection = Connection(whom.upstream.base_url, spoken.NAME, key_of(name, whom.upstream))
        return Service(batch_api(connection), spoken, whom.provider)

    return connect


def key_of(name: str, upstream: Upstream) -> str | None:
    """The key of an upstream; raises ConfigError where its variable is not set."""
    key = read_key(upstream)
    if key is None and upstream.key_env is not None:
        raise ConfigError(
            f"the upstream {name!r} takes its key from {upstream.key_env}, which is not set; "
            f"set it to your key: export {upstream.key_env}=..."
        )
    return key
