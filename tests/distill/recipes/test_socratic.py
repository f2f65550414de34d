from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.distill.recipes.socratic import steps_with_questions
from limbeck.types import Example, Tree

Made = Callable[..., list[Tree]]


@pytest.mark.parametrize(
    ("chain", "wanted"),
    [
        ("mon: 33 - 9 = 24\ntue: 24 - 4 = 20", [("mon?", "33 - 9 = 24"), ("tue?", "24 - 4 = 20")]),
        (
            "window 30 + 10 = 40.\nso deny.",
            [("window?", "30 + 10 = 40."), ("so?", "deny.")],
        ),
        ("The store had 12 apples. Done.", [("The store had?", "12 apples."), ("next?", "Done.")]),
        ("3 + 4 = 7", [("next?", "3 + 4 = 7")]),
    ],
)
def test_a_chain_without_questions_is_split(chain: str, wanted: list[tuple[str, str]]) -> None:
    assert steps_with_questions(chain) == wanted


@pytest.mark.parametrize(
    "chain",
    [
        "How many? ** 3 + 4 = 7\nHow much? ** 7 * 2 = 14",
        "How many?\n3 + 4 = 7\nHow much?\n7 * 2 = 14",
        "Q: How many?\nA: 3 + 4 = 7\nQ: How much?\nA: 7 * 2 = 14",
        "Q: How many? A: 3 + 4 = 7\nQ: How much? A: 7 * 2 = 14",
    ],
)
def test_questions_that_the_data_has_are_taken(chain: str) -> None:
    assert steps_with_questions(chain) == [("How many?", "3 + 4 = 7"), ("How much?", "7 * 2 = 14")]


@given(st.text(alphabet="ab 1?:.,\n", min_size=1).filter(str.strip))
def test_every_chain_has_steps_and_none_of_them_is_empty(chain: str) -> None:
    steps = steps_with_questions(chain)
    assert steps
    assert all(step.question.strip() and step.solution.strip() for step in steps)


def test_one_student_asks_and_solves_in_turn_and_learns_to_ask_besides(
    made: Made, only: Example
) -> None:
    example = only.model_copy(update={"rationale": "mon: 1 + 1 = 2\nso it is 2"})
    [tree] = made("socratic", [example], ask_weight=0.5)
    solving, asking = tree.branches
    assert [(part.role, part.text) for part in solving.parts] == [
        ("control", "solve"),
        ("question", "mon?"),
        ("rationale", "1 + 1 = 2"),
        ("question", "so it is?"),
        ("rationale", "2"),
        ("control", "answer"),
        ("answer", "2"),
    ]
    assert [(part.text, part.weight) for part in asking.parts] == [
        ("ask", 0.0),
        ("mon? so it is?", 0.5),
    ]


def test_of_two_students_the_solver_reads_the_questions_and_does_not_learn_them(
    made: Made, only: Example
) -> None:
    [tree] = made("socratic", [only], students="two")
    solving, asking = tree.branches
    weights = {part.role: part.weight for part in solving.parts}
    assert weights["question"] == 0.0
    assert weights["rationale"] == weights["answer"] == 1.0
    assert [part.text for part in solving.parts[::2]] == ["solve", "think", "answer"]
    assert asking.parts[-1].weight == 1.0
    assert asking.parts[-1].text == solving.parts[1].text
