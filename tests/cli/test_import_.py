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
        "read": 5,
        "added": 0,
        "already": 5,
        "outcomes": 0,
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
