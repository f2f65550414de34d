"""From rounds to findings: medians with their spread, ratios within a round, and goals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from limbeck.types import Noun
from traffic.rounds import Measured, Memory, Turn

RESAMPLES = 10_000


class Estimate(Noun):
    """The median over rounds, its bootstrap interval of 95 %, and every value (which a result does
    not repeat: its turns have them)."""

    median: float
    low: float
    high: float
    least: float
    most: float
    rounds: Annotated[tuple[float, ...], Field(exclude=True)]


class Finding(Noun):
    """One peer under one load. `added_ms` is its median latency less that of the teacher alone in the
    same round, `added_first_byte_ms` the same of the first byte; ratios are of requests a second."""

    scenario: str
    peer: str
    rate: Estimate
    p50_ms: Estimate
    p99_ms: Estimate
    added_ms: Estimate | None = None
    added_first_byte_ms: Estimate | None = None
    cpu_us_per_request: Estimate | None = None
    ours_is_times: Estimate | None = None
    """How many times this peer's requests a second ours are."""
    failed: int


class Goal(Noun):
    """What was wanted and what came of it. `met` is None where it was not measured."""

    goal: str
    wanted: str
    got: float | None
    interval: tuple[float, float] | None = None
    met: bool | None


def estimate(values: Sequence[float]) -> Estimate | None:
    """None of nothing. The bootstrap is of the median, by percentiles, with a fixed seed."""
    if not values:
        return None
    rounds = np.asarray(values, dtype=float)
    drawn = np.random.default_rng(0).choice(rounds, size=(RESAMPLES, len(rounds)))
    low, high = np.quantile(np.median(drawn, axis=1), (0.025, 0.975))

    def short(value: float) -> float:
        return float(f"{value:.5g}")

    return Estimate(
        median=short(float(np.median(rounds))),
        low=short(float(low)),
        high=short(float(high)),
        least=short(float(rounds.min())),
        most=short(float(rounds.max())),
        rounds=tuple(short(value) for value in values),
    )


def findings(turns: Iterable[Turn]) -> list[Finding]:
    """One for each load and peer; `turns` are those of the rounds that count."""
    by_scenario: dict[str, list[Turn]] = {}
    for turn in turns:
        by_scenario.setdefault(turn.scenario, []).append(turn)
    found = []
    for scenario, of_it in by_scenario.items():
        for peer in sorted({one.peer for turn in of_it for one in turn.measured}):
            finding = _finding(scenario, peer, of_it)
            if finding is not None:
                found.append(finding)
    return found


def _finding(scenario: str, peer: str, turns: Sequence[Turn]) -> Finding | None:
    pairs = [(one, turn) for turn in turns if (one := turn.of(peer)) and one.window.latency_ms]
    rate = estimate([one.window.rate for one, _ in pairs])
    p50 = estimate([_p50(one) for one, _ in pairs])
    p99 = estimate([one.window.latency_ms.p99 for one, _ in pairs if one.window.latency_ms])
    if rate is None or p50 is None or p99 is None:
        return None
    against = [(one, direct) for one, turn in pairs if (direct := turn.of("direct"))]
    ratios = [(one, ours) for one, turn in pairs if (ours := turn.of("ours"))]
    return Finding(
        scenario=scenario,
        peer=peer,
        rate=rate,
        p50_ms=p50,
        p99_ms=p99,
        added_ms=_added(peer, against, _p50),
        added_first_byte_ms=_added(peer, against, _first_byte),
        cpu_us_per_request=estimate(
            [one.cpu_s / one.window.requests * 1e6 for one, _ in pairs if one.cpu_s is not None]
        ),
        ours_is_times=estimate([ours.window.rate / one.window.rate for one, ours in ratios])
        if peer != "ours"
        else None,
        failed=sum(one.window.failed for turn in turns if (one := turn.of(peer))),
    )


def _added(
    peer: str,
    pairs: Sequence[tuple[Measured, Measured]],
    of: Callable[[Measured], float],
) -> Estimate | None:
    if peer == "direct":
        return None
    return estimate([of(one) - of(direct) for one, direct in pairs])


def _p50(one: Measured) -> float:
    return one.window.latency_ms.p50 if one.window.latency_ms else float("nan")


def _first_byte(one: Measured) -> float:
    return one.window.first_byte_ms.p50 if one.window.first_byte_ms else float("nan")


def goals(found: Sequence[Finding], every: Sequence[Turn], memory: Memory | None) -> list[Goal]:
    """What was promised of ours. `every` has all turns, also those for warming up: what was
    acknowledged in them must be on disk too."""

    def of(scenario: str, peer: str = "ours") -> Finding | None:
        return next((one for one in found if (one.scenario, one.peer) == (scenario, peer)), None)

    def part(finding: Finding | None, name: str) -> Estimate | None:
        return getattr(finding, name) if finding is not None else None

    ours = [one for turn in every for one in turn.measured if one.peer == "ours"]
    ours += [memory.open_streams] if memory is not None else []
    opened = memory.open_streams_mb if memory is not None else None
    unfinished = memory.open_streams.window.failed if memory is not None else None
    return [
        _at_least("requests/s, 32 clients", 6000, part(of("requests_32"), "rate")),
        _at_least(
            "times LiteLLM's requests/s, 32 clients",
            80,
            part(of("requests_32", "litellm"), "ours_is_times"),
        ),
        _at_least("streams/s, 32 clients", 2000, part(of("streams_32"), "rate")),
        _below("ms added (p50), 1 client", 0.6, part(of("requests_1"), "added_ms")),
        _below("ms added (p50), 1 client, 200 ms", 0.6, part(of("wait_1"), "added_ms")),
        _below("ms added (p50), 32 clients, 200 ms", 4.0, part(of("wait_32"), "added_ms")),
        _below(
            "ms added to the first byte (p50)", 1.0, part(of("first_byte_1"), "added_first_byte_ms")
        ),
        _single("MB with 1,000 open streams", 500, opened),
        _single("MB at rest", 100, memory.rest_mb if memory is not None else None),
        _none("open streams that did not end whole", unfinished),
        _none("requests of ours that failed", _sum(ours, lambda one: one.window.failed)),
        _none("acknowledged calls that are not in the store", _sum(ours, lambda one: one.missing)),
    ]


def _sum(measured: Sequence[Measured], count: Callable[[Measured], int]) -> int | None:
    return sum(map(count, measured)) if measured else None


def _at_least(goal: str, wanted: float, got: Estimate | None) -> Goal:
    met = got.median >= wanted if got is not None else None
    return _estimated(goal, f"at least {wanted:g}", got, met)


def _below(goal: str, wanted: float, got: Estimate | None) -> Goal:
    met = got.median < wanted if got is not None else None
    return _estimated(goal, f"under {wanted:g}", got, met)


def _estimated(goal: str, wanted: str, got: Estimate | None, met: bool | None) -> Goal:
    if got is None:
        return Goal(goal=goal, wanted=wanted, got=None, met=None)
    return Goal(goal=goal, wanted=wanted, got=got.median, interval=(got.low, got.high), met=met)


def _single(goal: str, wanted: float, got: float | None) -> Goal:
    met = got < wanted if got is not None else None
    return Goal(goal=goal, wanted=f"under {wanted:g}", got=got, met=met)


def _none(goal: str, got: int | None) -> Goal:
    return Goal(goal=goal, wanted="none", got=got, met=got == 0 if got is not None else None)
