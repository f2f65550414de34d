"""`limbeck elicit` as a process of its own, against a simulated teacher in another."""

from __future__ import annotations

import fcntl
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import urllib3

from limbeck.capture.sandbox.faults import FaultRates
from limbeck.capture.sandbox.tasks import load
from limbeck.cli.app import main
from limbeck.serve.running import running
from limbeck.store.store import Store
from limbeck.types import Provenance, Trace, Usage
from limbeck.workspace import Workspace

DRIVER = """
import importlib, os, signal, sys
from limbeck.capture.post_hoc import batching
from limbeck.cli.app import main

where, when, nth = sys.argv[1], sys.argv[2], int(sys.argv[3])
batching.SETTLE_S = 0
batching.FIRST_POLL_S = batching.LONGEST_POLL_S = 0.01
batching.ASKED_POLL_S = (0.01, 0.01)
calls = 0


def act():
    if when == "say":
        print("here", flush=True)
    else:
        os.kill(os.getpid(), signal.SIGKILL)


if where != "nowhere":
    module, _, name = where.partition(":")
    owner = importlib.import_module(module)
    *path, method = name.split(".")
    for step in path:
        owner = getattr(owner, step)
    plain = getattr(owner, method)

    def called(*given, **more):
        global calls
        calls += 1
        if when in ("before", "say") and calls == nth:
            act()
        result = plain(*given, **more)
        if when == "after" and calls == nth:
            act()
        return result

    setattr(owner, method, called)
sys.exit(main(sys.argv[4:]))
"""
SAVE = "limbeck.capture.post_hoc.submissions:Submissions.save"
EXPLAIN = "limbeck.store.store:Store.explain"
SUBMIT = {
    "anthropic": "limbeck.models.batches.anthropic:MessageBatches.submit",
    "openai_chat": "limbeck.models.batches.openai:OpenAIBatches.submit",
}
UPLOAD = "limbeck.models.batches.connection:Connection.upload"

Teacher = Callable[..., str]


@pytest.fixture
def teacher(workspace: Workspace) -> Iterator[Teacher]:
    """Start a simulated teacher and make it every upstream of the workspace; returns its URL."""
    with ExitStack() as stack:

        def start(**batches: Any) -> str:
            arguments = {"rates": FaultRates.none().model_dump(), "batches": batches}
            made = running("limbeck.capture.sandbox.server:create_app", arguments)
            url = stack.enter_context(made).url
            (workspace.root / "limbeck.toml").write_text(
                f'[gateway.upstreams.anthropic]\nbase_url = "{url}"\n'
                f'[gateway.upstreams.openai_chat]\nbase_url = "{url}/v1"\n'
            )
            return url

        yield start


@pytest.fixture
def fill(workspace: Workspace) -> Callable[..., list[str]]:
    """So many traces of a task without a rationale, with the task's file; returns their ids."""

    def make(count: int, task: str = "refunds") -> list[str]:
        workspace.write_task(load(task).task())
        provenance = Provenance(
            source="gateway", generator="simulated-teacher", dialect="anthropic"
        )
        made = [
            Trace(
                task=task,
                input=item.input,
                raw=f"Answer: {item.truth}",
                usage=Usage(input=200, output=5),
                provenance=provenance,
            )
            for item in load(task).generate(count, seed=1)
        ]
        with Store(workspace.store_url) as store:
            store.add(made)
        return [trace.id for trace in made]

    return make


def rationales(workspace: Workspace, task: str = "refunds") -> dict[str, Any]:
    with Store(workspace.store_url) as store:
        return dict(store.rationales(task))


def taken(url: str) -> int:
    """How many requests the teacher was handed in batches."""
    with urllib3.PoolManager() as pool:
        ours = pool.request("GET", f"{url}/v1/messages/batches").json()["data"]
        theirs = pool.request("GET", f"{url}/v1/batches").json()["data"]
    return sum(
        [sum(one["request_counts"].values()) for one in ours]
        + [one["request_counts"]["total"] for one in theirs]
    )


