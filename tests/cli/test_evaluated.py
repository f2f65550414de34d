from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from rich.console import Console

from limbeck.cli.evaluated import show
from limbeck.evaluate.calibration import CalibrationSuite, reliability
from limbeck.evaluate.intervals import Interval
from limbeck.evaluate.result import Result
from limbeck.evaluate.shifted.shifted import Drop, ShiftedSuite

NAME = "a-task-with-a-long-name-think-first-s0-93433c77"


def drop(name: str) -> Drop:
    return Drop(
        name=name,
        meaning="Something is changed.",
        n=300,
        before=0.888,
        after=0.597,
        after_interval=Interval(low=0.54, high=0.651),
        drop=-0.292,
        interval=Interval(low=-0.354, high=-0.229),
        paired=False,
        p_value=None,
    )


@pytest.fixture
def result() -> Result:
    right = np.random.default_rng(0).random(200) < 0.8
    one = reliability("its own likelihood", np.full(200, 0.9), right)
    return Result(
        version="0",
        command="limbeck evaluate",
        task="refunds",
        dataset="sha256:d",
        split="test",
        n=200,
        simulated=True,
        subjects=(),
        shifted=(
            ShiftedSuite(
                student=NAME,
                n=200,
                before=0.888,
                drops=(drop("reordered"), drop("generated: a-shift-of-a-very-long-name-indeed")),
                guess=None,
                overfit=None,
                left_out={"renamed": 3},
                findings=("It loses most under 'reordered'.",),
            ),
        ),
        calibration=(
            CalibrationSuite(
                student=NAME, n=200, accuracy=0.8, reliabilities=(one,), findings=("It is off.",)
            ),
        ),
    )


@pytest.fixture
def shown(result: Result, capsys: pytest.CaptureFixture[str]) -> Callable[[int], list[str]]:
    def at(width: int) -> list[str]:
        show(Console(width=width), result)
        return capsys.readouterr().out.splitlines()

    return at


@pytest.mark.parametrize("width", [30, 80, 200])
def test_no_number_is_cut_or_wrapped_on_any_terminal(
    shown: Callable[[int], list[str]], width: int
) -> None:
    lines = shown(width)
    [row] = [line for line in lines if line.startswith("generated: a-shift")]
    assert row.split("  ")[-1].strip() == "-29.2 [-35.4, -22.9]"
    assert "59.7% [54.0, 65.1]" in row
    assert not any("…" in line for line in lines)


def test_every_suite_says_whose_it_is_and_what_was_left_out(
    shown: Callable[[int], list[str]],
) -> None:
    lines = shown(80)
    assert sum(line.startswith(NAME) for line in lines) == 2
    assert "too few items that can be changed so  renamed (3)" in lines
    [row] = [line for line in lines if line.startswith("its own likelihood")]
    assert "[" in row
    assert lines[-1] == "- It is off."
