"""Tables in parts: in memory while they are few, else each in a file of one folder.

A file has its name only when all of it is written, so that a worker that was killed and started anew
does no harm.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from limbeck.errors import DatasetError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has no such locks
    fcntl = None  # type: ignore[assignment]

PREFIX = ".curating-"
_LOCK = "lock"


@dataclass(frozen=True)
class Part:
    """One table: `frame`, or the file `path` that holds it."""

    frame: pl.DataFrame | None = None
    path: Path | None = None

    def load(self, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The table, or some columns of it."""
        if self.path is None:
            assert self.frame is not None
            return self.frame if columns is None else self.frame.select(columns)
        return pl.read_ipc(self.path, columns=None if columns is None else list(columns))

    def drop(self) -> None:
        """Give its space back; it cannot be loaded any more."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


class Spill:
    """Where parts are kept: a folder of their own in `place`, or memory where that is None.

    The folder goes with this object. One that a killed run has left is swept away by the next in the
    same place, which sees that nobody holds its lock.
    """

    def __init__(self, place: Path | None) -> None:
        self.folder: Path | None = None
        if place is None:
            return
        place.mkdir(parents=True, exist_ok=True)
        sweep(place)
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        lock = _lock(self.folder)
        self._close = weakref.finalize(self, _remove, self.folder, lock)

    def keep(self, name: str, frame: pl.DataFrame) -> Part:
        """`frame` as a part of that name."""
        return keep(self.folder, name, frame)

    def close(self) -> None:
        """Remove the folder and all parts in it."""
        if self.folder is not None:
            self._close()


def keep(folder: Path | None, name: str, frame: pl.DataFrame) -> Part:
    """`frame` as a part in the file `name` of `folder`, or in memory without one."""
    if folder is None:
        return Part(frame=frame)
    path = folder / f"{name}.arrow"
    half = folder / f"{name}.{os.getpid()}.half"
    frame.write_ipc(half, compression="uncompressed")
    half.replace(path)
    return Part(path=path)


def sweep(place: Path) -> None:
    """Remove what killed runs have left in `place`."""
    for folder in place.glob(f"{PREFIX}*"):
        lock = _lock(folder) if (folder / _LOCK).exists() else None
        if lock is not None:
            _remove(folder, lock)


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the lock of `folder`; None where another process does."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:  # swept away by another in this moment
        return None
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
    return descriptor


def _remove(folder: Path, lock: int | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if lock is not None:
        os.close(lock)


@contextmanager
def disk(out_dir: Path) -> Iterator[None]:
    """The boundary to the disk: what it says becomes one sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise DatasetError(
            f"no dataset could be written into {out_dir}: {reason}; earlier datasets are as they "
            f"were; make room or choose another folder, and run the same command again"
        ) from error
    except pl.exceptions.ComputeError as error:
        raise DatasetError(
            f"no dataset could be written into {out_dir}: {error}; earlier datasets are "
            f"as they were"
        ) from error
