from __future__ import annotations

from limbeck.curate.judge.asking import (
    BATCH,
    LONGEST,
    Case,
    ask,
    grouped,
    key_of,
    lacking,
    read_said,
)
from limbeck.types import Task

KEYS = ("sha256:a", "sha256:b", "sha256:c")


def test_a_chain_is_asked_about_once_by_one_rubric(cases: list[Case]) -> None:
    known = {key_of(case) for case in cases}
    new = Case("new", "chain", "deny")
    assert lacking([*cases, new, new], known) == [new]
    assert lacking(cases, known, rubric="another") == cases


def test_several_chains_go_into_one_question_and_long_ones_alone(
    cases: list[Case], choice_task: Task
) -> None:
    assert [len(group.cases) for group in grouped(cases)] == [BATCH, 2]
    long = Case("long", "x" * LONGEST, "deny")
    groups = list(grouped([cases[0], long, cases[1]]))
    assert [group.cases for group in groups] == [(cases[0],), (long,), (cases[1],)]
    assert len({group.name for group in groups}) == 3
    system, user = ask(choice_task, cases[:2], "Only rhymes pass.")
    assert "Only rhymes pass." in system
    assert choice_task.instruction.strip() in system
    assert user.count("<case number=") == 2


def test_a_reply_says_of_each_case_what_it_says_and_no_more() -> None:
    text = "1. PASS\nCase 2: fail - wrong sum\n9: fail\n2: pass\nI hope this helps."
    first, second = read_said(text, KEYS, "m")
    assert (first.key, first.passes) == ("sha256:a", True)
    assert (second.key, second.passes, second.reason) == ("sha256:b", False, "wrong sum")
    assert read_said("", KEYS, "m") == read_said("All are fine.", KEYS, "m") == []
