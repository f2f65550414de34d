from __future__ import annotations

import gzip
import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from limbeck.cli.app import main
from limbeck.store.store import Store
from limbeck.workspace import Workspace

TASK = """
[answer]
kind = "choice"
choices = ["yes", "no"]
[rows]
input = "q"
reply = "reply"
truth = "gold"
id = "id"
"""


@pytest.fixture
def file(workspace: Workspace) -> Path:
    (workspace.tasks_folder / "t.toml").write_text(TASK)
    return workspace.root / "rows.jsonl"


def lines(count: int) -> list[bytes]:
    return [
        json.dumps({"id": n, "q": f"Is it {n}?", "reply": "Answer: yes", "gold": "no"}).encode()
        for n in range(1, count + 1)
    ]


def stored(workspace: Workspace) -> int:
    with Store(workspace.store_url) as store:
        assert store.verify() == []
        return store.counts().traces


def test_an_import_says_what_came_in(
    workspace: Workspace, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(b"\n".join(lines(5)))
    assert main(["import", str(file), "--task", "t"]) == 0
    assert capsys.readouterr().out.split("\n")[:4] == [
        "rows read              5",
        "new traces             5",
        "already there          0",
        "new outcomes           5",
    ]
    assert main(["import", str(file), "--task", "t", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "format": "rows",
        "why": "[rows] of the task file fits the first rows",
        "read": 5,
        "added": 0,
        "already": 5,
        "outcomes": 0,
        "unused_scores": 0,
        "unanswered": 0,
        "other_instructions": 0,
        "skipped": {},
    }
    assert stored(workspace) == 5


def test_invalid_utf_8_is_named_by_its_line_and_earlier_batches_stay(
    workspace: Workspace, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = lines(8000)
    rows[7311] = rows[7311].replace(b"Is it", b"Is \xe9t")
    file.write_bytes(gzip.compress(b"\n".join(rows)))
    assert main(["import", str(file), "--task", "t"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {file}, line 7,312: byte ")
    assert "(0xe9) is not UTF-8" in said
    assert "7,000 rows before it were written to the store" in said
    assert stored(workspace) == 7000
    file.write_bytes(b"\n".join(lines(8000)))
    assert main(["import", str(file), "--task", "t"]) == 0
    assert stored(workspace) == 8000


def test_the_mapping_may_be_given_on_the_command_line(workspace: Workspace, file: Path) -> None:
    file.write_text('{"question": "x", "label": "NO"}\n')
    mapping = ["--map", "input={question}?", "--map", "answer=label", "--map", "reply="]
    taken = ["--map", "truth=", "--map", "id="]
    assert main(["import", str(file), "--task", "t", "--split", "test", *mapping, *taken]) == 0
    with Store(workspace.store_url) as store:
        [trace] = store.traces("t")
    assert (trace.input, trace.answer, trace.raw, trace.split) == ("x?", "no", None, "test")


@pytest.mark.parametrize(
    ("pair", "wanted"),
    [
        ("truth", "wanted FIELD=KEY"),
        ("truh=x", "'truh' (did you mean 'truth'?)"),
        ("input=", "cannot be taken away"),
    ],
)
def test_a_wrong_mapping_is_wrong_usage(
    file: Path, pair: str, wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(lines(1)[0])
    assert main(["import", str(file), "--task", "t", "--map", pair]) == 2
    assert wanted in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"", "the file is empty"),
        (b'{"q": "x", "reply": "y", "gold": "maybe", "id": 1}', "wanted one of ['yes', 'no']"),
        (b'{"q": "x", "reply": "y", "id": 1}', "the key 'gold' is missing; the keys are: q, reply"),
        (gzip.compress(b"\n".join(lines(500)))[:-40], "the gzip stream breaks off after line"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_1(
    workspace: Workspace,
    file: Path,
    data: bytes,
    wanted: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file.write_bytes(data)
    assert main(["import", str(file), "--task", "t"]) == 1
    said = capsys.readouterr().err
    assert wanted in said
    assert said.count("\n") == 1
    assert stored(workspace) == 0


def test_a_full_disk_leaves_the_store_intact_and_a_second_run_completes(
    workspace: Workspace, file: Path
) -> None:
    file.write_bytes(b"\n".join(lines(4000)))
    with Store(workspace.store_url):
        pass
    command = [sys.executable, "-m", "limbeck.cli.app", "import", str(file), "--task", "t"]

    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))

    run = subprocess.run(
        command, capture_output=True, text=True, check=False, preexec_fn=small_disk
    )
    assert run.returncode == 1, run
    assert run.stderr.startswith("error: cannot write the store")
    assert "nothing of this batch was written" in run.stderr
    assert run.stderr.count("\n") == 1
    kept = stored(workspace)
    assert kept in (1000, 2000, 3000)
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run
    assert f"already there  {kept:>9,}" in run.stdout
    assert stored(workspace) == 4000


def conversation(n: int, reply: str = "It is.\nAnswer: yes") -> bytes:
    turns = [{"role": "user", "content": f"Is it {n}?"}, {"role": "assistant", "content": reply}]
    return json.dumps({"messages": turns, "id": n}).encode()


def test_a_format_is_recognised_and_said(
    workspace: Workspace, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(b"\n".join([conversation(1), conversation(2, "I cannot say.")]))
    assert main(["import", str(file), "--task", "t"]) == 0
    said = capsys.readouterr().out.split("\n")
    assert said[0] == "format         messages: the key 'messages' holds a list of turns"
    assert "no answer              1  was found; see [reply] of the task" in said
    assert said[-2] == "next: limbeck curate --task t"


def test_calls_of_no_task_go_on_to_be_discovered(
    workspace: Workspace, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(conversation(1))
    assert main(["import", str(file)]) == 0
    assert capsys.readouterr().out.endswith("next: limbeck discover\n")
    with Store(workspace.store_url) as store:
        assert [trace.task for trace in store.traces(None)] == [None]


def test_a_dry_run_shows_three_traces_and_makes_no_store(
    workspace: Workspace, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(b"\n".join(conversation(n) for n in range(5)))
    assert main(["import", str(file), "--task", "t", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert [line for line in said.split("\n") if line.startswith("input")] == [
        f"input      Is it {n}?" for n in range(3)
    ]
    assert "rationale  It is.\nanswer     yes\n" in said
    assert "nothing was written (--dry-run)" in said
    assert not workspace.store_path.exists()
    assert main(["import", str(file), "--task", "t", "--dry-run", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["shown"]) == 3


def test_the_requests_of_a_batch_are_joined(
    workspace: Workspace, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = {
        "type": "message",
        "id": "msg_1",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "Answer: no"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }
    result = {"custom_id": "a", "result": {"type": "succeeded", "message": message}}
    file.write_text(json.dumps(result))
    assert main(["import", str(file), "--task", "t"]) == 2
    assert "give the file that was sent with --requests FILE" in capsys.readouterr().err
    params = {"model": "m", "messages": [{"role": "user", "content": "Is it?"}]}
    sent = file.with_name("sent.jsonl")
    sent.write_text(json.dumps({"custom_id": "a", "params": params}))
    assert main(["import", str(file), "--task", "t", "--requests", str(sent)]) == 0
    with Store(workspace.store_url) as store:
        [trace] = store.traces("t")
    assert (trace.input, trace.raw, trace.usage.tier) == ("Is it?", "Answer: no", "batch")


def test_what_the_gateway_redacts_an_import_redacts_too(workspace: Workspace, file: Path) -> None:
    (workspace.root / "limbeck.toml").write_text('[gateway.redact]\nkinds = ["email"]\n')
    file.write_bytes(conversation(1, "Write to jo@example.org"))
    assert main(["import", str(file)]) == 0
    with Store(workspace.store_url) as store:
        [trace] = store.traces(None)
    assert "jo@example.org" not in trace.content


@pytest.mark.parametrize(
    ("options", "code", "wanted"),
    [
        (
            ["--format", "langfus"],
            2,
            "--format is 'langfus' (did you mean 'langfuse'?); wanted one",
        ),
        (["--format", "litellm"], 1, "the first rows do not look like 'litellm'; their keys are"),
        (["--map", "input=q"], 2, "--map needs --task"),
        (["--task", "t", "--format", "otlp", "--map", "input=q"], 2, "--map is for rows"),
        (["--format", "rows"], 2, "wanted a --task whose [rows] say"),
    ],
)
def test_a_wrong_format_is_one_sentence(
    file: Path, options: list[str], code: int, wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(conversation(1))
    assert main(["import", str(file), *options]) == code
    said = capsys.readouterr().err
    assert wanted in said
    assert said.count("\n") == 1
