from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest

from limbeck.curate.checks.table import load
from limbeck.curate.judge import (
    BATCH,
    Case,
    ask_judge,
    bill,
    key_of,
    lacking,
    read_opinions,
    read_reply,
)
from limbeck.errors import DataError, TeacherError
from limbeck.models.call import Reply
from limbeck.models.remote import Asked, Question, Teacher
from limbeck.types import Price, Task

CASES = [Case(f"case {n}", f"Case {n} is so.", "deny") for n in range(BATCH + 2)]


class Judge:
    """Fails every second case, and after `until` questions every question."""

    model = "judge-x"

    def __init__(self, until: int = 99) -> None:
        self.asked: list[Question] = []
        self.until = until

    def ask_many(self, questions: Iterable[Question]) -> Generator[Asked, None, None]:
        for question in questions:
            self.asked.append(question)
            if len(self.asked) > self.until:
                yield Asked(question, None, {}, TeacherError("busy", 529), 0.0)
                continue
            count = question.user.count("<case ")
            said = [
                f"{n}: {'pass' if n % 2 else 'fail, it invents a fact'}"
                for n in range(1, count + 1)
            ]
            yield Asked(question, Reply(text="\n".join(said)), {}, None, 0.0)


def teacher(judge: Judge) -> Teacher:
    return cast(Teacher, judge)


def test_chains_are_asked_about_in_batches_and_never_twice(
    choice_task: Task, tmp_path: Path
) -> None:
    file, judge = tmp_path / "judge" / "triage.jsonl", Judge()
    assert ask_judge(choice_task, CASES, teacher(judge), file) == len(CASES)
    assert len(judge.asked) == 2
    opinions = read_opinions(file)
    assert [opinions[key_of(case)].passes for case in CASES[:3]] == [True, False, True]
    assert lacking([*CASES, Case("new", "chain", "deny")], opinions) == [
        Case("new", "chain", "deny")
    ]
    assert lacking(CASES, opinions, rubric="another") == CASES


def test_what_was_answered_before_a_failure_is_kept(choice_task: Task, tmp_path: Path) -> None:
    file = tmp_path / "triage.jsonl"
    assert ask_judge(choice_task, CASES, teacher(Judge(until=1)), file) == BATCH
    with pytest.raises(TeacherError):
        ask_judge(choice_task, lacking(CASES, read_opinions(file)), teacher(Judge(until=0)), file)
    assert len(read_opinions(file)) == BATCH


def test_a_line_that_a_kill_cut_off_is_asked_again(choice_task: Task, tmp_path: Path) -> None:
    file = tmp_path / "triage.jsonl"
    ask_judge(choice_task, CASES[:2], teacher(Judge()), file)
    file.write_bytes(file.read_bytes()[:-20])
    assert len(read_opinions(file)) == 1
    ask_judge(choice_task, CASES[1:2], teacher(Judge()), file)
    assert len(read_opinions(file)) == 2
    file.write_text("nonsense\n" + file.read_text())
    with pytest.raises(DataError, match="line 1 of"):
        read_opinions(file)


def test_a_reply_says_of_each_case_what_it_says_and_no_more() -> None:
    text = "1. PASS\nCase 2: fail - wrong sum\n9: fail\n2: pass\nI hope this helps."
    first, second = read_reply(text, CASES[:3], "m")
    assert (first.passes, second.passes, second.reason) == (True, False, "wrong sum")


def test_the_bill_comes_first(choice_task: Task) -> None:
    cost = bill(choice_task, CASES, "judge-x", price=Price(input=1, output=10))
    assert (cost.cases, cost.questions) == (len(CASES), 2)
    assert cost.usd == pytest.approx((cost.input_tokens + 10 * cost.output_tokens) / 1e6)
    assert bill(choice_task, CASES, "nobody-knows-this").usd is None


def test_what_the_judge_failed_is_dropped(
    choice_task: Task, tmp_path: Path, frame: Callable[..., pl.DataFrame]
) -> None:
    file = tmp_path / "triage.jsonl"
    ask_judge(choice_task, CASES, teacher(Judge()), file)
    rows: list[dict[str, Any]] = [
        {"input": case.input, "rationale": case.chain, "answer_raw": case.answer} for case in CASES
    ]
    said = load("judge", {"opinions": str(file)}).run(frame(*rows, {"input": "new"}), choice_task)
    assert said["verdict"].to_list()[:3] == [True, False, True]
    assert said["evidence"][1] == "judge-x failed it: it invents a fact"
    assert said["verdict"][-1]
    assert load("judge").run(frame(*rows), choice_task)["verdict"].all()
