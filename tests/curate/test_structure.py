from __future__ import annotations

import polars as pl
import pytest

from limbeck.curate.structure import find_structure, shape_of, template_of


def rows(*chains: tuple[str, str, bool | None]) -> pl.DataFrame:
    schema = {"input": pl.String, "rationale": pl.String, "teacher_correct": pl.Boolean}
    return pl.DataFrame(chains, schema=schema, orient="row")


def test_a_template_has_marks_for_numbers_and_for_words_of_the_input() -> None:
    assert template_of("mon: kim has 12 apples left", {"kim", "apples"}) == "mon _ has # _ left"


def test_chains_of_mostly_the_same_steps_are_one_template() -> None:
    sums = [
        (f"kim has {n} apples and sells 3", f"{n} - 3 = {n - 3}\nso {n - 3}", n % 2 == 0)
        for n in range(8)
    ]
    other = (
        "kim has 9 apples and sells 3",
        "Selling makes fewer. Nine less three makes six.",
        None,
    )
    found = find_structure(rows(*sums, other))
    assert found is not None
    assert (found.chains, found.templates) == (9, 2)
    top = found.top[0]
    assert (top.chains, top.known, top.right) == (8, 8, 4)
    assert top.steps == "# # # / so #"
    assert 1 < found.effective < 2
    assert found.steps == {2: 9}
    assert found.shapes["solves → concludes"] == 8


def test_repeated_steps_are_told_once() -> None:
    one = find_structure(rows(("a", "9 - 3 = 6\n6 - 3 = 3\n3 - 3 = 0", None)))
    assert one is not None
    assert one.top[0].steps == "# # #"


@pytest.mark.parametrize("chains", [(), (("a", None, None),)])
def test_without_chains_there_is_no_structure(chains: tuple[tuple[str, str, None], ...]) -> None:
    assert find_structure(rows(*chains)) is None


def test_a_shape_says_what_the_steps_do() -> None:
    lines = ["Kim has apples.", "First we count.", "12 - 3 = 9", "12 - 9 = 3", "So it is nine."]
    assert list(shape_of(lines, {"kim", "has", "apples"})) == [
        "restates", "plans", "solves", "concludes",
    ]  # fmt: skip
