import json
import os
import sys
from pathlib import Path

import pytest

from traffic.litellm import command, config
from traffic.machine import fdatasync_ms, filesystem, machine, versions
from traffic.processes import (
    DidNotStartError,
    cpu_seconds,
    first_line,
    resident_mb,
    started,
    wait_until_ready,
)

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")


@needs_proc
def test_the_machine_is_described_without_its_name(tmp_path: Path) -> None:
    described = machine(tmp_path) | versions()
    assert os.uname().nodename not in described.values()
    assert str(tmp_path) not in json.dumps(described)
    assert filesystem(tmp_path) != "unknown"


def test_the_disk_is_asked_to_be_sure_and_leaves_nothing_behind(tmp_path: Path) -> None:
    found = fdatasync_ms(tmp_path, times=3)
    assert found is not None
    assert found.max > 0
    assert list(tmp_path.iterdir()) == []


@needs_proc
def test_memory_and_time_of_children_are_counted(tmp_path: Path) -> None:
    burn = "import time; end = time.process_time() + 0.05\nwhile time.process_time() < end: pass"
    say = "print('ready', flush=True); time.sleep(60)"
    code = f"{burn}\n{say}"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    with started([sys.executable, "-c", outer], tmp_path / "log") as process:
        first_line(process, tmp_path / "log")
        assert cpu_seconds(process.pid) >= 0.05
        assert resident_mb(process.pid) > 5
        assert process.poll() is None
    assert process.returncode is not None
    assert resident_mb(process.pid) == 0


def test_a_process_that_does_not_come_up_says_why(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        started([sys.executable, "-c", "raise SystemExit('no port left')"], log) as process,
        pytest.raises(DidNotStartError, match="log ended: no port left"),
    ):
        first_line(process, log)


def test_a_server_that_ends_is_not_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with started([sys.executable, "-c", ""], log, talks=False) as process:
        process.wait()
        with pytest.raises(DidNotStartError, match="it said nothing"):
            wait_until_ready(process, log, 1, "/")


def test_litellm_is_told_where_the_teacher_is_and_to_log_nothing(tmp_path: Path) -> None:
    told = config(4200)
    assert told.count("http://127.0.0.1:4200") == 2
    assert "callbacks" not in told
    line = command(tmp_path / "python", tmp_path / "c.yaml", 4000)
    assert line[line.index("--num_workers") + 1] == "1"
    assert line[line.index("--host") + 1] == "127.0.0.1"
