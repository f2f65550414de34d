"""Who may call: programs on this machine, or clients with a key, and each as often as it may."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from limbeck.serve.guard import foreign
from limbeck.serve.http.message import RawHeaders, Request
from limbeck.serve.keys import PREFIX, ClientKey, KeyRing, may_call, present
from limbeck.serve.rates import Rate, Rates, parse_rate
from limbeck.serve.route import Route
from limbeck.serve.settings import GatewaySettings

_OURS = PREFIX.encode()
HEALTH = b"/limbeck/health"
"""Open to all: what watches a service has no key."""


class Refusal(NamedTuple):
    """Why a request is not taken; `kind` is the providers' word for it."""

    status: int
    kind: str
    message: str
    headers: RawHeaders


class Admission:
    """Decides on each request before anything else is done with it."""

    def __init__(self, keys: KeyRing | None) -> None:
        self._keys = keys
        self._rates = Rates()

    @property
    def problem(self) -> str | None:
        """Why nobody is let in, where the file of keys cannot be trusted."""
        return self._keys.problem if self._keys is not None else None

    def check(
        self, settings: GatewaySettings, request: Request, route: Route, now: float
    ) -> Refusal | ClientKey | None:
        """Why the request is refused, or the client key that it came with; None where none is wanted.

        Takes the key out of the request's headers.
        """
        # Wanted or not: a key for this gateway is none of the provider's business.
        secret = None
        for _, value in request.headers:
            if _OURS in value:
                secret, request.headers = present(request.headers)
                break
        if not settings.wants_keys:
            reason = foreign(request)
            return Refusal(403, "permission_error", reason, []) if reason else None
        key = self._keys.check(secret) if secret is not None and self._keys is not None else None
        if key is None:
            if route.path == HEALTH:
                return None
            message = (
                "the gateway wants a client key, as x-limbeck-client-key, or as x-api-key or "
                "Authorization: Bearer; make one with: limbeck keys create NAME"
            )
            return Refusal(401, "authentication_error", message, [])
        rate = key.rate or settings.rate
        wait = self._rates.take([(key.name, _rate(rate))], now) if rate else None
        if wait is not None:
            seconds = math.ceil(wait)
            message = f"this key may make {rate} calls; the next in {seconds} seconds"
            later = [(b"retry-after", b"%d" % seconds)]
            return Refusal(429, "rate_limit_error", message, later)
        return key


def shut_out(key: ClientKey | None, task: str | None) -> str | None:
    """Why the client with that key may not make calls of `task`, or None."""
    if key is None or may_call(key, task):
        return None
    allowed = ", ".join(key.tasks)
    return f"this key may call the tasks {allowed}; the call is of {task or 'no task'}"


@lru_cache
def _rate(text: str) -> Rate:
    return parse_rate(text)
