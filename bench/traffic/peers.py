"""Who is measured: the teacher itself, and what may stand before it."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from limbeck import __version__
from limbeck.types import AnswerForm, Task, TeacherSpec
from limbeck.workspace import Workspace
from traffic import litellm
from traffic.processes import (
    DidNotStartError,
    first_line,
    free_port,
    resident_mb,
    started,
    wait_until_ready,
)
from traffic.wire import MODELS, PATHS, Dialect

BENCH = Path(__file__).parents[1]
RECORDED, UNRECORDED = "triage", "triage-off"
"""The tasks of the gateway's workspace: one that is captured, one of mode `off`."""


class Peer(NamedTuple):
    """`paths` has an entry for each dialect that it can be asked in. `pid` is None for the teacher
    without anything before it, and `rest_mb` is its memory before the first request."""

    name: str
    port: int
    paths: dict[Dialect, str]
    pid: int | None
    version: str
    exact: bool = True
    rest_mb: float | None = None


class Skipped(NamedTuple):
    """A peer that cannot be measured here."""

    name: str
    reason: str


@contextlib.contextmanager
def teacher(folder: Path) -> Iterator[tuple[int, int]]:
    """The port and process id of a mock teacher. Raises DidNotStartError."""
    log = folder / "teacher.log"
    command = [sys.executable, "-m", "traffic.upstream"]
    with started(command, log, cwd=BENCH) as process:
        port: int = json.loads(first_line(process, log))["port"]
        yield port, process.pid


@contextlib.contextmanager
def ours(folder: Path, teacher_port: int) -> Iterator[list[Peer | Skipped]]:
    """One gateway with one worker: as `ours` it captures, as `off` it does not.

    Raises DidNotStartError.
    """
    workspace = Workspace.create(folder / "workspace")
    for name, mode in ((RECORDED, "record"), (UNRECORDED, "off")):
        answer = AnswerForm(kind="choice", choices=("refund", "exchange", "repair", "other"))
        task = Task(name=name, answer=answer, teacher=TeacherSpec(model=MODELS["messages"]))
        workspace.write_task(task.model_copy(update={"mode": mode}))
    upstream = f"http://127.0.0.1:{teacher_port}"
    command = [sys.executable, "-m", "limbeck.cli.app", "gateway", "--json", "--port", "0"]
    command += ["--workspace", str(workspace.root), "--upstream", f"anthropic={upstream}"]
    log = folder / "ours.log"
    with started(command, log) as process:
        port = int(json.loads(first_line(process, log))["url"].rpartition(":")[2])
        wait_until_ready(process, log, port, "/limbeck/health")
        rest_mb = resident_mb(process.pid)
        yield [
            Peer(
                name,
                port,
                {"messages": f"/t/{task}{PATHS['messages']}"},
                process.pid,
                __version__,
                rest_mb=rest_mb,
            )
            for name, task in (("ours", RECORDED), ("off", UNRECORDED))
        ]


@contextlib.contextmanager
def nginx(folder: Path, teacher_port: int) -> Iterator[list[Peer | Skipped]]:
    """One worker that passes everything on: the price of a hop, without capture."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        yield [Skipped("nginx", "nginx is not installed")]
        return
    port = free_port()
    (folder / "nginx.conf").write_text(_nginx_conf(folder, port, teacher_port), "utf-8")
    command = [program, "-p", str(folder), "-c", "nginx.conf", "-e", str(folder / "nginx.log")]
    with started(command, folder / "nginx.err", talks=False) as process:
        try:
            wait_until_ready(process, folder / "nginx.err", port, "/ready", timeout_s=20)
        except DidNotStartError as error:
            yield [Skipped("nginx", str(error))]
            return
        said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
        version = said.strip().rpartition("/")[2]
        rest_mb = resident_mb(process.pid)
        yield [Peer("nginx", port, dict(PATHS), process.pid, version, rest_mb=rest_mb)]


@contextlib.contextmanager
def without_logging(folder: Path, teacher_port: int) -> Iterator[list[Peer | Skipped]]:
    """LiteLLM's proxy with one worker; nothing is logged."""
    try:
        python = litellm.installed()
    except litellm.NotInstalledError as error:
        yield [Skipped("litellm", str(error))]
        return
    port = free_port()
    config = folder / "litellm.yaml"
    config.write_text(litellm.config(teacher_port), "utf-8")
    log = folder / "litellm.log"
    command = litellm.command(python, config, port)
    environ = {**os.environ, **litellm.ENVIRON}
    with started(command, log, cwd=folder, environ=environ, talks=False) as process:
        try:
            wait_until_ready(process, log, port, "/health/liveliness")
        except DidNotStartError as error:
            yield [Skipped("litellm", str(error))]
            return
        rest_mb = resident_mb(process.pid)
        peer = Peer("litellm", port, dict(PATHS), process.pid, litellm.VERSION, False, rest_mb)
        yield [peer]


Start = Callable[[Path, int], contextlib.AbstractContextManager[list[Peer | Skipped]]]

STARTS: dict[str, Start] = {
    "nginx": nginx,
    "ours": ours,
    "off": ours,
    "litellm": without_logging,
}
NAMES = ("direct", *STARTS)


@contextlib.contextmanager
def all_of(
    names: list[str], folder: Path, teacher_port: int
) -> Iterator[tuple[list[Peer], list[Skipped]]]:
    """The peers of these names, running side by side, in the order of NAMES."""
    found: list[Peer | Skipped] = [Peer("direct", teacher_port, dict(PATHS), None, "")]
    with contextlib.ExitStack() as stack:
        for start in dict.fromkeys(STARTS[name] for name in names if name in STARTS):
            found += stack.enter_context(start(folder, teacher_port))
        asked = [one for one in found if one.name in names]
        asked.sort(key=lambda one: NAMES.index(one.name))
        yield (
            [one for one in asked if isinstance(one, Peer)],
            [one for one in asked if isinstance(one, Skipped)],
        )


def _nginx_conf(folder: Path, port: int, teacher_port: int) -> str:
    # A master that root starts gives its worker to somebody who may not enter the folder.
    user = f"user {getpass.getuser()};\n" if os.geteuid() == 0 else ""
    temporary = "\n".join(
        f"  {kind}_temp_path {folder}/nginx-{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
{user}daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 4096; }}
http {{
{temporary}
  access_log off;
  tcp_nodelay on;
  keepalive_requests 100000000;
  client_body_buffer_size 64k;
  upstream teacher {{
    server 127.0.0.1:{teacher_port};
    keepalive 1024;
    keepalive_requests 100000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /ready {{ return 200; }}
    location / {{
      proxy_pass http://teacher;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""
