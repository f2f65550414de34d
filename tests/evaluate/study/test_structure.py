from __future__ import annotations

from collections.abc import Callable

import pytest

from limbeck.distill.perturb import Perturbation
from limbeck.errors import UsageError
from limbeck.evaluate.study.arms import StudyArm
from limbeck.evaluate.study.result import StudyResult

Arms = Callable[..., tuple[StudyArm, ...]]
Concluded = Callable[..., StudyResult]


def test_each_kind_and_dose_is_held_against_clean_chains(arms_of: Arms) -> None:
    control, clean, *spoiled = arms_of("structure", kinds=("digits", "shuffle"), doses=(1.0, 0.5))
    assert (control.recipe, control.x, clean.x, clean.against) == ("label", None, 0.0, "label")
    assert [(arm.name, arm.x, arm.against) for arm in spoiled] == [
        ("digits 50%", 0.5, "think-first"),
        ("digits 100%", 1.0, "think-first"),
        ("shuffle 50%", 0.5, "think-first"),
        ("shuffle 100%", 1.0, "think-first"),
    ]
    assert spoiled[0].perturbation == Perturbation(kind="digits", dose=0.5)


def test_the_dose_from_which_it_hurts_is_named(arms_of: Arms, concluded: Concluded) -> None:
    arms = arms_of("structure", kinds=("digits", "shuffle"))
    shares = (0.5, 0.8, 0.8, 0.8, 0.6, 0.4)
    found = concluded("structure", arms, {a.name: s for a, s in zip(arms, shares, strict=True)})
    clean, digits, shuffle = found.shown
    assert clean.startswith("think-first is better than label: +30.0 points")
    assert digits.startswith("digits does not hurt, even at 100%: +0.0 points")
    assert shuffle.startswith("shuffle hurts from a dose of 50%: -20.0 points")
    assert "at 100% it is then worse than no chain at all (-10.0 points" in shuffle


def test_the_control_has_no_chain_to_spoil(arms_of: Arms) -> None:
    with pytest.raises(UsageError, match="learns from no chain"):
        arms_of("structure", recipe="label")
