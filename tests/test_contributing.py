"""What CONTRIBUTING.md shows works as it stands there, in under ten lines each."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from limbeck.capture.importer import import_rows
from limbeck.capture.reply import reread
from limbeck.curate.checks import table as checks
from limbeck.curate.frame import read_frame
from limbeck.distill.recipes import table as recipes
from limbeck.distill.recipes.table import load_recipe, recipe_settings
from limbeck.store.store import Store
from limbeck.types import AnswerForm, Example, Provenance, Rationale, Task, Trace
from limbeck.verify import table as judges
from limbeck.workspace import Workspace

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def block(fence: str) -> str:
    [found] = re.findall(rf"^```{fence}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The path of a module with the example whose name the test has as its parameter."""
    package = tmp_path / f"my_{request.param}"
    package.mkdir()
    (package / "example.py").write_text(block(f"python {request.param}"), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return f"{package.name}.example"


def of(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("example", [name], indirect=True)


@pytest.mark.parametrize("name", ["recipe", "verifier", "importer", "check"])
def test_an_example_has_fewer_than_ten_lines(name: str) -> None:
    body = [
        node
        for node in ast.parse(block(f"python {name}")).body
        if not isinstance(node, ast.Import | ast.ImportFrom | ast.Assign)
    ]
    lines = {n for node in body for n in range(node.lineno, (node.end_lineno or 0) + 1)}
    source = block(f"python {name}").splitlines()
    assert len([n for n in lines if source[n - 1].strip()]) < 10


@of("recipe")
def test_the_recipe_makes_the_targets_that_it_says(example: str) -> None:
    recipe = load_recipe(example)
    given = Example(trace_id="t", input="q", rationale="One.\nTwo.", answer="a", truth="a")
    bare = given.model_copy(update={"rationale": None})
    settings = recipe_settings(recipe, {"rationale_weight": 0.5})
    full, short = recipe.trees([given, bare], settings)
    parts = full.branches[0].parts
    assert [part.text for part in parts if part.role in ("rationale", "answer")] == ["Two.", "a"]
    assert [part.text for part in short.branches[0].parts if part.role != "control"] == ["a"]
    assert recipe.ask(settings).order == "rationale_answer"


@of("recipe")
def test_a_package_can_name_its_recipe(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    [(group, points)] = tomllib.loads(block("toml pyproject"))["project"]["entry-points"].items()
    [name] = points
    asked: list[str] = []

    class Point:
        value = example

        def __init__(self, name: str) -> None:
            self.name = name

    def entry_points(*, group: str) -> list[Point]:
        asked.append(group)
        return [Point(name)]

    monkeypatch.setattr(recipes, "entry_points", entry_points)
    assert load_recipe(name) is importlib.import_module(example)
    assert asked == [group]


@of("verifier")
def test_the_verifier_judges_a_task(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(judges.JUDGES, "text", example)
    task = Task(name="parts", answer=AnswerForm(kind="text"))
    assert judges.normalize(task, " ab-12 ") == "AB12"
    assert judges.normalize(task, "--") is None
    assert judges.judge(task, "ab 12", "AB-12").score == 1.0
    assert judges.judge(task, "AB-13", "AB-12").score == 0.0


def test_the_mapping_reads_rows_of_its_shape(workspace: Workspace) -> None:
    path = workspace.tasks_folder / "sums.toml"
    path.write_text(block("toml task"), encoding="utf-8")
    rows = workspace.root / "rows.jsonl"
    rows.write_text(
        '{"request": 1, "question": "2 and 3?", "units": "m", "checked": {"value": 5},'
        ' "choices": [{"message": {"content": "2 + 3 = 5\\nAnswer: 5"}}]}\n'
        '{"request": 2, "question": "1 and 1?", "units": "m", "checked": {},'
        ' "choices": [{"message": {"content": "1 + 1 = 2\\nAnswer: 2"}}]}\n',
        encoding="utf-8",
    )
    with Store(workspace.store_url) as store:
        result = import_rows(store, workspace.task("sums"), rows)
        task = workspace.task("sums")
        read = sorted((t.input, reread(task, t).answer) for t in store.traces("sums"))
    assert (result.added, result.outcomes) == (2, 1)
    assert read == [("1 and 1?\nUnits: m", "2"), ("2 and 3?\nUnits: m", "5")]


@of("importer")
def test_the_importer_keeps_what_it_reads(example: str, workspace: Workspace) -> None:
    module: ModuleType = importlib.import_module(example)
    task = Task(name="sums", answer=AnswerForm(kind="number"))
    path = workspace.root / "calls.csv"
    path.write_text('question,reply\n2 and 3?,"It is 5.\nAnswer: 5"\n', encoding="utf-8")
    with Store(workspace.store_url) as store:
        assert module.import_csv(store, task, path) == 1
        assert module.import_csv(store, task, path) == 0
        [found] = store.traces("sums")
    trace = reread(task, found)
    assert (trace.answer, trace.rationale) == ("5", Rationale(text="It is 5."))


@of("check")
def test_the_check_finds_what_it_looks_for(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(checks.CHECKS, "guess", example)
    task = Task(name="sums", answer=AnswerForm(kind="number"))
    chains = ["I am not sure, but 5.", "2 + 3 = 5.", None]
    traces = [
        Trace(
            task="sums",
            input=f"{number}",
            rationale=None if chain is None else Rationale(text=chain),
            answer="5",
            provenance=Provenance(source="import"),
        )
        for number, chain in enumerate(chains)
    ]
    frame = read_frame(traces, {}, task).sort("input")
    found = checks.load("guess").run(frame, task)
    assert found["verdict"].to_list() == [False, True, True]
    assert found["evidence"].to_list() == ["it says 'i am not sure'", None, None]
    other = checks.load("guess", {"phrase": "2 + 3"}).run(frame, task)
    assert other["verdict"].to_list() == [True, False, True]
    assert isinstance(other, pl.DataFrame)
