from __future__ import annotations

import json
import threading
from collections.abc import Generator, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from limbeck.errors import TeacherError, UsageError
from limbeck.evaluate.subject import TEACHER, URL, Rehearsal, Remote, served_model, verified
from limbeck.models.call import Reply
from limbeck.models.remote import Asked, Question
from limbeck.types import AnswerForm, Example, Price, Task, TeacherSpec, Usage

TASK = Task(
    name="t",
    instruction="Decide.",
    answer=AnswerForm(kind="choice", choices=("grant", "deny")),
    teacher=TeacherSpec(model="m", price=Price(input=1.0, output=10.0)),
)
EXAMPLES = [
    Example(trace_id=str(at), input=f"case {at}", answer="grant", truth="grant") for at in range(4)
]


class Scripted:
    """Answers in another order than it was asked, as threads do; a status is a failure."""

    model = "m"

    def __init__(self, script: dict[str, Any]) -> None:
        self._script = script
        self.asked: list[Question] = []

    def ask_many(self, questions: Iterable[Question]) -> Generator[Asked, None, None]:
        self.asked = list(questions)
        for one in reversed(self.asked):
            said = self._script[one.user]
            if isinstance(said, int):
                yield Asked(one, None, {}, TeacherError("no", said), 0.5)
            else:
                reply = Reply(text=said, stop_reason="end_turn", usage=Usage(input=100, output=10))
                yield Asked(one, reply, {}, None, 0.5)


def remote(script: dict[str, Any], kind: str = TEACHER) -> Remote:
    return Remote(TASK, Scripted(script), kind)  # type: ignore[arg-type]


def test_replies_are_verified_in_the_order_of_the_questions() -> None:
    said = {
        "case 0": "Because it is so.\nAnswer: grant",
        "case 1": "Answer: deny",
        "case 2": "Answer: perhaps",
        "case 3": 500,
    }
    found = remote(said).ask(EXAMPLES)
    assert found.said == ["grant", "deny", None, None]
    assert found.right.tolist() == [True, False, False, False]
    assert found.rationales[0] == "Because it is so."
    assert (found.failed, found.seconds) == (1, 2.0)
    assert found.tokens.tolist() == [10, 10, 10, 0]
    # Three replies of 100 tokens read and 10 written.
    assert found.cost_usd == pytest.approx(3 * (100 * 1.0 + 10 * 10.0) / 1e6)


def test_a_student_behind_a_url_costs_nothing_at_a_provider() -> None:
    found = remote({one.input: "grant" for one in EXAMPLES}, URL).ask(EXAMPLES)
    assert found.accuracy == 1.0
    assert found.cost_usd == 0.0


def test_a_failure_that_all_would_share_ends_it_and_a_later_one_does_not() -> None:
    with pytest.raises(TeacherError):
        remote({one.input: 401 for one in EXAMPLES}).ask(EXAMPLES)
    said: dict[str, Any] = {one.input: "grant" for one in EXAMPLES}
    assert remote({**said, "case 0": 401}).ask(EXAMPLES).failed == 1


def test_a_rehearsal_counts_what_would_be_asked_and_asks_nothing() -> None:
    teacher = Scripted({})
    rehearsal = Rehearsal(Remote(TASK, teacher, TEACHER))  # type: ignore[arg-type]
    found = rehearsal.ask(EXAMPLES)
    assert (rehearsal.questions, rehearsal.characters) == (4, 4 * len("Decide.case 0"))
    assert not found.right.any()
    assert teacher.asked == []


@pytest.fixture
def served() -> Iterator[tuple[str, list[str]]]:
    """An address that lists models, and the names that it lists."""
    names: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            data = json.dumps({"data": [{"id": name} for name in names]}).encode()
            self.send_response(200 if self.path == "/v1/models" else 404)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1", names
        server.shutdown()
        thread.join()


def test_the_one_model_behind_an_address_needs_no_name(served: tuple[str, list[str]]) -> None:
    url, names = served
    with pytest.raises(UsageError, match="has no model"):
        served_model(url)
    names.append("refunds")
    assert served_model(f"{url}/") == "refunds"
    names.append("ledger")
    with pytest.raises(UsageError, match="has refunds, ledger; name one with --model"):
        served_model(url)


def test_an_address_where_nobody_is_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="start the server, or name the model"):
        served_model("http://127.0.0.1:9/v1")


def test_an_answer_in_another_spelling_is_right_and_one_of_no_choice_is_none() -> None:
    found = verified(TASK, EXAMPLES, ["GRANT.", "I cannot say", None, "deny"])
    assert found.said == ["grant", None, None, "deny"]
    assert found.accuracy == 0.25
