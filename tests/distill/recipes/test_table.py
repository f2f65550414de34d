from __future__ import annotations

from pathlib import Path

import pytest

import limbeck.distill.recipes
from limbeck.distill.recipes.table import (
    CONTROL,
    TABLE,
    load_recipe,
    recipe_settings,
    training_of,
)
from limbeck.errors import ConfigError
from limbeck.types import Example, Tree

EXAMPLE = Example(
    trace_id="a", input="Q", rationale="Because.", answer="yes", truth="yes", weight=2
)


def made(name: str, example: Example = EXAMPLE, **given: object) -> Tree:
    recipe = load_recipe(name)
    [tree] = recipe.trees([example], recipe_settings(recipe, given))
    return tree


def written(tree: Tree) -> list[list[tuple[str, str, float]]]:
    return [[(p.role, p.text, p.weight) for p in branch.parts] for branch in tree.branches]


def test_the_table_names_every_recipe_of_the_folder() -> None:
    [folder] = limbeck.distill.recipes.__path__
    files = {path.stem for path in Path(folder).glob("*.py")} - {"__init__", "table"}
    assert {module.rpartition(".")[2] for module in TABLE.values()} == files
    assert CONTROL in TABLE


@pytest.mark.parametrize("name", TABLE)
def test_every_recipe_keeps_the_input_the_weight_and_the_order_of_the_examples(name: str) -> None:
    tree = made(name)
    assert (tree.prompt, tree.weight) == ("Q", 2.0)
    for branch in tree.branches:
        assert branch.parts[0].role == "control"
        assert branch.parts[0].weight == 0.0


@pytest.mark.parametrize("name", TABLE)
def test_without_a_rationale_every_recipe_teaches_the_answer_alone(name: str) -> None:
    bare = EXAMPLE.model_copy(update={"rationale": None})
    roles = [[role for role, _, _ in branch] for branch in written(made(name, bare))]
    assert roles == [["control", "answer"]]


def test_the_control_never_sees_a_rationale() -> None:
    assert written(made("label")) == [[("control", "answer", 0.0), ("answer", "yes", 1.0)]]


def test_multitask_weighs_two_branches_of_one_prompt() -> None:
    assert written(made("multitask", alpha=0.25)) == [
        [("control", "answer", 0.0), ("answer", "yes", 0.25)],
        [("control", "think", 0.0), ("rationale", "Because.", 0.75)],
    ]


def test_think_first_learns_to_turn_to_the_answer() -> None:
    assert written(made("think-first", answer_weight=2)) == [
        [
            ("control", "think", 0.0),
            ("rationale", "Because.", 1.0),
            ("control", "answer", 2.0),
            ("answer", "yes", 2.0),
        ]
    ]


def test_answer_first_puts_the_rationale_after_the_answer() -> None:
    roles = [role for role, _, _ in written(made("answer-first"))[0]]
    assert roles == ["control", "answer", "control", "rationale"]


def test_only_a_rationale_before_the_answer_can_have_caused_it() -> None:
    causal = {}
    for name in TABLE:
        recipe = load_recipe(name)
        ask = recipe.ask(recipe_settings(recipe, {}))
        causal[name] = ask.causal
        assert ask.causal == (ask.order == "rationale_answer")
    never = ["label", "multitask", "answer-first", "adaptive"]
    assert [name for name, is_causal in causal.items() if not is_causal] == never


def test_multitask_may_be_weighed_as_the_paper_writes_it() -> None:
    weights = [branch[1][2] for branch in written(made("multitask", lam=3))]
    assert weights == [1.0, 3.0]
    # The same mixture up to a factor: alpha = 1 / (1 + lambda).
    as_alpha = [branch[1][2] for branch in written(made("multitask", alpha=0.25))]
    assert as_alpha == [weight / 4 for weight in weights]
    with pytest.raises(ConfigError, match="alpha and lam are both given"):
        made("multitask", alpha=0.25, lam=3)


def test_recipes_of_several_trainings_name_a_function_that_runs_them() -> None:
    several = [name for name in TABLE if training_of(load_recipe(name)) is not None]
    assert several == ["adaptive", "socratic", "bootstrap", "on-policy"]


def test_a_recipe_can_be_named_by_its_module() -> None:
    assert load_recipe("limbeck.distill.recipes.label") is load_recipe("label")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("labl", "there is no recipe 'labl'; wanted one of ['adaptive', 'answer-first'"),
        ("no.such.module", "the recipe 'no.such.module' cannot be imported"),
        ("limbeck.types", "lacks ['Settings', 'trees', 'ask']"),
    ],
)
def test_a_recipe_that_is_none_is_one_sentence(name: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe(name)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", TABLE)
def test_the_page_of_recipes_has_every_one(name: str) -> None:
    page = (Path(__file__).parents[3] / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert f"| `{name}` |" in page
    headings = [line for line in page.splitlines() if line.startswith("## ")]
    assert any(f"`{name}`" in heading for heading in headings)
    settings = load_recipe(name).Settings.model_fields
    assert [key for key in settings if f"`{key}`" not in page] == []
