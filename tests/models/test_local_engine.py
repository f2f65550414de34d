"""A student that is served: requests share steps, and its process ends with its owner."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.students import TEXTS, chance_student

from limbeck.errors import StudentError
from limbeck.models.controls import control_token
from limbeck.models.local import Student
from limbeck.models.local.engine import Engine
from limbeck.models.local.requests import Piece, Request
from limbeck.models.local.worker import Worker

ROOM = 30


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Models this small are slower on several threads than on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A student with the weights of chance: what it writes is nonsense, and the same each time."""
    return chance_student(
        tmp_path_factory.mktemp("students") / "orders", layers=2, heads=4, room=ROOM
    )


@pytest.fixture(scope="module")
def student(folder: Path) -> Student:
    return Student.load(folder)


def test_requests_that_come_together_are_written_together_as_if_alone(student: Student) -> None:
    alone = student.ask(TEXTS[:12])
    engine = Engine(student, batch=5)
    try:
        futures = [engine.submit(text) for text in TEXTS[:12]]
        wrote = [future.result(60) for future in futures]
    finally:
        engine.close()
    assert engine.most == 5
    for one, said in zip(wrote, alone, strict=True):
        assert one.said is not None
        assert (one.said.answer, one.said.new_tokens) == (said.answer, said.new_tokens)
        assert one.said.logprobs == pytest.approx(said.logprobs, abs=1e-4)
        assert one.stopped == said.stopped


def test_tokens_are_told_as_they_are_written(student: Student) -> None:
    told: list[Piece] = []
    engine = Engine(student)
    try:
        wrote = engine.submit(Request(TEXTS[0], top=3), told.append).result(60)
    finally:
        engine.close()
    assert [replace(piece, shown="") for piece in told] == list(wrote.pieces)
    assert wrote.said is not None
    assert "".join(piece.shown for piece in told) == wrote.text
    assert all(len(piece.top) == 3 for piece in told)
    # Greedy: the token that was written is the likeliest.
    assert all(piece.top[0][0] == piece.id for piece in told)
    assert all(piece.top[0][2] == pytest.approx(piece.logprob, abs=1e-5) for piece in told)


def test_a_request_that_is_given_up_leaves_and_the_others_go_on(student: Student) -> None:
    engine = Engine(student)
    begun, gone = threading.Event(), threading.Event()

    def wait(piece: Piece) -> None:
        begun.set()
        gone.wait(60)

    try:
        dropped = engine.submit(Request(TEXTS[1]), wait)
        begun.wait(60)
        engine.forget(dropped)
        gone.set()
        assert engine.submit(TEXTS[2]).result(60).said == student.ask([TEXTS[2]])[0]
        with pytest.raises(StudentError, match="given up"):
            dropped.result(60)
    finally:
        engine.close()


def test_a_request_that_cannot_be_read_fails_alone(student: Student) -> None:
    engine = Engine(student)
    try:
        bad = [
            engine.submit(Request("", raw=True)),
            engine.submit(Request((1, 99_999), raw=True)),
            engine.submit(Request(TEXTS[0], room=300)),
        ]
        good = engine.submit(TEXTS[3])
        for future in bad:
            with pytest.raises(StudentError, match="got"):
                future.result(60)
        assert good.result(60).pieces
    finally:
        engine.close()
    with pytest.raises(StudentError, match="takes no more"):
        engine.submit(TEXTS[0])


def test_a_raw_prompt_is_echoed_with_the_log_probabilities_of_its_tokens(student: Student) -> None:
    text = f"{TEXTS[0]}{control_token('answer')} late"
    engine = Engine(student)
    try:
        wrote = engine.submit(Request(text, raw=True, room=0, echo=True, top=2)).result(60)
        whole = engine.submit(Request(TEXTS[0])).result(60)
        raw = engine.submit(Request(f"{TEXTS[0]}{control_token('answer')}", raw=True)).result(60)
    finally:
        engine.close()
    assert raw.pieces == whole.pieces
    assert not wrote.pieces
    ids = [piece.id for piece in wrote.prompt]
    assert len(ids) == wrote.prompt_tokens
    assert wrote.prompt[0].logprob is None
    with torch.inference_mode():
        logprobs = student.decoder.model(torch.tensor([ids])).logits[0].log_softmax(-1)
    for at, piece in enumerate(wrote.prompt[1:]):
        assert piece.logprob == pytest.approx(float(logprobs[at, piece.id]), abs=1e-4)
        assert piece.top[0][0] == int(logprobs[at].argmax())


def test_samples_differ_by_seed_and_not_by_company(student: Student) -> None:
    engine = Engine(student)
    try:
        asked = [Request(TEXTS[0], temperature=1.5, seed=seed) for seed in (1, 2, 1)]
        first, second, third = [one.result(60) for one in map(engine.submit, asked)]
    finally:
        engine.close()
    ids = [[piece.id for piece in one.pieces] for one in (first, second, third)]
    assert ids[0] == ids[2]
    assert ids[0] != ids[1]


@pytest.mark.slow
def test_a_worker_answers_from_a_process_of_its_own(folder: Path, student: Student) -> None:
    told: list[Piece] = []
    with Worker(folder, threads=1, batch=4) as worker:
        futures = [worker.submit(text) for text in TEXTS[:6]]
        streamed = worker.submit(Request(TEXTS[7]), told.append)
        given_up = worker.submit(TEXTS[8])
        given_up.cancel()
        with pytest.raises(StudentError, match="wanted one or more ids"):
            worker.submit(Request((), raw=True)).result(60)
        said = [future.result(60).said for future in futures]
        assert [one.answer for one in said if one] == [one.answer for one in student.ask(TEXTS[:6])]
        assert len(told) == len(streamed.result(60).pieces)
        worker._process.kill()
        worker._process.join()
        with pytest.raises(StudentError, match="process has ended"):
            worker.submit(TEXTS[0]).result(60)
    assert not worker.alive


@pytest.mark.slow
def test_a_worker_of_no_student_says_so(tmp_path: Path) -> None:
    with pytest.raises(StudentError, match="there is no student folder"):
        Worker(tmp_path / "nowhere")
