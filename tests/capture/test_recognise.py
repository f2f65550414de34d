from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from limbeck.capture.jsonl import BadLineError
from limbeck.capture.recognise import SAMPLE, find_format
from limbeck.errors import ConfigError, ImportFileError
from limbeck.types import AnswerForm, ImportMap, Task

Write = Callable[..., Path]
TURNS = [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]
OBSERVATION = {"traceId": "t", "usageDetails": {}, "input": "x", "output": "y"}


def task(**rows: Any) -> Task:
    return Task(name="t", answer=AnswerForm(kind="text"), rows=ImportMap(**rows))


def test_the_first_rows_say_the_format_and_why(write: Write) -> None:
    found = find_format(write([{"messages": TURNS}] * 50), "auto", None, None)
    assert found == ("messages", "the key 'messages' holds a list of turns")


def test_only_the_first_rows_are_looked_at(write: Write) -> None:
    rows = [{"messages": TURNS}] * SAMPLE + [b"{broken"]
    assert find_format(write(rows), "auto", None, None).name == "messages"


def test_a_mapping_that_fits_wins_over_what_the_rows_look_like(write: Write) -> None:
    path = write([OBSERVATION])
    assert find_format(path, "auto", task(), None).name == "langfuse"
    mapped = task(input="input", reply="output")
    assert find_format(path, "auto", mapped, None).name == "rows"
    other = task(input="question", reply="output")
    assert find_format(path, "auto", other, None).name == "langfuse"
    assert find_format(path, "auto", other, ImportMap()).name == "rows"


def test_what_looks_like_nothing_is_rows(write: Write) -> None:
    assert find_format(write([{"q": "x"}]), "auto", task(), None) == ("rows", "")


def test_a_format_that_was_named_must_fit_some_of_the_rows(write: Write) -> None:
    path = write([OBSERVATION])
    assert find_format(path, "langfuse", None, None).name == "langfuse"
    with pytest.raises(ImportFileError, match="do not look like 'litellm'; their keys are: tra"):
        find_format(path, "litellm", None, None)
    with pytest.raises(ConfigError, match="the format is 'langfus'"):
        find_format(path, "langfus", None, None)


def test_two_that_are_as_likely_ask_for_a_name(write: Write) -> None:
    path = write([{"messages": TURNS}, {"prompt": "x", "completion": "y"}])
    with pytest.raises(ImportFileError, match=r"rows\.jsonl: the rows look as much like .*--forma"):
        find_format(path, "auto", None, None)
    assert find_format(path, "messages", None, None).name == "messages"


def test_pages_of_an_api_are_looked_into(tmp_path: Path) -> None:
    path = tmp_path / "pages.jsonl"
    page = {"data": [OBSERVATION] * 3, "meta": {"page": 1}}
    path.write_text(f"{json.dumps(page)}\n{json.dumps(page)}\n")
    assert find_format(path, "auto", None, None).name == "langfuse"


def test_a_file_without_a_readable_row_says_what_is_wrong(write: Write) -> None:
    with pytest.raises(BadLineError, match="the file is empty"):
        find_format(write([]), "auto", None, None)
