"""What holds of every check, whatever text it is given."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limbeck.curate.checks.table import CHECKS, load
from limbeck.curate.checks.verdict import VERDICTS
from limbeck.curate.truth import settle
from limbeck.types import AnswerForm, Task

Frame = Callable[..., pl.DataFrame]

PIECES = st.sampled_from(
    [
        *("12 + 7 = 19", "12 + 7 = 18.", "1/0 = 3", "days 24 <= 30,", "20 % of 5 is 1", "9" * 70),
        *("so deny.", "Therefore, the answer is", "I'm sorry, but I can't", "</s>", "<|im_end|>"),
        *("(", "]", "\n", "\n\n", " ", "\x00", "\ufffd", "\u202e", "…", "„", "٣", "½", "x" * 300),
        *(
            "首先 所以",
            "und das ist nicht die",
            "the of and to",
            "ha ",
            "ha ha ha ",
            "“quoted by nobody”",
        ),
        *(
            "=",
            "<",
            "-",
            "**",
            "<<2*3=6>>6",
            "$4.00",
            "8)",
            ":)",
            "refund",
            "deny or refund",
            "3 x",
        ),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=8), max_size=12).map("".join)
ROWS = st.fixed_dictionaries(
    {
        "input": TEXTS,
        "rationale": st.none() | TEXTS,
        "answer": st.none() | st.sampled_from(["deny", "refund", "19", "-3.5", "0", "{}"]),
        "answer_raw": st.none() | TEXTS,
        "reply": st.none() | TEXTS,
        "status": st.sampled_from(["ok", "cut_off", "refused", "error"]),
        "stop_reason": st.none() | st.sampled_from(["max_tokens", "end_turn", "refusal"]),
        "ran_on": st.booleans(),
        "outcome": st.none() | st.just("deny"),
        "outcome_source": st.none() | st.just("gold"),
        "correct": st.none() | st.booleans(),
    }
)
TASKS = [
    Task(name="c", answer=AnswerForm(kind="choice", choices=("refund", "exchange", "deny"))),
    Task(name="n", answer=AnswerForm(kind="number")),
    Task(name="t", answer=AnswerForm(kind="text")),
    Task(name="j", answer=AnswerForm(kind="json", json_schema={"type": "object"})),
]
STRICT: dict[str, dict[str, Any]] = {
    "support": {"most": 0.2, "quotes": True, "doubt": 1.0},
    "nonsense": {"at_least": 2, "shortest": 4},
    "language": {"at_least": 2},
    "short_or_long": {"at_least": 2},
    "wrong_answer": {"keep": "proven"},
}
"""Settings under which a check has something to say of few and short chains."""


@pytest.mark.parametrize("name", CHECKS)
@given(rows=st.lists(ROWS, min_size=1, max_size=6), task=st.sampled_from(TASKS), data=st.data())
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_check_never_raises_and_says_the_same_in_any_order_batch_and_again(
    name: str, rows: list[dict[str, Any]], task: Task, data: st.DataObject, frame: Frame
) -> None:
    rows = [{**row, "choices": list(task.answer.choices)} for row in rows]
    settled = settle(frame(*rows), task)
    check = load(name, STRICT.get(name))
    state = check.learn(settled, task)
    said = check.run(settled, task, state)
    assert said.schema == VERDICTS
    assert said["verdict"].to_list() == said["evidence"].is_null().to_list()
    assert check.run(settled, task, state).equals(said)
    order = data.draw(st.permutations(range(len(rows))))
    turned = settled[order]
    assert check.run(turned, task, state).equals(said[order])
    assert check.run(turned, task, check.learn(turned, task)).equals(said[order])
    kept = settled.filter(said["verdict"])
    assert check.run(kept, task, state)["verdict"].all()
    alone = [check.run(settled[place : place + 1], task, state) for place in range(len(rows))]
    assert pl.concat(alone).equals(said)


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_says_what_it_catches_and_what_it_lets_pass(name: str) -> None:
    said = importlib.import_module(CHECKS[name]).__doc__ or ""
    assert "Catches" in said
    assert "ets pass" in " ".join(said.split())
    page = (Path(__file__).parents[3] / "docs" / "curate.md").read_text()
    [row] = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
    assert all(cell.strip() for cell in row.strip("|").split("|"))


@pytest.mark.parametrize("name", CHECKS)
def test_a_batch_without_traces_is_no_trouble(name: str, frame: Frame) -> None:
    for task in TASKS:
        empty = settle(frame({"rationale": "so deny."}), task).clear()
        assert load(name).run(empty, task).height == 0
