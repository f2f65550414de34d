from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import urllib3

from limbeck.capture.sandbox.faults import FAULTS, FaultRates
from limbeck.capture.sandbox.server import create_app, question
from limbeck.capture.sandbox.tasks import TABLE as TASKS
from limbeck.capture.sandbox.tasks import load
from limbeck.models.call import Reply
from limbeck.models.dialects.table import TABLE, dialect
from limbeck.models.remote import Question, Teacher
from limbeck.serve.running import running_in_thread

PERFECT = FaultRates.none().model_dump()


@pytest.fixture(params=sorted(TABLE))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def ask(url: str, name: str, body: dict[str, Any]) -> urllib3.BaseHTTPResponse:
    with urllib3.PoolManager(retries=False) as pool:
        return pool.request("POST", url + dialect(name).PATH, json=body)


def asking(task: str, text: str, name: str, **more: Any) -> dict[str, Any]:
    return dialect(name).write_request(
        model="simulated-teacher", system=load(task).instruction, user=text, **more
    )


@pytest.mark.parametrize("task", sorted(TASKS))
def test_it_solves_every_sandbox_task_and_says_that_it_is_simulated(task: str, name: str) -> None:
    items = load(task).generate(5, seed=1)
    with running_in_thread(create_app(rates=PERFECT)) as url:
        for item in items:
            response = ask(url, name, asking(task, item.input, name))
            reply = dialect(name).read_reply(response.json())
            assert reply.text.endswith(f"\nAnswer: {item.truth}")
            assert reply.model == "simulated-teacher"
            assert reply.usage.input > len(item.input) / 5
            assert reply.usage.output > 0
            assert response.headers["x-limbeck-simulated"] == "1"


def test_a_stream_says_what_the_whole_reply_says(name: str) -> None:
    [item] = load("ledger").generate(1, seed=1)
    with running_in_thread(create_app(rates=PERFECT)) as url:
        body = ask(url, name, asking("ledger", item.input, name)).json()
        response = ask(url, name, asking("ledger", item.input, name, stream=True))
    reader = dialect(name).StreamReader()
    reader.feed(response.data)
    whole = dialect(name).read_reply(body)
    assert reader.ended
    assert _without_names(reader.reply()) == _without_names(whole)
    assert response.headers["content-type"].startswith("text/event-stream")


def _without_names(reply: Reply) -> dict[str, Any]:
    return asdict(replace(reply, request_id=None, created=0))


def test_asked_to_think_it_thinks_in_a_block_of_its_own() -> None:
    [item] = load("ledger").generate(1, seed=1)
    body = asking("ledger", item.input, "anthropic")
    body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    with running_in_thread(create_app(rates=PERFECT)) as url:
        reply = dialect("anthropic").read_reply(ask(url, "anthropic", body).json())
    assert reply.text == f"Answer: {item.truth}"
    assert reply.thinking == "\n".join(item.steps)
    assert reply.signature


def test_a_token_limit_cuts_the_reply() -> None:
    [item] = load("ledger").generate(1, seed=1)
    with running_in_thread(create_app(rates=PERFECT)) as url:
        body = asking("ledger", item.input, "anthropic", max_tokens=3)
        reply = dialect("anthropic").read_reply(ask(url, "anthropic", body).json())
    assert (len(reply.text), reply.stop_reason, reply.usage.output) == (12, "max_tokens", 3)


def test_the_truth_about_each_reply_is_kept_apart(tmp_path: Path) -> None:
    log = tmp_path / "truth.jsonl"
    items = load("refunds").generate(150, seed=2)
    rates = FaultRates.of_total(0.6).model_copy(update={"http_429": 0.0, "http_529": 0.0})
    app = create_app(["refunds"], rates.model_dump() | {"slow": 0.0}, truth_log=str(log))
    replies = {}
    with running_in_thread(app) as url, Teacher(url, "anthropic", "m") as teacher:
        questions = [Question(load("refunds").instruction, item.input) for item in items]
        for asked in teacher.ask_many(questions, workers=4):
            assert asked.reply is not None
            replies[asked.question.user] = (asked.reply.text, asked.headers["request-id"])
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    assert {row["fault"] for row in rows} == {None, *FAULTS}
    assert 0.4 < sum(row["fault"] is not None for row in rows) / len(rows) < 0.8
    for row in rows:
        text, request_id = replies[row["input"]]
        assert row["request_id"] == request_id
        assert row["answer"] is None or f"Answer: {row['answer']}" in text
        assert row["correct"] == (row["answer"] == row["truth"])
        assert "fault" not in text


def test_the_same_question_has_the_same_fault_on_every_run() -> None:
    items = load("routes").generate(20, seed=3)
    rates = FaultRates.of_total(0.5).model_dump() | {"http_429": 0.0, "http_529": 0.0, "slow": 0.0}
    runs = []
    for _ in range(2):
        app = create_app(["routes"], rates, seed=7)
        with running_in_thread(app) as url, Teacher(f"{url}/v1", "openai_chat", "m") as teacher:
            instruction = load("routes").instruction
            runs.append([teacher.ask(instruction, item.input)[0].text for item in items])
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("trouble", "status", "kind"),
    [("http_429", 429, "rate_limit_error"), ("http_529", 529, "overloaded_error")],
)
def test_a_busy_teacher_says_so_in_the_clients_dialect(
    name: str, trouble: str, status: int, kind: str
) -> None:
    [item] = load("ledger").generate(1, seed=1)
    with running_in_thread(create_app(rates=PERFECT | {trouble: 1.0})) as url:
        response = ask(url, name, asking("ledger", item.input, name))
    assert response.status == status
    assert response.json()["error"]["type"] == kind
    assert dialect(name).read_error(response.json())
    assert (response.headers.get("retry-after") == "1") == (status == 429)
    assert response.headers["x-limbeck-simulated"] == "1"


def test_a_question_that_it_cannot_read_is_refused_politely(name: str) -> None:
    with running_in_thread(create_app(["ledger"])) as url:
        response = ask(url, name, asking("ledger", "Who wrote Macbeth?", name))
        broken = ask(url, name, {"model": "m"})
    assert (response.status, broken.status) == (400, 400)
    said = dialect(name).read_error(response.json()) or ""
    assert "cannot read the question 'Who wrote Macbeth?'" in said
    assert "started with: ledger" in said
    assert f"a question is {question('ledger')!r}" in said


@pytest.mark.parametrize("task", TASKS)
def test_the_question_that_it_offers_can_be_answered(task: str) -> None:
    sandbox = load(task)
    assert sandbox.solve(question(task)).truth


def test_it_names_its_model() -> None:
    with running_in_thread(create_app()) as url, urllib3.PoolManager() as pool:
        [model] = pool.request("GET", f"{url}/v1/models").json()["data"]
    assert model["id"] == "simulated-teacher"
