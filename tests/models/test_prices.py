from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from limbeck.models.prices import Rates, cost_usd, provider_of, rates
from limbeck.types import Price, Usage

OWN = Price(input=2.0, output=10.0)
MILLION = 1_000_000


def test_a_known_model_is_priced_from_the_list() -> None:
    assert cost_usd("claude-3-5-haiku-latest", Usage(input=MILLION)) == pytest.approx(0.8)
    assert cost_usd("gpt-4o", Usage(output=MILLION), provider="openai") == pytest.approx(10.0)


def test_a_dated_name_is_the_same_model() -> None:
    usage = Usage(input=1234, output=567)
    dated = cost_usd("claude-3-5-haiku-20241022", usage, provider="anthropic")
    assert dated == cost_usd("claude-3-5-haiku-latest", usage, provider="anthropic")


def test_nobody_knows_an_unlisted_model_without_a_price() -> None:
    assert cost_usd("teacher-1", Usage(input=10, output=10)) is None
    assert rates("teacher-1") is None
    assert cost_usd("teacher-1", Usage(input=10, output=10), Price(input=3.0)) is None


def test_a_task_prices_a_model_that_the_list_lacks() -> None:
    assert cost_usd("teacher-1", Usage(input=500_000, output=MILLION), OWN) == pytest.approx(11.0)


def test_every_token_is_counted_once() -> None:
    price = Price(input=1.0, output=100.0, cached=0.1, cache_write_5m=1.25, cache_write_1h=2.0)
    usage = Usage(
        input=10 * MILLION,
        cached=4 * MILLION,
        cache_write_5m=2 * MILLION,
        cache_write_1h=MILLION,
        output=MILLION,
        reasoning=900_000,
    )
    assert cost_usd("any", usage, price) == pytest.approx(3 * 1 + 0.4 + 2.5 + 2.0 + 100.0)


def test_the_parts_of_a_price_override_one_by_one() -> None:
    assert rates("gpt-4o", Price(output=7.0), provider="openai") == Rates(
        input=2.5, output=7.0, cached=1.25, cache_write_5m=2.5, cache_write_1h=2.5
    )


def test_a_cache_read_keeps_the_ratio_of_its_model_under_an_own_input_price() -> None:
    own = rates("gpt-4o", Price(input=5.0), provider="openai")
    assert own is not None
    assert own.cached == pytest.approx(2.5)


def test_unlisted_models_have_the_documented_shares_of_anthropic_and_no_discount_elsewhere() -> (
    None
):
    assert rates("teacher-1", OWN, provider="anthropic") == Rates(
        input=2.0, output=10.0, cached=0.2, cache_write_5m=2.5, cache_write_1h=4.0
    )
    assert rates("teacher-1", OWN) == Rates(
        input=2.0, output=10.0, cached=2.0, cache_write_5m=2.0, cache_write_1h=2.0
    )


def test_a_batch_costs_the_share_that_the_task_says() -> None:
    usage = Usage(input=MILLION, cached=MILLION // 2, output=MILLION)
    batched = usage.model_copy(update={"tier": "batch"})
    whole = cost_usd("claude-opus-4-1", usage)
    assert whole is not None
    assert cost_usd("claude-opus-4-1", batched) == pytest.approx(whole / 2)
    assert cost_usd("claude-opus-4-1", batched, Price(batch=0.1)) == pytest.approx(whole / 10)


def test_a_priority_call_is_dearer_where_the_list_says_so() -> None:
    at = datetime(2027, 1, 1, tzinfo=UTC)
    usual, first = (
        cost_usd("gpt-5.1", Usage(input=MILLION, tier=tier), provider="openai", at=at)
        for tier in ("default", "priority")
    )
    assert usual is not None
    assert first is not None
    assert first > usual


def test_past_a_step_the_whole_call_is_paid_at_its_rate() -> None:
    short = cost_usd("claude-sonnet-4-5", Usage(input=200_000))
    above = cost_usd("claude-sonnet-4-5", Usage(input=200_001))
    assert short == pytest.approx(0.6)
    assert above == pytest.approx(200_001 * 6.0 / 1e6)


def test_a_price_that_differs_by_the_hour_is_that_of_the_call() -> None:
    night, day = (
        cost_usd(
            "deepseek-reasoner", Usage(input=MILLION), at=datetime(2025, 6, 1, hour, tzinfo=UTC)
        )
        for hour in (20, 10)
    )
    assert night is not None
    assert day is not None
    assert night < day


@pytest.mark.parametrize(
    ("dialect", "url", "provider"),
    [
        ("anthropic", "https://api.anthropic.com", "anthropic"),
        ("openai_chat", "https://api.openai.com/v1", "openai"),
        ("openai_chat", "https://api.deepseek.com/v1", "deepseek"),
        ("anthropic", "https://api.deepseek.com/anthropic", "deepseek"),
        ("anthropic", "http://127.0.0.1:9", "anthropic"),
        ("openai_responses", "http://127.0.0.1:9/v1", None),
        ("anthropic", None, "anthropic"),
    ],
)
def test_a_provider_is_known_by_its_address(
    dialect: str, url: str | None, provider: str | None
) -> None:
    assert provider_of(dialect, url) == provider


def test_the_price_list_is_not_loaded_before_it_is_asked() -> None:
    code = "import sys, limbeck.models.prices; sys.exit('genai_prices' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
