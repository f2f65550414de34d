from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest

import limbeck.capture.formats as package
from limbeck.capture.exported import record
from limbeck.capture.formats.imported import LIKELY, SURE, Imported
from limbeck.capture.formats.requests import Requests
from limbeck.capture.formats.table import NAMES, TABLE, format_of, recognise, unwrapped
from limbeck.capture.importer import import_file
from limbeck.capture.jsonl import BadLineError
from limbeck.errors import ConfigError, DataError
from limbeck.store.store import Store
from limbeck.types import Task

Rows = list[dict[str, Any]]
Sample = Callable[[str], Rows]
Write = Callable[..., Path]


def test_every_module_that_recognises_rows_is_in_the_table_and_no_other() -> None:
    folder = Path(package.__path__[0])
    modules = {path.stem: f"{package.__name__}.{path.stem}" for path in folder.glob("[!_]*.py")}
    formats = {
        name: place
        for name, place in modules.items()
        if hasattr(import_module(place), "read") and name != "table"
    }
    assert formats == TABLE


def test_an_unknown_format_names_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'langfus'; wanted one of auto, rows, messages"):
        format_of("langfus")
    assert set(NAMES) == {"auto", "rows", *TABLE}


@pytest.mark.parametrize("name", TABLE)
def test_each_sample_is_recognised_as_its_own_format(name: str, sample: Sample) -> None:
    found = recognise(sample(name))
    assert found is not None
    assert found.name == name
    assert found.why


@pytest.mark.parametrize("name", TABLE)
def test_no_other_format_is_sure_of_a_sample(name: str, sample: Sample) -> None:
    for row in sample(name):
        signs = {other: format_of(other).recognise(row) for other in TABLE if other != name}
        assert [other for other, sign in signs.items() if sign and sign.weight == SURE] == []


def test_rows_that_look_like_nothing_are_not_recognised() -> None:
    assert recognise([{"q": "x", "a": "y"}]) is None


def test_two_formats_that_are_as_likely_ask_for_a_name() -> None:
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]
    rows: Rows = [{"prompt": "x", "completion": "y"}, {"messages": turns}]
    with pytest.raises(DataError, match=r"as much like 'messages' \(.*\) and 'prompt_completion'"):
        recognise(rows)


def test_a_sign_of_one_tool_wins_over_a_shape_that_many_share(sample: Sample) -> None:
    stored = sample("openai_stored")
    assert LIKELY < SURE
    found = recognise([*stored, *stored, {"prompt": "x", "completion": "y"}])
    assert found is not None
    assert found.name == "openai_stored"
    assert found.why.endswith("(2 of 3 rows)")


def test_a_page_of_an_api_is_its_rows() -> None:
    page = {"object": "list", "data": [{"a": 1}, {"a": 2}], "has_more": False}
    assert unwrapped(page) == [{"a": 1}, {"a": 2}]
    row = {"data": [{"a": 1}], "label": "x"}
    assert unwrapped(row) == [row]


@pytest.mark.parametrize("name", TABLE)
def test_every_format_gives_whole_calls(
    name: str, store: Store, task: Task, write: Write, sample: Sample, sent: Sample
) -> None:
    path = write(sample(name), packed=True)
    requests = write(sent(name), "sent.jsonl") if sent(name) else None
    result = import_file(store, task, path, requests=requests)
    assert (result.format, result.unanswered) == (name, 0)
    assert result.read == result.added + result.skipped.get("not a model call (span)", 0)
    trace = next(iter(store.traces("shellfish")))
    assert trace.input == "Is a limpet a mollusc?"
    assert trace.status == "ok"
    assert trace.provenance.source == "import"
    assert trace.provenance.skeleton == task.skeleton
    again = import_file(store, task, path, requests=requests)
    assert (again.added, again.already, again.outcomes) == (0, result.added, 0)
    assert store.verify() == []


@pytest.mark.parametrize("name", TABLE)
def test_calls_of_no_task_wait_to_be_discovered(
    name: str, store: Store, write: Write, sample: Sample, sent: Sample
) -> None:
    requests = write(sent(name), "sent.jsonl") if sent(name) else None
    result = import_file(store, None, write(sample(name)), requests=requests)
    assert result.added >= 1
    assert store.counts().tasks[""].traces == result.added


@pytest.mark.parametrize("name", TABLE)
def test_a_row_with_strange_values_is_told_and_never_crashes(name: str, sample: Sample) -> None:
    strange: list[Any] = [None, 3, "x", [], {}, [None], [3], {"a": []}]
    for row in sample(name):
        for key in row:
            for value in strange:
                given = {**row, key: value}
                try:
                    made = list(format_of(name).read(given, cast(Requests, _AnyRequest())))
                except BadLineError:
                    continue
                for one in made:
                    if isinstance(one, Imported):
                        record(one, None, Path("x"), 1)


class _AnyRequest:
    def body(self, name: str | None) -> dict[str, Any]:
        return {"model": "m", "messages": [{"role": "user", "content": "x"}]}
