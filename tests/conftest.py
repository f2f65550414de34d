"""What holds for every test: nothing beyond this machine is reached, and nothing is downloaded."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from limbeck.workspace import Workspace

# Set before any test module is imported, because the libraries read them at import time.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
if "PYTEST_XDIST_WORKER" in os.environ:
    # The workers fill the cores: threads that wait for each other would only slow them down.
    for _pool in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"):
        os.environ.setdefault(_pool, "1")

# How long an example takes is this machine's affair, and says nothing of the product.
settings.register_profile("limbeck", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("limbeck")

ROOT = Path(__file__).parents[1]


def _is_loopback(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True  # AF_UNIX: a path
    host = str(address[0])
    if host in ("localhost", ""):
        return True
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to any other machine fails the test that makes it."""
    plain = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex")}

    def guarded(name: str) -> Any:
        def connect(self: socket.socket, address: Any) -> Any:
            if self.family != socket.AF_UNIX and not _is_loopback(address):
                raise AssertionError(f"a test tried to reach {address!r}; wanted loopback only")
            return plain[name](self, address)

        return connect

    for name in plain:
        monkeypatch.setattr(socket.socket, name, guarded(name))


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty workspace, which is also the current folder."""
    made = Workspace.create(tmp_path / "workspace")
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data sets beside the repository; tests that need it skip without it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the public data sets are not at {folder}")
    return folder
