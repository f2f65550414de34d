from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limbeck.curate.checks import table
from limbeck.curate.checks.table import CHECKS, load
from limbeck.curate.truth import settle
from limbeck.errors import ConfigError
from limbeck.types import Task

NO_CHECKS = {"__init__", "table", "verdict"}


def test_the_table_and_the_folder_name_the_same_checks() -> None:
    files = {path.stem for path in Path(table.__file__).parent.glob("*.py")} - NO_CHECKS
    assert set(CHECKS) == files
    assert all(module == f"limbeck.curate.checks.{name}" for name, module in CHECKS.items())


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_says_what_it_catches_and_what_it_lets_pass(name: str) -> None:
    text = (Path(table.__file__).parent / f"{name}.py").read_text()
    assert "Catches " in text
    assert "Lets pass " in text.replace("\n", " ")


def test_an_unknown_check_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="no check 'lop'; wanted 'loop'"):
        load("lop")


def test_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"checks\.loop has no setting 'repeat'; .*'repeats'"):
        load("loop", {"repeat": 3})


def test_a_setting_of_the_wrong_kind_says_what_was_got() -> None:
    with pytest.raises(ConfigError, match=r"checks\.loop\.share is 'many'"):
        load("loop", {"share": "many"})


def test_a_setting_may_be_text_from_a_command_line() -> None:
    assert load("loop", {"enabled": "false"}).settings.enabled is False


WORDS = ("so", "a", "refund", "deny", "3", "+", "=", "4", ".", "\n", "(", "not", "</s>", "Sorry")
TEXT = st.one_of(st.none(), st.text(max_size=60), st.lists(st.sampled_from(WORDS)).map(" ".join))


@pytest.mark.parametrize("kind", ["choice_task", "number_task", "text_task"])
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(st.tuples(TEXT, TEXT, TEXT, st.integers(0, 3)), min_size=1, max_size=6))
def test_no_check_fails_and_none_depends_on_the_order_of_traces(
    rows: list[tuple[str | None, str | None, str | None, int]],
    kind: str,
    request: pytest.FixtureRequest,
    frame: Callable[..., pl.DataFrame],
) -> None:
    task: Task = request.getfixturevalue(kind)
    made = frame(
        *(
            {
                "rationale": rationale,
                "answer_raw": answer,
                "reply": reply,
                "input": reply or "",
                "choices": list(task.answer.choices),
                "answer": "deny" if more == 1 else None,
                "status": "cut_off" if more == 2 else "ok",
                "ran_on": more == 3,
            }
            for rationale, answer, reply, more in rows
        )
    )
    made = settle(made, task)
    backwards = made.reverse()
    for name in CHECKS:
        # A low bound puts the checks that need a batch to work on this small one, too.
        given_settings = {"at_least": 2} if name in ("nonsense", "short_or_long") else {}
        check = load(name, given_settings)
        result = check.run(made, task)
        assert result["verdict"].to_list() == result["evidence"].is_null().to_list()
        assert result.equals(check.run(made, task))
        assert result.reverse().equals(check.run(backwards, task)), name
