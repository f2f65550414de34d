"""What a forked child of the tests does: what `python -m limbeck.serve.child` does, with given ends."""

from __future__ import annotations

import os
import resource
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from limbeck.serve.child import main


def run(reads: Connection, says: Connection, log: Path, files: tuple[int, int] | None) -> int:
    """Serve on these ends of pipes, as the standard ones. Returns the exit code."""
    with log.open("wb") as words:
        for mine, standard in ((reads, 0), (says, 1), (words, 2)):
            os.dup2(mine.fileno(), standard)
    reads.close()
    says.close()
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    if files is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, files)
    return main()


if __name__ == "__main__":
    sys.exit(run(**{name: globals()[name] for name in ("reads", "says", "log", "files")}))
