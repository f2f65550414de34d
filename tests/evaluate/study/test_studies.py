"""The studies whose arms need few words: what they compare and what they say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from limbeck.curate.dataset import Dataset
from limbeck.errors import ConfigError, DatasetError, UsageError
from limbeck.evaluate.study.arms import Cut, StudyArm
from limbeck.evaluate.study.findings import limits, unlearned
from limbeck.evaluate.study.result import StudyResult
from limbeck.evaluate.study.table import load_study, study_settings

Arms = Callable[..., tuple[StudyArm, ...]]
Concluded = Callable[..., StudyResult]


def test_the_control_is_always_among_the_recipes(arms_of: Arms) -> None:
    arms = arms_of("recipes", recipes=("think-first",))
    assert [(arm.name, arm.against) for arm in arms] == [("label", None), ("think-first", "label")]
    with pytest.raises(ConfigError, match="no recipe 'thinkfirst'"):
        arms_of("recipes", recipes=("thinkfirst",))


def test_an_arm_may_have_settings_of_its_recipe(arms_of: Arms) -> None:
    arms = arms_of("recipes", recipes=("multitask+alpha=0.30", "outline+rate=0.5+answer_weight=2"))
    assert [(arm.recipe, arm.recipe_given) for arm in arms[1:]] == [
        ("multitask", {"alpha": 0.3}),
        ("outline", {"rate": 0.5, "answer_weight": 2.0}),
    ]
    with pytest.raises(UsageError, match=r"'multitask\+alpha' is no NAME\+KEY=VALUE"):
        arms_of("recipes", recipes=("multitask+alpha",))
    with pytest.raises(ConfigError, match=r"'beta'.*known: .*'alpha'"):
        arms_of("recipes", recipes=("multitask+beta=1",))


def test_a_learning_curve_belongs_to_a_recipe_with_its_settings(arms_of: Arms) -> None:
    two = ("multitask", "multitask+alpha=0.3")
    arms = arms_of("sample-efficiency", recipes=two, sizes=(20, 40))
    pairs = load_study("sample-efficiency").pairs(arms)
    for name in two:
        assert (f"{name}, 40 inputs", f"{name}, 20 inputs") in pairs


def test_where_no_recipe_helps_the_control_is_preferred(
    arms_of: Arms, concluded: Concluded
) -> None:
    arms = arms_of("recipes", recipes=("think-first", "multitask"))
    found = concluded("recipes", arms, {"label": 0.7, "think-first": 0.5, "multitask": 0.7})
    assert found.shown[0].startswith("No recipe is seen to beat the label-only control here.")
    assert found.shown[1].startswith("think-first is worse than label: -20.0 points")
    assert found.shown[2].startswith("multitask is level with label to within 3%")
    found = concluded("recipes", arms, {"label": 0.5, "think-first": 0.8, "multitask": 0.6})
    assert found.shown[0].startswith("Chains help on this task: think-first is right on 80.0%")


def test_quality_needs_something_that_was_dropped(arms_of: Arms) -> None:
    with pytest.raises(DatasetError, match=r"dropped .* replies .* wanted 20 or more"):
        arms_of("quality")


def test_quality_shares_out_one_pool(arms_of: Arms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("limbeck.evaluate.study.quality.FEWEST", 1)
    checked, half, unchecked, everything = arms_of("quality")
    assert checked.cut == Cut()
    assert half.cut.inputs is not None
    assert (unchecked.cut.pool, everything.cut.pool) == ("unchecked", "everything")
    assert {half.against, unchecked.against, everything.against} == {checked.name}


def test_samples_need_several_chains_of_an_input(arms_of: Arms) -> None:
    with pytest.raises(DatasetError, match=r"no input .* has more than one chain.*per_input = 8"):
        arms_of("samples")


def test_samplers_need_more_chains_than_the_budget(arms_of: Arms) -> None:
    with pytest.raises(
        DatasetError, match=r"no input .* more than 1 chains, so that a budget of 2"
    ):
        arms_of("samplers")
    with pytest.raises(UsageError, match="no sampler 'luck'; wanted one of random, diverse"):
        arms_of("samplers", samplers=("luck",))


def test_a_random_choice_is_always_among_the_samplers(
    several: Dataset, concluded: Concluded
) -> None:
    study = load_study("samplers")
    arms = study.arms(several, study_settings("samplers", {"samplers": ("diverse",)}), "nano")
    assert [(arm.name, arm.against) for arm in arms] == [
        ("label", None),
        ("random", "label"),
        ("diverse", "random"),
        ("all chains", "random"),
    ]
    shares = {"label": 0.5, "random": 0.7, "diverse": 0.7, "all chains": 0.7}
    found = concluded("samplers", arms, shares)
    assert found.shown[0].startswith("No way of choosing is seen to beat a random choice")
    found = concluded("samplers", arms, {**shares, "diverse": 0.9})
    assert found.shown[0].startswith(
        "Which chains are kept matters here: diverse is right on 90.0%"
    )


def test_chains_grow_longer(arms_of: Arms, concluded: Concluded) -> None:
    arms = arms_of("chains", long=(1, 0, 0.2))
    assert [(arm.name, arm.against) for arm in arms] == [
        ("label", None),
        ("short chains only", "label"),
        ("20% long chains", "short chains only"),
        ("long chains only", "short chains only"),
    ]
    shares = (0.5, 0.7, 0.7, 0.6)
    found = concluded("chains", arms, {a.name: s for a, s in zip(arms, shares, strict=True)})
    assert found.shown[-1].startswith("short chains only did best (70.0%)")


def test_adapters_need_weights_that_were_trained(arms_of: Arms) -> None:
    with pytest.raises(UsageError, match="'nano' starts from scratch"):
        arms_of("lora")
    arms = arms_of("lora", base="some/model", ranks=(16, 4))
    assert [arm.name for arm in arms] == [
        "label",
        "all weights",
        "adapters of rank 4",
        "adapters of rank 16",
    ]


def test_students_that_learned_nothing_say_nothing(arms_of: Arms, concluded: Concluded) -> None:
    arms = arms_of("recipes", recipes=("think-first",))
    poor = concluded("recipes", arms, {"label": 0.3, "think-first": 0.4})
    assert "have not learned the task" in unlearned(poor.model_copy(update={"majority": 0.4}))[0]
    assert unlearned(poor.model_copy(update={"majority": 0.3})) == []


def test_limits_name_chance_and_simulation(arms_of: Arms, concluded: Concluded) -> None:
    arms = arms_of("recipes", recipes=("think-first", "multitask"))
    said = limits(concluded("recipes", arms, {"label": 0.5, "think-first": 0.6, "multitask": 0.6}))
    assert said[0].startswith("The traces are simulated.")
    assert said[1].startswith("There are 2 comparisons at 95% each")
