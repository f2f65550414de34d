"""distilabel and datatrove in an environment of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from traffic.litellm import CACHE

VERSIONS = {
    "distilabel": "1.5.3",
    "datatrove": "0.10.1",
    # distilabel's MinHash step does not work with datasketch 2.
    "datasketch": "1.6.5",
    # datatrove divides words with it.
    "spacy": "3.8.18",
}
_WANTED = (
    f"distilabel[minhash]=={VERSIONS['distilabel']}",
    f"datatrove[io,processing]=={VERSIONS['datatrove']}",
    f"datasketch=={VERSIONS['datasketch']}",
    f"spacy=={VERSIONS['spacy']}",
)


class NotInstalledError(Exception):
    """The peers could not be installed."""


def installed() -> Path:
    """The Python that has both; installs them on first use (some minutes, about 1 GB)."""
    folder = CACHE / f"curation-{'-'.join(VERSIONS.values())}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if ready.exists():
        return python
    CACHE.mkdir(parents=True, exist_ok=True)
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", *_WANTED],
    ):
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            lines = ended.stderr.strip().splitlines()
            raise NotInstalledError(
                f"installing {', '.join(_WANTED)} failed: {lines[-1] if lines else 'no reason'}"
            )
    ready.touch()
    return python
