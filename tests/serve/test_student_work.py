"""What a student's process does with the calls that come, without the process."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch

from limbeck.evaluate.signals.asking import readings_for
from limbeck.evaluate.signals.marks import Marked, marking
from limbeck.models.local import Student
from limbeck.serve.cascade import decide
from limbeck.serve.student_work import BATCH, InBatches, Together, left_open, serve
from limbeck.types import AnswerForm, Policy, Task

TEXTS = [f"the order {n} is late by {n} days and the client asks again" for n in range(80)]
TASK = Task(name="orders", answer=AnswerForm(kind="text"))


def policy(*signals: str, samples: int = 0, **changes: Any) -> Policy:
    """Of a rule that looks at the last of `signals` only."""
    found = {
        "task": "orders",
        "student": "sha256:student",
        "skeleton": TASK.skeleton,
        "max_risk": 0.05,
        "confidence": 0.95,
        "signals": signals,
        "center": (0.0,) * len(signals),
        "scale": (1.0,) * len(signals),
        "weights": (0.0,) * (len(signals) - 1) + (4.0,),
        "bias": -2.0,
        "threshold": 0.5,
        "truth_source": "gold",
        "n_fit": 100,
        "n_bound": 100,
        "n_accepted": 90,
        "n_errors": 1,
        "p_value": 0.01,
        "calibration_hash": "sha256:calibration",
        "samples": samples,
    }
    return Policy.model_validate(found | changes)


@pytest.fixture(scope="module")
def student(thinker: Path) -> Iterator[Student]:
    before = torch.get_num_threads()
    yield Student.load(thinker, threads=1)
    torch.set_num_threads(before)


def answered(writer: Together | InBatches) -> dict[int, Marked | str]:
    found: dict[int, Marked | str] = {}
    while writer.busy:
        for told in writer.step():
            assert told.number not in found
            found[told.number] = told.said
    return found


def test_calls_that_come_together_are_marked_as_if_each_came_alone(student: Student) -> None:
    rule = policy("length", "rationale", "lowest")
    alone = marking(rule, TASK, readings_for(rule, TASK, student))(TEXTS)
    assert len({one.answer for one in alone}) > 2
    for writer in (Together(rule, TASK, student), InBatches(rule, TASK, student)):
        for number, text in enumerate(TEXTS[: BATCH + 6]):
            writer.ask(number, text)
        found = answered(writer)
        assert sorted(found) == list(range(BATCH + 6))
        for number, marked in found.items():
            assert isinstance(marked, Marked)
            assert (marked.answer, marked.tokens) == (alone[number].answer, alone[number].tokens)
            assert marked.signals == pytest.approx(alone[number].signals, abs=1e-4)


def test_a_call_that_joins_later_and_has_less_to_write_is_answered_first(student: Student) -> None:
    writer = Together(policy("lowest"), TASK, student)
    writer.ask(1, TEXTS[1])
    for _ in range(5):
        assert writer.step() == []
    writer.ask(2, TEXTS[2])
    done = []
    while writer.busy:
        done += [told.number for told in writer.step()]
    assert done == [2, 1]


def test_a_call_that_is_given_up_leaves_and_the_others_go_on(student: Student) -> None:
    for writer in (
        Together(policy("lowest"), TASK, student),
        InBatches(policy("lowest"), TASK, student),
    ):
        writer.ask(1, TEXTS[1])
        writer.ask(2, TEXTS[2])
        writer.forget(1)
        writer.forget(7)
        found = answered(writer)
        assert found[1] == "nobody waits for it any more"
        assert isinstance(found[2], Marked)


def test_a_call_that_cannot_be_read_fails_alone(student: Student) -> None:
    writer = Together(policy("lowest"), TASK, student)
    writer.ask(1, "late " * 500)
    writer.ask(2, TEXTS[2])
    found = answered(writer)
    assert "this student takes at most" in str(found[1])
    assert isinstance(found[2], Marked)


def test_dear_signals_are_asked_only_where_they_can_change_who_answers(
    student: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: list[Any] = []
    monkeypatch.setattr(
        "limbeck.serve.student_work.mark", lambda *_: Marked("deny", (1.0, 1.0), (1, 1))
    )
    for bias, asked in ((-2.0, 5), (9.0, 1), (-9.0, 1)):
        writer = Together(policy("agreement", "orders", samples=3, bias=bias), TASK, student)
        join = writer._batch.join

        def note(*given: Any, join: Any = join) -> None:
            joined.append(given)
            join(*given)

        joined.clear()
        monkeypatch.setattr(writer._batch, "join", note)
        writer.ask(1, TEXTS[1])
        assert list(answered(writer)) == [1]
        assert len(joined) == asked


@pytest.mark.parametrize("bias", [-9.0, -5.0, -2.0, 0.0, 2.0, 9.0])
@pytest.mark.parametrize("grouped", [False, True])
def test_a_decision_that_is_not_left_open_is_the_same_whatever_the_dear_signals_say(
    bias: float, grouped: bool
) -> None:
    groups = [
        {
            "name": name,
            "threshold": bar,
            "n_bound": 9,
            "n_accepted": 9,
            "n_errors": 0,
            "p_value": 0.0,
        }
        for name, bar in (("a", 0.2), ("b", 0.8))
    ]
    more: dict[str, Any] = {"grouped_by": "group", "groups": groups} if grouped else {}
    rule = policy(
        "lowest", "agreement", "orders", samples=4, bias=bias, weights=(1.0, 3.0, 1.0), **more
    )
    undecided = left_open(rule, Marked("deny", (-0.5, 1.0, 1.0)))
    different = False
    for name in ("a", "b") if grouped else (None,):
        local = {
            decide(rule, TASK, Marked("deny", (-0.5, share / 4, same)), group=name).local
            for share, same in product(range(5), (0.0, 1.0))
        }
        different |= len(local) == 2
    assert undecided == different


def test_an_answer_out_of_form_leaves_nothing_open() -> None:
    assert not left_open(policy("agreement", samples=2), Marked(None))
    assert not left_open(policy("agreement", samples=2, threshold=None), Marked("deny", (1.0,)))


def test_the_process_answers_over_its_socket_until_the_other_end_is_closed(
    student: Student,
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        writer = Together(policy("lowest"), TASK, student)
        thread = threading.Thread(target=serve, args=(theirs, writer))
        thread.start()
        lines = ours.makefile("rb")
        whole = b"".join(json.dumps([n, TEXTS[n]]).encode() + b"\n" for n in range(4))
        ours.sendall(whole[:30])
        ours.sendall(whole[30:] + b"[2]\n")
        found = {number: said for number, *said in (json.loads(next(lines)) for _ in range(4))}
        assert sorted(found) == [0, 1, 2, 3]
        assert found[2] == ["nobody waits for it any more"]
        assert [len(found[number]) for number in (0, 1, 3)] == [3, 3, 3]
        ours.shutdown(socket.SHUT_RDWR)
        thread.join()
        lines.close()
