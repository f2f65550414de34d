from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from limbeck.errors import ConfigError, DataError, TeacherError
from limbeck.models.call import Reply
from limbeck.models.dialects.table import TABLE, dialect
from limbeck.models.remote import Question, Teacher, parse_teacher

SECRET = "sk-planted-0123456789"
REPLY = Reply(text="Answer: 4", stop_reason="end_turn", model="m", request_id="r")


@pytest.fixture(params=sorted(TABLE))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextlib.contextmanager
def asking(provider: Any, name: str = "anthropic", **more: Any) -> Iterator[Teacher]:
    base = provider.url + dialect(name).BASE_PATH
    with Teacher(base, name, "m", SECRET, sleep=provider.waits.append, **more) as teacher:
        yield teacher


@pytest.fixture(autouse=True)
def _waits(provider: Any) -> None:
    provider.waits = []


def ok(name: str = "anthropic") -> tuple[int, dict[str, str], dict[str, Any]]:
    return 200, {"Request-Id": "req_9"}, dialect(name).write_reply(REPLY)


def test_a_question_reaches_the_endpoint_of_its_dialect(provider: Any, name: str) -> None:
    provider.script = [ok(name)]
    with asking(provider, name) as teacher:
        reply, headers = teacher.ask("Add.", "2 + 2?", task="sums", correlation="row-1")
    assert reply == REPLY
    assert headers["request-id"] == "req_9"
    [(path, sent, body)] = provider.requests
    assert path == dialect(name).PATH
    assert (sent["x-limbeck-task"], sent["x-limbeck-key"]) == ("sums", "row-1")
    assert SECRET in (sent.get("x-api-key") or sent["authorization"])
    call = dialect(name).read_request(body)
    assert (call.system, call.user, call.model) == ("Add.", "2 + 2?", "m")


def test_a_busy_teacher_is_asked_again_after_the_wait_that_it_names(provider: Any) -> None:
    provider.script = [(429, {"retry-after": "3"}, {}), (529, {}, {}), None, ok()]
    with asking(provider, first_wait_s=1.0) as teacher:
        assert teacher.ask("", "q")[0] == REPLY
    assert len(provider.requests) == 4
    named, second, third = provider.waits
    assert named == 3.0
    assert 1 <= second <= 2 <= third <= 4


def test_a_teacher_that_stays_busy_is_given_up_with_its_status(provider: Any) -> None:
    provider.script = [(529, {}, {"type": "error", "error": {"message": "Overloaded"}})]
    with asking(provider, attempts=3) as teacher, pytest.raises(TeacherError) as caught:
        teacher.ask("", "q")
    assert len(provider.requests) == 3
    assert caught.value.status == 529
    assert "(Overloaded); it stayed busy" in str(caught.value)


def test_a_request_that_is_wrong_is_sent_once(provider: Any, name: str) -> None:
    provider.script = [(400, {}, dialect(name).write_error(400, "invalid", "no such field"))]
    with asking(provider, name) as teacher, pytest.raises(TeacherError, match="no such field"):
        teacher.ask("", "q")
    assert len(provider.requests) == 1


def test_a_key_that_a_provider_repeats_is_not_in_the_message(provider: Any) -> None:
    said = {"type": "error", "error": {"message": f"invalid x-api-key {SECRET}"}}
    provider.script = [(401, {}, said)]
    with asking(provider) as teacher, pytest.raises(TeacherError) as caught:
        teacher.ask("", "q")
    assert "check the key in ANTHROPIC_API_KEY" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(teacher)


def test_a_teacher_that_is_not_there_is_named_without_its_password(provider: Any) -> None:
    provider.script = [None]
    base = provider.url.replace("//", "//me:hunter2@")
    with (
        Teacher(base, "anthropic", "m", attempts=2, sleep=provider.waits.append) as teacher,
        pytest.raises(TeacherError, match="could not be reached in 2 attempts") as caught,
    ):
        teacher.ask("", "q")
    assert "hunter2" not in f"{caught.value} {teacher!r}"


@pytest.mark.parametrize("data", [b"<html>", b'{"type": "completion"}'])
def test_a_reply_that_is_none_is_an_error(provider: Any, data: bytes) -> None:
    provider.script = [(200, {}, data)]
    with asking(provider) as teacher, pytest.raises(TeacherError, match="cannot be read"):
        teacher.ask("", "q")


def test_each_of_many_questions_is_answered_or_fails_alone(provider: Any) -> None:
    provider.script = [(400, {}, {}), *[ok()] * 30]
    questions = [Question("", f"q{number}") for number in range(20)]
    with asking(provider) as teacher:
        asked = list(teacher.ask_many(questions, workers=4))
    assert {one.question for one in asked} == set(questions)
    assert [one.reply is None for one in asked].count(True) == 1
    assert all((one.reply is None) == (one.error is not None) for one in asked)


def test_questions_are_read_only_as_far_as_there_is_room(provider: Any) -> None:
    provider.script = [ok()]
    read = []

    def endless() -> Iterator[Question]:
        while True:
            read.append(1)
            yield Question("", "q")

    with asking(provider) as teacher:
        answers = teacher.ask_many(endless(), workers=2)
        for _ in range(5):
            next(answers)
        answers.close()
    assert 5 <= len(read) <= 5 + 2 * 2


def test_a_teacher_is_named_by_provider_and_model() -> None:
    environ = {"ANTHROPIC_API_KEY": SECRET, "OPENAI_API_KEY": SECRET}
    assert repr(parse_teacher("anthropic:claude-x", environ)) == (
        "Teacher('https://api.anthropic.com/v1/messages', 'anthropic', 'claude-x')"
    )
    assert "https://api.openai.com/v1/chat/completions" in repr(parse_teacher("openai:g", environ))


@pytest.mark.parametrize("spec", ["claude", "anthropic:", "gopher:m", ""])
def test_another_form_of_teacher_is_refused(spec: str) -> None:
    with pytest.raises(ConfigError, match=r"wanted anthropic:MODEL or openai:MODEL"):
        parse_teacher(spec, {})


def test_an_absent_key_names_its_variable() -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set"):
        parse_teacher("openai:g", {"OPENAI_API_KEY": "  "})


@pytest.mark.parametrize("url", ["", "localhost:4100", "ftp://h", "http://", "http://[::1"])
def test_a_base_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="base URL cannot be read; wanted one such as"):
        Teacher(url, "anthropic", "m")


def test_a_key_that_no_header_can_carry_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigError, match="copy it again") as caught:
        Teacher("http://h", "anthropic", "m", f"{SECRET}\n{SECRET}")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("correlation", ["two\nlines", "naïve", "a b", "x\0"])
def test_a_correlation_that_no_header_can_carry_is_refused(provider: Any, correlation: str) -> None:
    with asking(provider) as teacher, pytest.raises(DataError, match="printable ASCII"):
        teacher.ask("", "q", correlation=correlation)
    assert provider.requests == []
