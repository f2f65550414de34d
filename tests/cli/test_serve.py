from __future__ import annotations

import json
import signal
import subprocess
import sys

import openai
import pytest

from limbeck.cli.app import main
from limbeck.models.local import Student
from limbeck.workspace import Workspace


def test_an_address_that_others_reach_must_be_meant(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "refunds-label", "--host", "0.0.0.0"]) == 2
    assert "add --expose if that is meant" in capsys.readouterr().err


def test_no_such_student_is_one_sentence(
    trained: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "nobody"]) == 1
    assert "there is no student 'nobody'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_served_student_answers_and_ends_on_a_signal(trained: Workspace) -> None:
    program = "import sys; from limbeck.cli.app import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["serve", "refunds-label", "--port", "0", "--threads", "1", "--json"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert said["task"] == "refunds"
        text = "The kettle came damaged 3 days ago. It cost 20. I want my money back."
        with openai.OpenAI(base_url=said["url"], api_key="none") as client:
            reply = client.chat.completions.create(
                model=said["model"], messages=[{"role": "user", "content": text}]
            )
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    wanted = Student.load(trained.students / said["model"]).ask([text])[0].answer
    assert reply.choices[0].message.content == (wanted or "")
