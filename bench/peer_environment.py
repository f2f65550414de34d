"""Environments of their own for the libraries that ours is measured beside, made on first use."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

CACHE = Path.home() / ".cache" / "limbeck-bench"


class NotInstalledError(Exception):
    """A peer could not be installed."""


def environment(name: str, *wanted: str, over_ours: bool = False) -> Path:
    """The Python of the environment `name`, which has what is `wanted` (as pip has it).

    With `over_ours` it sees the packages of this environment too. Raises NotInstalledError.
    """
    folder = CACHE / name
    python, ready = folder / "bin" / "python", folder / "ready"
    if ready.exists():
        return python
    CACHE.mkdir(parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", "--clear", str(folder)])
    if over_ours:
        where = "import sysconfig; print(sysconfig.get_path('purelib'))"
        inside = subprocess.check_output([str(python), "-c", where], text=True)
        over = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
        (Path(inside.strip()) / "over.pth").write_text(over, encoding="utf-8")
    _run([str(python), "-m", "pip", "install", "--quiet", *wanted])
    ready.touch()
    return python


def _run(command: list[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        lines = ended.stderr.strip().splitlines()
        raise NotInstalledError(
            f"{Path(command[0]).name} {' '.join(command[1:])} failed: "
            f"{lines[-1] if lines else 'it said nothing'}"
        )
