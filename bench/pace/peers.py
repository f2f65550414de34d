"""Contestants as processes that wait for their turn, and the environment that has TRL."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from pace.work import Order, Pace, Shape
from peer_environment import NotInstalledError, environment

TRL = "1.16.0"
BENCH = Path(__file__).parent.parent


class PeerFailedError(Exception):
    """A contestant could not be installed, or ended before its turn was over."""


class Peer:
    """One contestant in a process of its own; between turns it waits and takes no processor."""

    def __init__(self, name: str, shape: Shape, *, threads: int, allocator: Path | None) -> None:
        self.name = name
        python = with_trl() if name.startswith("trl") else Path(sys.executable)
        environment = {**os.environ, "PYTHONPATH": str(BENCH), "TOKENIZERS_PARALLELISM": "false"}
        environment["OMP_NUM_THREADS"] = str(threads)
        if allocator is not None:
            environment["LD_PRELOAD"] = str(allocator)
        self._process = subprocess.Popen(
            [str(python), "-m", "pace.worker", name, shape.model_dump_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def run(self, order: Order) -> Pace:
        """One turn. Raises PeerFailedError."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(order.model_dump_json() + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self._process.stdout.readline()
        if not line:
            raise PeerFailedError(
                f"{self.name} ended with status {self._process.wait()}; see it fail with: "
                f"PYTHONPATH=bench python -m pace.worker {self.name} '{{}}'"
            )
        return Pace.model_validate_json(line)


def with_trl() -> Path:
    """The Python that has TRL over this environment's torch and transformers; installs it on first use.

    Raises PeerFailedError.
    """
    try:
        return environment(f"trl-{TRL}", f"trl=={TRL}", over_ours=True)
    except NotInstalledError as error:
        raise PeerFailedError(str(error)) from None
