from __future__ import annotations

from collections.abc import Callable

import pytest

from limbeck.errors import UsageError
from limbeck.evaluate.study.arms import StudyArm
from limbeck.evaluate.study.result import StudyResult

Arms = Callable[..., tuple[StudyArm, ...]]
Concluded = Callable[..., StudyResult]


@pytest.fixture
def arms(arms_of: Arms) -> tuple[StudyArm, ...]:
    return arms_of("sample-efficiency", sizes=(18, 36, 72))


def test_every_recipe_is_held_against_the_control_of_its_size(arms: tuple[StudyArm, ...]) -> None:
    assert [(arm.name, arm.against) for arm in arms] == [
        ("label, 18 inputs", None),
        ("label, 36 inputs", None),
        ("label, 72 inputs", None),
        ("think-first, 18 inputs", "label, 18 inputs"),
        ("think-first, 36 inputs", "label, 36 inputs"),
        ("think-first, 72 inputs", "label, 72 inputs"),
    ]
    assert [arm.cut.inputs for arm in arms] == [18, 36, 72, 18, 36, 72]


def test_without_sizes_all_of_the_data_is_halved(arms_of: Arms) -> None:
    sizes = [arm.x for arm in arms_of("sample-efficiency") if arm.recipe == "label"]
    assert len(sizes) >= 2
    assert [small * 2 for small in sizes[:-1] if small] == pytest.approx(sizes[1:], abs=1)


def test_one_size_is_no_curve(arms_of: Arms) -> None:
    with pytest.raises(UsageError, match=r"needs two sizes or more and has \[50\]"):
        arms_of("sample-efficiency", sizes=(50, 50))


def test_the_smallest_size_that_reaches_the_full_control_is_named(
    arms: tuple[StudyArm, ...], concluded: Concluded
) -> None:
    shares = (0.4, 0.6, 0.7, 0.5, 0.7, 0.9)
    found = concluded(
        "sample-efficiency", arms, {arm.name: s for arm, s in zip(arms, shares, strict=True)}
    )
    assert found.shown[0].startswith(
        "With 36 inputs, 50% of the data, think-first is level with the label-only control that has "
        "all 72"
    )
    assert "think-first, 18 inputs is better than label, 18 inputs: +10.0 points" in found.shown[1]
    assert any("label still gains from more data from 36 to 72" in said for said in found.shown)


def test_a_recipe_that_never_reaches_it_is_said_so(
    arms: tuple[StudyArm, ...], concluded: Concluded
) -> None:
    shares = (0.4, 0.6, 0.7, 0.3, 0.4, 0.4)
    found = concluded(
        "sample-efficiency", arms, {arm.name: s for arm, s in zip(arms, shares, strict=True)}
    )
    assert found.shown[0] == (
        "At no size is think-first seen to reach what the label-only control does with all 72 inputs "
        "(70.0%)."
    )
    assert any("think-first is not seen to gain from 36 to 72" in said for said in found.shown)
