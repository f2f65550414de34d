from __future__ import annotations

from collections.abc import Callable

import pytest

from limbeck.evaluate.study.arms import StudyArm
from limbeck.evaluate.study.result import StudyResult

Concluded = Callable[..., StudyResult]
ARMS = (
    StudyArm(name="label", recipe="label"),
    StudyArm(name="multitask", recipe="multitask", against="label"),
    StudyArm(name="think-first", recipe="think-first", against="label"),
)


def test_an_arm_is_its_mean_over_all_seeds_which_are_shown(concluded: Concluded) -> None:
    found = concluded("recipes", ARMS, {"label": 0.5, "multitask": 0.5, "think-first": 0.8})
    arm = found.arm("think-first")
    assert arm.accuracy == pytest.approx(0.8, abs=0.01)
    assert [seed.seed for seed in arm.seeds] == [0, 1, 2]
    assert arm.interval.low < 0.8 < arm.interval.high
    assert found.seeds == (0, 1, 2)


def test_differences_are_paired_by_seed_and_item(concluded: Concluded) -> None:
    found = concluded("recipes", ARMS, {"label": 0.5, "multitask": 0.5, "think-first": 0.53})
    same, better = found.arm("multitask").versus, found.arm("think-first").versus
    assert same is not None
    assert better is not None
    # The seeds differ by an item among themselves, which pairing takes out whole.
    assert (same.difference, same.interval.low, same.interval.high) == (0, 0, 0)
    # Three points could not be seen by unpaired intervals of 200 items, which span thirteen.
    assert better.verdict == "better"
    assert found.arm("label").versus is None


def test_only_what_was_compared_can_be_asked_for(concluded: Concluded) -> None:
    found = concluded("recipes", ARMS, {"label": 0.5, "multitask": 0.5, "think-first": 0.8})
    assert found.pair("label", "label").difference == 0
    with pytest.raises(StopIteration):
        found.pair("multitask", "think-first")


def test_a_result_is_read_back_from_its_json(concluded: Concluded) -> None:
    found = concluded("recipes", ARMS, {"label": 0.5, "multitask": 0.4, "think-first": 0.8})
    assert StudyResult.model_validate_json(found.model_dump_json()) == found
