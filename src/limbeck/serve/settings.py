"""What a gateway is told: where it listens and where the teachers are."""

from __future__ import annotations

import ipaddress
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from limbeck.models.dialects.table import TABLE, dialect
from limbeck.types import Noun, RedactForm


class Upstream(Noun):
    """A provider, or whatever speaks like one.

    `base_url` is what the provider's own client takes, and `dialect` the wire format. The key for calls
    that bring none stands in the environment variable `key_env` or in the file `key_file`, which only
    its owner may read; the key itself is never a setting.
    """

    base_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+")]
    dialect: str = ""
    key_env: str | None = None
    key_file: str | None = None
    streamed_usage: bool = True
    """Ask for token counts in streams whose client did not, and hide them from it."""


Positive = Annotated[float, Field(gt=0)]
Bytes = Annotated[int, Field(gt=0)]


class GatewaySettings(Noun):
    """The section `[gateway]` of `limbeck.toml`. Times are in seconds, sizes in bytes."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 4100
    upstreams: dict[str, Upstream] = Field(default_factory=dict, validate_default=True)
    require_keys: bool = False
    """Take calls from clients with a key of `limbeck keys` only. Beyond loopback it is always so."""
    rate: str | None = None
    """The most calls of one client key, as in `10/s` or `600/min`, where the key has no rate of its own."""
    on_store_failure: Literal["spool", "refuse"] = "spool"
    """What happens to calls while the store fails: the reply leaves when the trace is in the spool, or
    the client gets an error instead."""
    spool: str = ".limbeck/spool"
    """The folder of the spool; on another disk than the store it outlives a full one."""
    store_timeout_s: Positive = 5.0
    """The longest that a locked store is waited for."""
    redact: RedactForm = RedactForm()
    """What is taken out of every call before it is stored, on top of what its task says."""
    connect_timeout_s: Positive = 10.0
    silence_timeout_s: Positive = 600.0
    """The longest silence of a teacher before its client is told so."""
    students: dict[str, Annotated[str, Field(pattern=r"^https?://[^\s/]+")]] = Field(
        default_factory=dict
    )
    """By task, where its student is served elsewhere: an OpenAI-compatible address, with /v1. A change is
    taken over when the gateway starts."""
    student_calls: Annotated[int, Field(ge=1)] = 32
    """Calls of a task that its student is asked at once, at most; the teacher answers those beyond."""
    student_timeout_s: Positive = 10.0
    """The longest that a student may take before the teacher is asked instead."""
    student_failures: Annotated[int, Field(ge=1)] = 5
    """Failures in a row after which a student is left alone for `student_rest_s`."""
    student_rest_s: Positive = 30.0
    shadow_wait_s: Annotated[float, Field(ge=0)] = 0.2
    """How long a reply may wait, in mode `shadow`, for what the student would have said."""
    on_teacher_failure: Literal["refuse", "answer"] = "refuse"
    """What the clients of a cascade get while the teacher is down: an error, or the student's answer
    without a promise, marked by the header x-limbeck-degraded."""
    say_who_answered: bool = False
    """Tell clients by the header x-limbeck-answered-by; the trace says it in any case."""
    request_timeout_s: Positive = 60.0
    """The longest that a request may take to arrive."""
    stalled_timeout_s: Positive = 120.0
    """The longest that a client may take none of its reply."""
    drain_s: Positive = 30.0
    """How long calls on their way may take to end after SIGTERM."""
    max_request_bytes: Bytes = 64 * 2**20
    max_reply_bytes: Bytes = 64 * 2**20
    """The longest reply outside of a stream."""
    log: Literal["events", "calls"] = "events"
    """`calls` writes a line for each call, `events` only for what is out of the ordinary."""
    slow_s: Positive = 120.0
    """A call that takes longer is logged as slow."""
    otel: bool = False
    """Send a span for each call to the collector that the variables `OTEL_EXPORTER_OTLP_*` name."""
    otel_endpoint: Annotated[str | None, Field(pattern=r"^https?://[^\s/@?]+(/[^\s?]*)?$")] = None
    """The collector to send spans to, by OTLP over HTTP, as in http://127.0.0.1:4318."""
    otel_content: bool = False
    """Whether spans carry what was asked and said, as it is stored."""

    @field_validator("upstreams", mode="before")
    @classmethod
    def _every_dialect_has_one(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        usual = {
            name: Upstream(base_url=dialect(name).DEFAULT_BASE_URL, key_env=dialect(name).KEY_ENV)
            for name in TABLE
        }
        # Chat Completions and Responses are one provider's: one base URL is for both.
        if "openai_chat" in given and "openai_responses" in TABLE:
            usual["openai_responses"] = given["openai_chat"]
        return {**usual, **given}

    @model_validator(mode="after")
    def _every_upstream_has_a_dialect(self) -> GatewaySettings:
        for name, upstream in self.upstreams.items():
            spoken = upstream.dialect or name
            if spoken not in TABLE:
                raise ValueError(
                    f"upstream {name!r} has the dialect {spoken!r}; wanted one of {', '.join(TABLE)}, "
                    f'as its name or as in: dialect = "{next(iter(TABLE))}"'
                )
        return self

    @cached_property
    def wants_keys(self) -> bool:
        """Whether a client must show a key."""
        return self.require_keys or not is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine and is reached from nowhere else."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
