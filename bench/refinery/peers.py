"""distilabel and datatrove in an environment of their own."""

from __future__ import annotations

from pathlib import Path

from peer_environment import NotInstalledError, environment

__all__ = ["VERSIONS", "NotInstalledError", "installed"]

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


def installed() -> Path:
    """The Python that has both; installs them on first use (some minutes, about 1 GB). Raises
    NotInstalledError."""
    return environment(f"curation-{'-'.join(VERSIONS.values())}", *_WANTED)
