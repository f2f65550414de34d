from __future__ import annotations

from pathlib import Path

import pytest

from limbeck.errors import UsageError
from limbeck.evaluate.study import table
from limbeck.evaluate.study.table import TABLE, load_study, study_settings

PARTS = {"__init__", "arms", "data", "estimate", "findings", "result", "run", "table"}


def test_the_table_and_the_folder_agree() -> None:
    there = {file.stem for file in Path(table.__file__).parent.glob("*.py")} - PARTS
    assert {module.rsplit(".", 1)[-1] for module in TABLE.values()} == there
    for name, module in TABLE.items():
        assert name.replace("-", "_") == module.rsplit(".", 1)[-1]


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_study_has_a_question_and_defaults(name: str) -> None:
    study = load_study(name)
    assert study.QUESTION.endswith("?")
    study_settings(name, {})


def test_an_unknown_study_names_those_that_exist() -> None:
    with pytest.raises(UsageError, match="no study 'recipe'; wanted one of recipes, sample-eff"):
        load_study("recipe")


@pytest.mark.parametrize(
    ("name", "given", "wanted"),
    [
        (
            "sample-efficiency",
            {"sizes": "10,x"},
            "--with 'sizes' .*valid integer.*known: recipes, sizes",
        ),
        ("sample-efficiency", {"size": "10"}, "--with 'size' .*known: recipes, sizes"),
        ("structure", {"doses": "0.5,2"}, "--with 'doses' .*less than or equal to 1"),
        ("structure", {"kinds": "spelling"}, "--with 'kinds' .*'digits'"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_wanted(
    name: str, given: dict[str, str], wanted: str
) -> None:
    with pytest.raises(UsageError, match=wanted):
        study_settings(name, given)


def test_several_values_are_given_with_commas() -> None:
    found = study_settings("structure", {"kinds": "digits, shuffle", "doses": "0.25,1"})
    assert found.model_dump() == {
        "recipe": "think-first",
        "kinds": ("digits", "shuffle"),
        "doses": (0.25, 1.0),
    }
