"""Real processes: killed, forked, ended, with a store that fails. Nothing that was returned is lost."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from limbeck.capture import wrap
from limbeck.capture.sdk.journal import open_journal
from limbeck.store.spool import absorb
from limbeck.store.store import Store
from limbeck.types import Provenance, Task, Trace
from limbeck.workspace import Workspace

Kept = Callable[[], list[Trace]]

HEAD = """
import os, sys
import anthropic
from limbeck.capture import wrap
def connect():
    made = anthropic.Anthropic(api_key="k", base_url=sys.argv[1], max_retries=0)
    return wrap(made, task="refunds")
client = connect()
def ask(text, **more):
    asked = [{"role": "user", "content": text}]
    return client.messages.create(
        model="claude-test-1", max_tokens=9, system="Decide.", messages=asked, **more
    )
"""


def run(teacher: Any, code: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HEAD + code, teacher.url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **more,
    )


@pytest.mark.parametrize("sample", ["anthropic.text.json", "anthropic.text.sse"])
def test_a_process_that_is_killed_after_a_call_returned_has_recorded_it(
    teacher: Any, kept: Kept, sample: str
) -> None:
    streams = sample.endswith(".sse")
    (teacher.says_stream if streams else teacher.says_json)(sample)
    code = f"""
for number in range(5):
    reply = ask(f"{{number}} days", stream={streams})
    if {streams}:
        assert [event.type for event in reply][-1] == "message_stop"
    print(number, flush=True)
os.kill(os.getpid(), {int(signal.SIGKILL)})
"""
    done = run(teacher, code)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout.split() == ["0", "1", "2", "3", "4"]
    assert [trace.input for trace in kept()] == [f"{n} days" for n in range(5)]
    with Store(Workspace.find().store_url) as store:
        assert store.verify() == []


@pytest.mark.slow
def test_a_process_ends_by_itself_and_leaves_what_was_cut_off_on_disk(
    teacher: Any, kept: Kept
) -> None:
    teacher.says_stream("anthropic.text.sse")
    done = run(
        teacher,
        """
stream = ask("12 days", stream=True)
next(iter(stream))
stream.close()
""",
    )
    assert done.returncode == 0, done.stderr
    [trace] = kept()
    assert trace.status == "cut_off"


def test_a_call_at_the_very_end_of_a_process_is_recorded(teacher: Any, kept: Kept) -> None:
    teacher.says_json("anthropic.text.json")
    done = run(
        teacher,
        """
import atexit
ask("early")
atexit.register(ask, "late")
""",
    )
    assert done.returncode == 0, done.stderr
    assert [trace.input for trace in kept()] == ["early", "late"]


@pytest.mark.slow
def test_parent_and_child_record_each_their_own_calls_after_a_fork(
    teacher: Any, kept: Kept
) -> None:
    teacher.says_json("anthropic.text.json")
    done = run(
        teacher,
        """
ask("before")
client.close()
client = connect()  # connections are not to be shared with a child
child = os.fork()
ask("child" if child == 0 else "parent")
if child:
    _, status = os.waitpid(child, 0)
    assert status == 0, status
    ask("parent again")
""",
    )
    assert done.returncode == 0, done.stderr
    assert sorted(trace.input for trace in kept()) == ["before", "child", "parent", "parent again"]


@pytest.mark.slow
def test_the_children_of_multiprocessing_record_too(teacher: Any, kept: Kept) -> None:
    teacher.says_json("anthropic.text.json")
    done = run(
        teacher,
        """
import multiprocessing
ask("before")
client.close()
client = connect()
fork = multiprocessing.get_context("fork")
children = [fork.Process(target=ask, args=(f"child {n}",)) for n in range(3)]
for child in children:
    child.start()
for child in children:
    child.join()
    assert child.exitcode == 0
""",
    )
    assert done.returncode == 0, done.stderr
    assert sorted(trace.input for trace in kept()) == ["before", "child 0", "child 1", "child 2"]


def test_what_the_store_does_not_take_waits_in_the_spool(
    teacher: Any, tasked: Workspace, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher.says_json("anthropic.text.json")
    client = wrap(teacher.anthropic(), task="refunds")

    def fail(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(Store, "append", fail)
        client.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}])
    assert kept() == []
    with Store(tasked.store_url) as store:
        absorbed = absorb(store, tasked.home / "spool")
    assert absorbed.lines == 1
    [trace] = kept()
    assert trace.input == "x"


def test_a_journal_that_is_closed_writes_in_the_thread_that_brings_a_trace(tmp_path: Any) -> None:
    journal = open_journal(tmp_path / "store.db")
    provenance = Provenance(source="sdk")
    first = Trace(task=None, input="1", answer="a", provenance=provenance)
    assert journal.submit(first).result(30) == "store"
    journal.close()
    second = journal.submit(first.model_copy(update={"input": "2"}))
    assert second.done()
    with Store(tmp_path / "store.db") as store:
        assert [trace.input for trace in store.traces(None)] == ["1", "2"]


def test_one_store_has_one_journal(tmp_path: Any, task: Task) -> None:
    assert open_journal(tmp_path / "a.db") is open_journal(tmp_path / "a.db")
    assert open_journal(tmp_path / "a.db") is not open_journal(tmp_path / "b.db")
