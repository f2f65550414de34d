import pytest

from traffic.findings import Goal, estimate, findings, goals
from traffic.rounds import Measured, Memory, Turn
from traffic.window import Spread, Window


def _window(rate: float, p50: float = 1.0, failed: int = 0) -> Window:
    times = Spread(mean=p50, p50=p50, p90=p50, p99=2 * p50, max=3 * p50)
    return Window(
        requests=round(rate),
        failed=failed,
        reasons={},
        seconds=1.0,
        rate=rate,
        latency_ms=times,
        first_byte_ms=times,
    )


def _measured(peer: str, rate: float, p50: float = 1.0, lost: int = 0) -> Measured:
    window = _window(rate, p50)
    stored = window.requests - lost if peer == "ours" else None
    return Measured(peer=peer, dialect="messages", window=window, cpu_s=0.5, stored=stored)


def _turn(number: int, *measured: Measured, scenario: str = "requests_32") -> Turn:
    return Turn(scenario=scenario, round=number, measured=measured)


def _goal(reached: list[Goal], named: str) -> Goal:
    return next(one for one in reached if one.goal == named)


def test_an_estimate_is_the_median_with_an_interval_inside_the_range() -> None:
    found = estimate([5.0, 1.0, 3.0, 2.0, 4.0])
    assert found is not None
    assert found.median == 3.0
    assert (found.least, found.most) == (1.0, 5.0)
    assert found.least <= found.low <= found.median <= found.high <= found.most
    assert found.rounds == (5.0, 1.0, 3.0, 2.0, 4.0)
    assert estimate([]) is None


def test_ratios_and_added_times_are_taken_within_a_round() -> None:
    turns = [
        _turn(1, _measured("direct", 100, 1.0), _measured("ours", 80, 3.0)),
        _turn(2, _measured("direct", 1000, 2.0), _measured("ours", 100, 5.0)),
    ]
    found = {one.peer: one for one in findings(turns)}
    ratio, added = found["direct"].ours_is_times, found["ours"].added_ms
    assert ratio is not None
    assert ratio.rounds == (0.8, 0.1)
    assert added is not None
    assert added.rounds == (2.0, 3.0)
    assert found["direct"].added_ms is None
    assert found["ours"].ours_is_times is None


def test_processor_time_is_spread_over_the_requests() -> None:
    (found,) = findings([_turn(1, _measured("ours", 1000))])
    assert found.cpu_us_per_request is not None
    assert found.cpu_us_per_request.median == 500.0


def test_a_peer_that_gave_no_right_answer_has_no_finding() -> None:
    empty = Window(requests=0, failed=3, reasons={"status 500": 3}, seconds=1.0, rate=0.0)
    turns = [_turn(1, Measured(peer="litellm", dialect="chat", window=empty))]
    assert findings(turns) == []


@pytest.mark.parametrize(("rate", "met"), [(6000.0, True), (5999.0, False)])
def test_a_goal_is_held_against_the_median(rate: float, met: bool) -> None:
    turns = [_turn(1, _measured("ours", rate), _measured("litellm", 75))]
    reached = goals(findings(turns), turns, None)
    goal = _goal(reached, "requests/s, 32 clients")
    assert (goal.got, goal.met) == (rate, met)
    assert _goal(reached, "times LiteLLM's requests/s, 32 clients").met is met


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    reached = goals([], [], None)
    assert {goal.met for goal in reached} == {None}


def test_an_acknowledged_call_that_is_not_in_the_store_fails_the_goal_in_any_round() -> None:
    turns = [_turn(0, _measured("ours", 100, lost=1)), _turn(1, _measured("ours", 100))]
    kept = [turn for turn in turns if turn.round]
    goal = _goal(goals(findings(kept), turns, None), "acknowledged calls that are not in the store")
    assert (goal.got, goal.met) == (1, False)


def test_open_streams_count_their_memory_and_those_that_broke() -> None:
    opened = Measured(peer="ours", dialect="messages", window=_window(998, failed=2), stored=998)
    memory = Memory(rest_mb=90, after_load_mb=120, open_streams_mb=501, open_streams=opened)
    reached = goals([], [], memory)
    assert _goal(reached, "MB with 1,000 open streams").met is False
    assert _goal(reached, "MB at rest").met is True
    assert _goal(reached, "open streams that did not end whole").got == 2
