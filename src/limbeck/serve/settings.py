"""What a gateway is told: where it listens and where the teachers are."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any

from pydantic import Field, field_validator

from limbeck.models.dialects.table import TABLE, dialect
from limbeck.types import Noun


class Upstream(Noun):
    """The teacher behind one dialect.

    `base_url` is what the provider's own client takes. `key_env` names the environment variable
    with the key for calls that bring none; the key itself is never a setting.
    """

    base_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")]
    key_env: str | None = None
    streamed_usage: bool = True
    """Ask for token counts in streams whose client did not, and hide them from it."""


class GatewaySettings(Noun):
    """The section `[gateway]` of `limbeck.toml`. Times are in seconds."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 4100
    upstreams: dict[str, Upstream] = Field(default_factory=dict, validate_default=True)
    connect_timeout_s: Annotated[float, Field(gt=0)] = 10.0
    silence_timeout_s: Annotated[float, Field(gt=0)] = 600.0
    """The longest silence of a teacher before its client is told so."""
    student_timeout_s: Annotated[float, Field(gt=0)] = 10.0
    """The longest that a student may take before the teacher is asked instead."""

    @field_validator("host")
    @classmethod
    def _stays_on_this_machine(cls, host: str) -> str:
        if not is_loopback(host):
            raise ValueError(
                f"host is {host!r}; wanted a loopback address such as 127.0.0.1, because anyone "
                "who reaches the gateway can spend your money: client keys come with the next "
                "release"
            )
        return host

    @field_validator("upstreams", mode="before")
    @classmethod
    def _every_dialect_has_one(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        for name in given:
            if name not in TABLE:
                raise ValueError(f"upstream is {name!r}; wanted one of {', '.join(TABLE)}")
        usual = {
            name: Upstream(base_url=dialect(name).DEFAULT_BASE_URL, key_env=dialect(name).KEY_ENV)
            for name in TABLE
        }
        return {**usual, **given}


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine and is reached from nowhere else."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
