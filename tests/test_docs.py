"""The documents say what is so: links resolve, commands parse, settings load, code runs."""

from __future__ import annotations

import json
import math
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from limbeck.capture.importer import import_rows
from limbeck.capture.reply import reread
from limbeck.cli.app import VERBS, load
from limbeck.curate.settings import resolve_settings
from limbeck.distill.recipes.table import TABLE as RECIPES
from limbeck.distill.settings import DistillSettings
from limbeck.serve.settings import GatewaySettings
from limbeck.store.store import Store
from limbeck.types import AnswerForm, Task
from limbeck.workspace import Settings, Workspace

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md"))
    if "limbeck-demo" not in path.parts[-2]
)
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_COMMAND = re.compile(r"^(?:\$ )?(?:\S*/)?limbeck\s+(.*)$")


def blocks(page: str, language: str) -> list[tuple[str, str]]:
    """The fenced blocks of a language: what else stands on the fence, and the text."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [(info.split(), body) for info, body in _BLOCK.findall(text)]
    return [(" ".join(info[1:]), body) for info, body in found if info[:1] == [language]]


def prose(page: str) -> str:
    return _BLOCK.sub("", (ROOT / page).read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = _HEADING.findall(_BLOCK.sub("", path.read_text(encoding="utf-8")))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def commands(page: str) -> Iterator[str]:
    """Every command line of `limbeck`: those in shell blocks, and those in running text."""
    for _, body in blocks(page, "sh"):
        for line in body.replace("\\\n", " ").splitlines():
            found = _COMMAND.match(line.strip())
            if found:
                yield found[1]
    for span in re.findall(r"`([^`]+)`", prose(page)):
        found = _COMMAND.match(span)
        if found:
            yield found[1]


LINES = sorted({(page, line) for page in NAMES for line in commands(page)})


def test_there_are_pages_and_commands_to_look_at() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/index.md", "examples/README.md"} <= set(NAMES)
    assert len(LINES) > 20


@pytest.mark.parametrize("page", NAMES)
def test_a_link_leads_to_a_file_and_to_a_heading_in_it(page: str) -> None:
    for groups in _LINK.findall(prose(page)):
        target = "".join(groups)
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), f"{page} links to {target!r}, which is not there"
        assert path.resolve().is_relative_to(ROOT), (
            f"{page} links out of the repository: {target!r}"
        )
        if anchor:
            assert anchor in anchors(path), f"{page} links to {target!r}: no such heading"


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = [path.name for path in (ROOT / "docs").glob("*.md") if path.name != "index.md"]
    assert [name for name in pages if f"({name})" not in index] == []


@pytest.mark.parametrize(("page", "line"), LINES)
def test_a_command_line_is_one_that_limbeck_takes(page: str, line: str) -> None:
    verb, *arguments = shlex.split(line, comments=True)
    if verb in ("--version", "--help"):
        return
    assert verb in VERBS, f"{page}: there is no verb {verb!r}"
    command = load(verb)
    if line.strip() == verb or arguments == ["--set"] or arguments == ["--recipe-set"]:
        # A verb, or an option, that is only named.
        return
    context = command.make_context(verb, list(arguments))
    _recipes_exist(context.params.get("recipe"))


def _recipes_exist(named: Any) -> None:
    for recipe in named or ():
        assert recipe in RECIPES or "." in recipe, f"there is no recipe {recipe!r}"


@pytest.mark.parametrize("page", NAMES)
def test_a_make_target_is_one_that_the_makefile_has(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    shell = "\n".join(body for _, body in blocks(page, "sh"))
    spans = re.findall(r"`make ([a-z-]+)`", prose(page))
    named = {*spans, *re.findall(r"^make ([a-z-]+)", shell, re.MULTILINE)}
    assert named <= targets


@pytest.mark.parametrize("page", NAMES)
def test_a_toml_block_loads_as_what_it_says_it_is(page: str) -> None:
    for kind, body in blocks(page, "toml"):
        values = tomllib.loads(body)
        if kind == "task":
            Task.model_validate({"name": "a-task", **values})
        elif kind == "settings":
            given = Settings.model_validate(values)
            GatewaySettings.model_validate(given.gateway)
            DistillSettings.model_validate(given.distill)
            resolve_settings(Task(name="a", answer=AnswerForm(kind="number")), given.curate)
        else:
            assert kind == "pyproject", f"{page}: a TOML block must say task, settings or pyproject"


@pytest.mark.parametrize("page", NAMES)
def test_a_python_block_compiles_and_a_runnable_one_runs(page: str) -> None:
    for kind, body in blocks(page, "python"):
        code = compile(body, page, "exec")
        if kind == "runnable":
            exec(code, {"__name__": "example"})  # the documents are ours


def test_there_is_code_that_runs_and_settings_that_load() -> None:
    kinds = {kind for page in NAMES for kind, _ in (*blocks(page, "toml"), *blocks(page, "python"))}
    assert {"task", "settings", "runnable"} <= kinds


def test_the_rows_of_the_guide_are_read_by_its_task_file(workspace: Workspace) -> None:
    page = "docs/your-own-task.md"
    [(_, toml), _] = blocks(page, "toml")
    [(_, rows)] = blocks(page, "json")
    (workspace.tasks_folder / "triage.toml").write_text(toml, encoding="utf-8")
    calls = workspace.root / "calls.jsonl"
    calls.write_text(rows, encoding="utf-8")
    with Store(workspace.store_url) as store:
        result = import_rows(store, workspace.task("triage"), calls)
        task = workspace.task("triage")
        traces = [reread(task, trace) for trace in store.traces("triage")]
        read = {trace.provenance.row: trace for trace in traces}
    assert (result.added, result.outcomes) == (2, 1)
    assert [read[row].answer for row in ("4711", "4712")] == ["billing", "bug"]
    assert [json.loads(line)["number"] for line in rows.splitlines()] == [4711, 4712]
    assert all(trace.rationale is not None for trace in read.values())


def test_the_smallest_number_of_calls_for_a_promise_is_as_the_limits_say() -> None:
    # With n calls and no error the p-value is (1 − α)^n, which must not exceed δ.
    smallest = math.ceil(math.log(0.05) / math.log(0.95))
    assert f"even a student without a single error needs {smallest}\n" in (
        ROOT / "docs" / "limits.md"
    ).read_text("utf-8")


def test_every_dependency_is_explained_and_nothing_else_is() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    wanted = {re.split(r"[<>=\[ ]", one)[0] for many in lists for one in many} - {"limbeck"}
    page = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    named = re.findall(r"^\| ([a-z][\w-]*) \|", page, re.MULTILINE)
    assert sorted(set(named) - {"library"}) == sorted(wanted)


def test_the_verbs_of_the_first_release_are_all_in_the_changelog() -> None:
    log = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert [verb for verb in VERBS if f"`limbeck {verb}`" not in log] == []


@pytest.mark.parametrize("name", ["cqa", "esnli", "svamp"])
def test_an_example_task_is_a_task_and_is_explained(name: str) -> None:
    path = ROOT / "examples" / "tasks" / f"{name}.toml"
    Task.model_validate({"name": name, **tomllib.loads(path.read_text("utf-8"))})
    assert f"(tasks/{name}.toml)" in (ROOT / "examples" / "README.md").read_text("utf-8")