def driven(where: str, when: str, nth: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", DRIVER, where, when, str(nth), "elicit", *arguments]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


# ---- the price and the agreement ----------------------------------------------------------------


def test_a_dry_run_shows_the_price_and_asks_nothing(
    workspace: Workspace, teacher: Teacher, fill: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    url = teacher()
    fill(5)
    assert main(["elicit", "--task", "refunds", "--dry-run", "--json"]) == 0
    shown = said(capsys)
    assert (shown["step"], shown["gap"]["lacking"], shown["gap"]["chosen"]) == ("planned", 5, 5)
    assert 0 < shown["estimate"]["usd"] < shown["estimate"]["most_usd"]
    assert main(["elicit", "--task", "refunds", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "price               about $" in text
    assert "nothing was asked" in text
    assert taken(url) == 0


def test_without_a_terminal_money_is_spent_only_with_yes(
    workspace: Workspace, teacher: Teacher, fill: Any
) -> None:
    url = teacher()
    fill(5)
    ran = driven("nowhere", "before", 1, "--task", "refunds")
    assert ran.returncode == 2
    assert "price               about $" in ran.stdout
    assert "agree with --yes" in ran.stderr
    assert ran.stderr.count("\n") == 1
    assert taken(url) == 0


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("answer", "code", "count"), [("n\n", 1, 0), ("y\n", 0, 3)])
def test_at_a_terminal_the_price_is_agreed_to(
    workspace: Workspace,
    teacher: Teacher,
    fill: Any,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
    count: int,
) -> None:
    url = teacher(looks=0)
    fill(3)
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert main(["elicit", "--task", "refunds"]) == code
    assert taken(url) == len(rationales(workspace)) == count


# ---- the whole loop -----------------------------------------------------------------------------


@pytest.mark.parametrize("upstream", ["anthropic", "openai_chat"])
def test_the_whole_loop_asks_fetches_and_asks_again_about_what_failed(
    workspace: Workspace,
    teacher: Teacher,
    fill: Any,
    capsys: pytest.CaptureFixture[str],
    upstream: str,
) -> None:
    url = teacher(looks=1, faults=["errored", "expired"])
    ids = fill(8)
    asking = ["elicit", "--task", "refunds", "--upstream", upstream, "--yes", "--json"]
    assert main([*asking, "--limit", "5", "--no-wait"]) == 0
    first = said(capsys)
    assert (first["step"], first["batches"][0]["step"]) == ("waiting", "submitted")
    assert main([*asking, "--limit", "5", "--no-wait"]) == 0
    second = said(capsys)
    assert (second["step"], second["resumed"]) == ("done", True)
    assert second["tally"]["failed"] == {"errored": 1, "expired": 1}
    assert second["tally"]["explained"] == 3
    assert taken(url) == 5
    assert main(asking) == 0
    assert said(capsys)["tally"]["explained"] == 5
    assert set(rationales(workspace)) == set(ids)
    assert main(asking) == 0
    assert said(capsys)["step"] == "nothing"
    assert taken(url) == 10


def test_two_tasks_keep_apart(
    workspace: Workspace, teacher: Teacher, fill: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher(looks=1)
    fill(3)
    fill(4, "ledger")
    for task in ("refunds", "ledger"):
        assert main(["elicit", "--task", task, "--yes", "--no-wait"]) == 0
    capsys.readouterr()
    for task, count in (("refunds", 3), ("ledger", 4)):
        assert main(["elicit", "--task", task, "--no-wait", "--json"]) == 0
        assert said(capsys)["tally"]["explained"] == count
        assert len(rationales(workspace, task)) == count


def test_without_a_batch_the_teacher_is_asked_at_once(
    workspace: Workspace, teacher: Teacher, fill: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    url = teacher()
    fill(4)
    assert main(["elicit", "--task", "refunds", "--no-batch", "--yes", "--blind", "--json"]) == 0
    done = said(capsys)
    assert (done["step"], done["tally"]["explained"], done["tally"]["differing"]) == ("done", 4, 0)
    assert done["estimate"]["batch"] is False
    assert taken(url) == 0
    assert len(rationales(workspace)) == 4


def test_replies_in_vain_are_asked_again_only_when_told_so(
    workspace: Workspace, teacher: Teacher, fill: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher(looks=0)
    fill(2)
    asking = ["elicit", "--task", "refunds", "--yes", "--json"]
    assert main([*asking, "--no-batch", "--max-tokens", "16"]) == 0
    assert said(capsys)["tally"]["unusable"] == {"cut_off": 2}
    assert main(asking) == 0
    assert said(capsys)["gap"]["passed_over"] == {"asked before in vain": 2}
    assert main([*asking, "--again"]) == 0
    assert said(capsys)["tally"]["explained"] == 2


# ---- whom to ask --------------------------------------------------------------------------------


def test_what_cannot_be_asked_is_refused_in_one_sentence(
    workspace: Workspace,
    teacher: Teacher,
    fill: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    teacher()
    fill(1)
    asking = ["elicit", "--task", "refunds", "--yes"]
    for more, code, words in [
        (["--teacher", "nobody:m"], 2, "wanted anthropic:MODEL or"),
        (["--teacher", "anthropic:m", "--model", "n"], 2, "without --upstream and --model"),
        (["--upstream", "elsewhere"], 1, "wanted one of anthropic, openai_chat"),
    ]:
        assert main([*asking, *more]) == code
        assert words in capsys.readouterr().err
    (workspace.root / "limbeck.toml").write_text("")
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    assert main(asking) == 1
    assert "export ANTHROPIC_API_KEY=..." in capsys.readouterr().err
    assert rationales(workspace) == {}


def test_a_key_stands_in_no_file_and_no_output(
    workspace: Workspace,
    teacher: Teacher,
    fill: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    teacher(looks=0)
    settings = workspace.root / "limbeck.toml"
    settings.write_text(settings.read_text() + 'key_env = "PLANTED"\n')
    monkeypatch.setenv("PLANTED", "planted-secret")
    fill(2)
    assert main(["elicit", "--task", "refunds", "--upstream", "openai_chat", "--yes"]) == 0
    assert len(rationales(workspace)) == 2
    shown = capsys.readouterr()
    assert "planted" not in shown.out + shown.err
    files = [path for path in workspace.root.rglob("*") if path.is_file()]
    assert not [path for path in files if b"planted-secret" in path.read_bytes()]


# ---- broken off ---------------------------------------------------------------------------------


def broken_and_resumed(
    workspace: Workspace, url: str, upstream: str, where: str, when: str, nth: int
) -> None:
    arguments = ("--task", "refunds", "--upstream", upstream, "--yes", "--json")
    killed = driven(where, when, nth, *arguments)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    after = driven("nowhere", "before", 1, *arguments)
    assert after.returncode == 0, after.stderr
    assert json.loads(after.stdout)["step"] in ("done", "nothing")
    assert taken(url) == 4
    assert len(rationales(workspace)) == 4
    again = driven("nowhere", "before", 1, *arguments)
    assert json.loads(again.stdout)["step"] == "nothing"
    assert taken(url) == 4
    with Store(workspace.store_url) as store:
        assert store.verify() == []


def test_killed_when_the_batch_was_taken_and_nobody_wrote_it_down_it_pays_once(
    workspace: Workspace, teacher: Teacher, fill: Any
) -> None:
    url = teacher(looks=1)
    fill(4)
    broken_and_resumed(workspace, url, "anthropic", SUBMIT["anthropic"], "after", 1)


@pytest.mark.slow
@pytest.mark.parametrize("upstream", ["anthropic", "openai_chat"])
@pytest.mark.parametrize(
    ("where", "when", "nth"),
    [
        (SAVE, "before", 1),
        (SAVE, "after", 1),
        (SAVE, "after", 2),
        ("submit", "after", 1),
        (SAVE, "after", 3),
        (EXPLAIN, "before", 1),
        (EXPLAIN, "after", 1),
        (SAVE, "before", 4),
        (SAVE, "after", 4),
    ],
    ids=[
        "nothing written",
        "prepared",
        "submitting",
        "taken and not written",
        "submitted",
        "results on their way",
        "results kept",
        "collected and not written",
        "collected",
    ],
)
def test_killed_between_any_two_steps_it_loses_nothing_and_pays_once(
    workspace: Workspace,
    teacher: Teacher,
    fill: Any,
    upstream: str,
    where: str,
    when: str,
    nth: int,
) -> None:
    url = teacher(looks=1)
    fill(4)
    place = SUBMIT[upstream] if where == "submit" else where
    broken_and_resumed(workspace, url, upstream, place, when, nth)


@pytest.mark.slow
def test_killed_between_the_file_and_its_batch_it_pays_once(
    workspace: Workspace, teacher: Teacher, fill: Any
) -> None:
    url = teacher(looks=1)
    fill(4)
    broken_and_resumed(workspace, url, "openai_chat", UPLOAD, "after", 1)


def test_ctrl_c_while_it_waits_leaves_everything_to_be_resumed(
    workspace: Workspace, teacher: Teacher, fill: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    url = teacher(looks=100_000)
    fill(3)
    state = "limbeck.models.batches.anthropic:MessageBatches.state"
    command = [sys.executable, "-c", DRIVER, state, "say", "3", "elicit", "--task", "refunds"]
    with subprocess.Popen(
        [*command, "--yes", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert "run the same command again" in errors
    assert main(["elicit", "--task", "refunds", "--no-wait", "--json"]) == 0
    assert said(capsys)["step"] == "waiting"
    assert taken(url) == 3


def test_another_program_that_asks_about_the_task_is_waited_for(
    workspace: Workspace, teacher: Teacher, fill: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher()
    fill(1)
    folder = workspace.home / "elicit" / "refunds"
    folder.mkdir(parents=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert main(["elicit", "--task", "refunds", "--yes"]) == 1
    assert "another `limbeck elicit --task refunds` is running" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["lock"]
