from __future__ import annotations

import os
import pickle
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from limbeck.distill.allocator import find_allocator
from limbeck.distill.workers import side_by_side
from limbeck.errors import Interrupted, LimbeckError, MissingExtraError, TrainingError

# Worker processes import a job by the name of its module, and these tests belong to none.
JOBS = """
import os, time
from limbeck.errors import Interrupted, MissingExtraError, TrainingError

def double(argument, report, should_stop, threads):
    report(("began", argument))
    return argument * 2, threads

def preload(argument, report, should_stop, threads):
    return os.environ.get("LD_PRELOAD")

def choosy(argument, report, should_stop, threads):
    if argument == "fails":
        raise TrainingError("the loss is not a number")
    if argument == "lacks":
        raise MissingExtraError("torch", "train")
    if argument == "dies":
        os._exit(1)
    report("began")
    while not should_stop():
        time.sleep(0.01)
    report("saved")
    raise Interrupted("stopped at step 3")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "limbeck_test_jobs.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    return "limbeck_test_jobs"


def job(module: str, name: str) -> object:
    return getattr(__import__(module), name)


def test_results_come_in_the_order_of_the_arguments(module: str) -> None:
    events: list[tuple[int, object]] = []
    results: dict[int, object] = {}
    found = side_by_side(
        job(module, "double"),  # type: ignore[arg-type]  # a function, found by name
        [1, 2, 3],
        jobs=2,
        on_event=lambda index, event: events.append((index, event)),
        on_result=results.__setitem__,
    )
    assert [value for value, _ in found] == [2, 4, 6]
    assert all(threads >= 1 for _, threads in found)
    assert results == dict(enumerate(found))
    assert sorted(events) == [(0, ("began", 1)), (1, ("began", 2)), (2, ("began", 3))]


def test_nothing_to_do_starts_no_process() -> None:
    assert side_by_side(lambda: None, []) == []


@pytest.mark.parametrize(
    ("argument", "kind", "said"),
    [
        ("fails", TrainingError, "the loss is not a number"),
        ("lacks", MissingExtraError, r"pip install 'limbeck\[train\]'"),
        ("dies", LimbeckError, "a worker process died"),
    ],
)
def test_the_first_error_stops_the_others_and_is_the_one_that_is_raised(
    module: str, argument: str, kind: type[LimbeckError], said: str
) -> None:
    with pytest.raises(LimbeckError, match=said) as caught:
        side_by_side(job(module, "choosy"), ["waits", argument, "never begins"], jobs=2)  # type: ignore[arg-type]  # a function, found by name
    assert type(caught.value) is kind


def test_ctrl_c_lets_the_workers_save_and_is_one_sentence(module: str, tmp_path: Path) -> None:
    program = (
        "import sys, signal, os\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        f"from {module} import choosy\n"
        "from limbeck.distill.workers import side_by_side\n"
        "from limbeck.errors import Interrupted\n"
        "def main():\n"
        "    try:\n"
        "        ctrl_c = lambda index, event: os.kill(os.getpid(), signal.SIGINT)\n"
        "        side_by_side(choosy, ['waits'], jobs=1, on_event=ctrl_c)\n"
        "    except Interrupted as error:\n"
        "        print(error)\n"
        "if __name__ == '__main__':\n"
        "    main()\n"
    )
    script = tmp_path / "script.py"
    script.write_text(program)
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run
    assert run.stderr == ""
    assert run.stdout.startswith("stopped; what was finished is kept")


@pytest.mark.slow
def test_a_worker_whose_parent_was_killed_ends(module: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, sys\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        f"from {module} import choosy\n"
        "from limbeck.distill.workers import side_by_side\n"
        "if __name__ == '__main__':\n"
        "    kill = lambda index, event: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    side_by_side(choosy, ['waits'], jobs=1, on_event=kill)\n"
    )
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE)
    assert process.wait(60) == -signal.SIGKILL
    assert process.stdout is not None
    # A worker that went on would hold its end of the pipe open, and this would never come back.
    with process.stdout as pipe:
        assert select.select([pipe], [], [], 60)[0]
        assert pipe.read() == b""


def test_errors_travel_between_processes() -> None:
    error = pickle.loads(pickle.dumps(MissingExtraError("torch", "train")))
    assert (error.module, error.extra) == ("torch", "train")
    assert str(error) == str(MissingExtraError("torch", "train"))
    assert type(pickle.loads(pickle.dumps(Interrupted("x")))) is Interrupted


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="LD_PRELOAD is Linux's")
@pytest.mark.parametrize(
    ("own", "wanted"),
    [(None, "/lib/liballocator.so"), ("", None), ("/lib/mine.so", "/lib/mine.so")],
)
def test_workers_get_the_allocator_unless_the_user_chose_one(
    module: str, monkeypatch: pytest.MonkeyPatch, own: str | None, wanted: str | None
) -> None:
    # The loader only warns of a library that is not there.
    monkeypatch.setattr(
        "limbeck.distill.allocator.find_allocator", lambda: Path("/lib/liballocator.so")
    )
    if own is None:
        monkeypatch.delenv("LD_PRELOAD", raising=False)
    else:
        monkeypatch.setenv("LD_PRELOAD", own)
    found = side_by_side(job(module, "preload"), [1], jobs=1)  # type: ignore[arg-type]
    assert found == [wanted or own]
    assert os.environ.get("LD_PRELOAD") == own


def test_an_allocator_is_a_library_that_is_there_or_none() -> None:
    found = find_allocator()
    assert found is None or found.is_file()
