"""The reference page is what the code says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from limbeck.cli.app import VERBS, load
from limbeck.cli.reference import field_notes, main, render
from limbeck.errors import UsageError
from limbeck.types import Noun

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


class Knobs(Noun):
    """Knobs of a test."""

    plain: int = 1
    said: Annotated[float, Field(gt=0)] | None = None
    """What is said of it,
    over two lines."""


class More(Knobs):
    kind: Literal["a", "b"] = "a"
    """Another."""


def test_the_page_on_disk_is_not_stale() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "write it again with: make docs"


@pytest.fixture(scope="module")
def page() -> str:
    return render()


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_stands_there_with_each_of_its_options(page: str, verb: str) -> None:
    _, _, after = page.partition(f"### `limbeck {verb}`\n")
    section = after.partition("\n#")[0]
    options = [option for one in load(verb).params for option in one.opts if option[0] == "-"]
    assert options
    assert [option for option in options if f"`{option}`" not in section] == []


def test_a_field_is_described_by_the_docstring_under_it() -> None:
    assert field_notes(More) == {"said": "What is said of it, over two lines.", "kind": "Another."}


@pytest.mark.parametrize(
    "row",
    [
        '| `kind` | `"choice"`, `"number"`, `"text"`, `"json"` | required |  |',
        "| `tolerance` | number, ≥ 0 | `0.0` |  |",
        "| `port` | integer, ≥ 0, ≤ 65535 | `4100` |  |",
        "| `alpha` | number, > 0, < 1 | `0.5` | Weight of the label task;",
        "| `learning_rate` | number, > 0 |  | Peak learning rate of AdamW;",
        "| `--dry-run` | flag |  | Show the funnel and write nothing. |",
        "| `--seeds` | integer | `1` | How many seeds for each recipe. |",
    ],
)
def test_a_key_has_its_type_its_limits_and_its_default(page: str, row: str) -> None:
    assert row in page


def test_no_docstring_becomes_html(page: str) -> None:
    outside = "".join(page.split("`")[::2])
    assert re.findall(r"<[\w/!]", outside) == []


def test_the_page_is_written_where_it_is_asked_for(page: str, tmp_path: Path) -> None:
    path = tmp_path / "reference.md"
    main([str(path)])
    assert path.read_text(encoding="utf-8") == page


def test_a_page_without_a_place_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match=r"docs/reference\.md"):
        main([])
