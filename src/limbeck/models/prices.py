"""What a call costs, from the tokens that the provider counted.

The rates are those of the task's `Price`; what it leaves out comes from the price list of the
library `genai-prices`, which is read from the installed package and never fetched.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from limbeck.types import Price, Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

BATCH = "batch"
"""The service tier that is paid at the share `Price.batch`."""
HALF_HOUR_S = 1800
"""Prices that differ by the time of day change at full and half hours, so a rate is looked up once
for each."""


class Rates(NamedTuple):
    """USD for a million tokens of each kind."""

    input: float
    output: float
    cached: float
    cache_write_5m: float
    cache_write_1h: float


class Step(NamedTuple):
    """The rates of calls that read more than `above` tokens."""

    above: int
    rates: Rates


class CacheShares(NamedTuple):
    """What reading from a cache and writing to one cost, as shares of the input price."""

    read: float
    write_5m: float
    write_1h: float


CACHE_SHARES = {"anthropic": CacheShares(0.1, 1.25, 2.0)}
"""By provider, for models that the price list lacks.

Source: Anthropic, "Prompt caching", section "Pricing". Elsewhere the shares differ by model, so that
no discount is assumed."""
NO_DISCOUNT = CacheShares(1.0, 1.0, 1.0)
UNPRICED = Price()


def cost_usd(
    model: str,
    usage: Usage,
    price: Price = UNPRICED,
    *,
    provider: str | None = None,
    at: datetime | None = None,
) -> float | None:
    """USD for the tokens of one call, each counted once; None where nobody knows the price.

    Reasoning is part of the output and paid as such. `provider` is as `provider_of` gives it; None
    goes by the model's name. `at` is the time of the call, by default now. A `usage` without counts
    costs 0.0: the caller knows whether the provider gave any.
    """
    seconds = time.time() if at is None else at.timestamp()
    steps = _steps(model, price, provider, usage.tier, int(seconds // HALF_HOUR_S))
    if not steps:
        return None
    rate = _reached(steps, usage.input)
    special = usage.cached + usage.cache_write_5m + usage.cache_write_1h
    paid = (
        max(usage.input - special, 0) * rate.input
        + usage.cached * rate.cached
        + usage.cache_write_5m * rate.cache_write_5m
        + usage.cache_write_1h * rate.cache_write_1h
        + usage.output * rate.output
    )
    return paid * (price.batch if usage.tier == BATCH else 1.0) / 1e6


def rates(
    model: str, price: Price = UNPRICED, *, provider: str | None = None, tokens_in: int = 0
) -> Rates | None:
    """Today's rates of a call that reads `tokens_in` tokens, for an estimate; None where unknown.

    They are those of the usual service: a batch costs the share `price.batch` of them.
    """
    steps = _steps(model, price, provider, None, int(time.time() // HALF_HOUR_S))
    return _reached(steps, tokens_in) if steps else None


@lru_cache(maxsize=256)
def provider_of(dialect: str, base_url: str | None = None) -> str | None:
    """The price list's name of the provider behind `base_url`.

    An address that the list does not know, such as another gateway, is taken for Anthropic where it
    speaks the Messages API; else None, and the model's name decides.
    """
    from genai_prices.data_snapshot import get_snapshot

    try:
        if base_url:
            return get_snapshot().find_provider(None, None, base_url).id
    except LookupError:
        pass
    return "anthropic" if dialect == "anthropic" else None


def _reached(steps: tuple[Step, ...], tokens_in: int) -> Rates:
    """Past a step, the whole call is paid at its rates, not only what stands above it."""
    rate = steps[0].rates
    for step in steps[1:]:
        if tokens_in > step.above:
            rate = step.rates
    return rate


@lru_cache(maxsize=1024)
def _steps(
    model: str, price: Price, provider: str | None, tier: str | None, half_hour: int
) -> tuple[Step, ...]:
    """The rates of a model by the length of the call, shortest first; empty where unknown."""
    listed = _listed(model, provider, tier, half_hour)
    starts = {0} | {tier.start for part in vars(listed).values() for tier in _tiers(part)}
    shares = CACHE_SHARES.get(provider or "", NO_DISCOUNT)
    steps = []
    for above in sorted(starts):
        found = _overridden(price, listed, above, shares)
        if found is None:
            return ()
        steps.append(Step(above, found))
    return tuple(steps)


def _overridden(price: Price, listed: ModelPrice, above: int, shares: CacheShares) -> Rates | None:
    """The task's rates where it gives them, else the list's, scaled to the task's input price."""
    base = _part(listed.input_mtok, above)
    paid = base if price.input is None else price.input
    output = _part(listed.output_mtok, above) if price.output is None else price.output
    if paid is None or output is None:
        return None

    def of_input(given: float | None, part: object, share: float) -> float:
        if given is not None:
            return given
        known = _part(part, above)
        return paid * (known / base if known is not None and base else share)

    return Rates(
        paid,
        output,
        of_input(price.cached, listed.cache_read_mtok, shares.read),
        of_input(price.cache_write_5m, listed.cache_write_mtok, shares.write_5m),
        of_input(price.cache_write_1h, listed.cache_write_1h_mtok, shares.write_1h),
    )


def _listed(model: str, provider: str | None, tier: str | None, half_hour: int) -> ModelPrice:
    """What the price list says; a price without parts where it does not know the model."""
    from genai_prices.types import ModelPrice

    found = _found(model.lower(), provider)
    if found is None:
        return ModelPrice()
    at = datetime.fromtimestamp(half_hour * HALF_HOUR_S, UTC)
    # A batch is not asked for here: its share is the task's to say, and the same for every model.
    return found.get_prices(at, {"service_tier": tier} if tier and tier != BATCH else None)


def _found(model: str, provider: str | None) -> ModelInfo | None:
    # The library's own look-up keeps every name that it was ever asked for, and names come from
    # clients; `_steps` keeps a bounded number.
    from genai_prices.data_snapshot import find_provider_by_id, get_snapshot

    providers = get_snapshot().providers
    if provider is not None:
        maker = find_provider_by_id(providers, provider)
    else:
        named = (one for one in providers if one.model_match and one.model_match.is_match(model))
        maker = next(named, None)
    return maker.find_model(model, all_providers=providers) if maker else None


def _tiers(part: Any) -> list[Any]:
    return getattr(part, "tiers", [])


def _part(part: Any, above: int) -> float | None:
    """A part of the list's price for calls that read more than `above` tokens."""
    if part is None:
        return None
    rate = getattr(part, "base", part)
    for tier in _tiers(part):
        if above >= tier.start:
            rate = tier.price
    return float(rate)
