from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from limbeck.curate.dataset import Dataset
from limbeck.distill.distill import student_name
from limbeck.distill.recipes.table import code_hash, load_recipe, recipe_settings, short_name
from limbeck.distill.settings import DistillSettings
from limbeck.errors import ConfigError
from limbeck.types import Ask, Example

FUNCTION = """
    from limbeck.types import Branch, Example, Part, Tree

    def shout(examples: list[Example]) -> list[Tree]:
        return [
            Tree(
                prompt=e.input,
                branches=(
                    Branch(
                        parts=(
                            Part(text="think", role="control", weight=0.0),
                            Part(text=(e.rationale or "").upper(), role="rationale"),
                            Part(text="answer", role="control"),
                            Part(text=e.answer, role="answer"),
                        )
                    ),
                ),
            )
            for e in examples
        ]
"""

MODULE = """
    from limbeck.distill.recipes.label import trees as plain
    from limbeck.types import Ask, Noun

    class Settings(Noun):
        times: int = 1

    def trees(examples, settings):
        return plain(examples, settings) * settings.times

    def ask(settings):
        return Ask(control="answer", order="answer", causal=False)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with two recipes of its own, as pip leaves it on disk."""
    folder = tmp_path / "site"
    (folder / "own_recipes").mkdir(parents=True)
    (folder / "own_recipes" / "__init__.py").write_text("")
    (folder / "own_recipes" / "loud.py").write_text(textwrap.dedent(FUNCTION))
    (folder / "own_recipes" / "twice.py").write_text(textwrap.dedent(MODULE))
    info = folder / "own_recipes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-recipes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[limbeck.recipes]\nloud = own_recipes.loud:shout\ntwice = own_recipes.twice\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    for name in ("own_recipes", "own_recipes.loud", "own_recipes.twice"):
        # Another test's package, which lay elsewhere, may be imported under the name.
        monkeypatch.delitem(sys.modules, name, raising=False)
    return folder


@pytest.fixture
def example(several: Example) -> Example:
    return several


def test_a_package_adds_recipes_by_entry_points(package: Path, example: Example) -> None:
    loud = load_recipe("loud")
    [tree] = loud.trees([example], recipe_settings(loud, {}))
    assert tree.branches[0].parts[1].text == "2 AND 3 MAKE 5."
    twice = load_recipe("twice")
    assert len(twice.trees([example], recipe_settings(twice, {"times": 2}))) == 2


def test_how_a_plain_function_is_asked_is_read_off_its_trees(package: Path) -> None:
    loud = load_recipe("own_recipes.loud:shout")
    asked = loud.ask(recipe_settings(loud, {}))
    assert asked == Ask(control="think", order="rationale_answer", causal=True)
    with pytest.raises(ConfigError, match="recipe setting 'times'"):
        recipe_settings(loud, {"times": 2})


def test_a_recipe_can_be_a_file(package: Path, example: Example) -> None:
    file = package / "own_recipes" / "loud.py"
    loud = load_recipe(f"{file}:shout")
    assert loud.trees([example], recipe_settings(loud, {}))[0].prompt == example.input
    assert short_name(f"{file}:shout") == "shout"
    assert short_name(str(package / "own_recipes" / "twice.py")) == "twice"
    twice = load_recipe(str(package / "own_recipes" / "twice.py"))
    assert twice.Settings().model_dump() == {"times": 1}


def test_a_changed_recipe_makes_another_student(package: Path, dataset: Dataset) -> None:
    file = package / "own_recipes" / "twice.py"

    def names() -> list[str]:
        found = [student_name(dataset, n, "nano", DistillSettings()) for n in (str(file), "twice")]
        assert all("-twice-s0-" in name for name in found)
        return found

    before = names()
    file.write_text(file.read_text() + "\n# Another thought.\n")
    assert not set(before) & set(names())
    assert code_hash("label") is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own_recipes.loud:whisper", "'own_recipes.loud' has no 'whisper'"),
        ("/no/such/file.py", "cannot be imported from '/no/such/file.py'"),
        ("own_recipes.loud", "lacks ['Settings', 'trees', 'ask']"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_one_sentence(package: Path, name: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe(name)
    assert said in str(caught.value)


def test_a_function_whose_answer_cannot_be_found_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mute.py"
    file.write_text(textwrap.dedent(FUNCTION).replace('role="answer"', 'role="rationale"'))
    mute = load_recipe(f"{file}:shout")
    with pytest.raises(ConfigError, match="wanted a control part first and an answer part"):
        mute.ask(recipe_settings(mute, {}))
