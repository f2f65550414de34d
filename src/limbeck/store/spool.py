"""The second place: traces that the store does not take wait in files until it does again.

A folder holds one file for each process that writes. A line is one trace with its blobs; it is on
disk when `add` returns. Whoever reads a file holds its lock, and deletes it once all is in the store.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import itertools
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from limbeck.errors import StoreError
from limbeck.store.rows import plain, read_trace
from limbeck.store.writer import NO_BLOBS, Entry
from limbeck.types import Noun, Outcome, Trace, canonical_json

ENDING = ".jsonl"
BATCH = 500
"""Traces in one transaction while a spool is emptied."""
_numbers = itertools.count()


class Absorbed(Noun):
    """What became of a folder of spools.

    `lines` were read and are in the store; `halves` are last lines that a crash cut off: nobody was
    told that they were on disk. `damaged` lines could not be read and stay in a file named `.damaged`.
    `busy` files were in use.
    """

    files: int = 0
    lines: int = 0
    halves: int = 0
    damaged: int = 0
    busy: int = 0


class Spool:
    """Appends to one file in `folder`; safe between threads if one thread at a time calls `add`."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._file: int | None = None

    def add(self, entries: Sequence[Entry]) -> None:
        """Append the entries; they are on disk when this returns.

        Raises StoreError, with nothing appended.
        """
        data = b"".join(_line(entry.trace, entry.blobs) for entry in entries)
        try:
            file = self._locked()
            try:
                _append(file, data)
            finally:
                _unlock(file)
        except OSError as error:
            self.close()
            raise StoreError(
                f"cannot write the spool {self.folder}: {error.strerror}; check its free space and "
                f"permissions, or name another folder",
                whole=True,
            ) from error

    def close(self) -> None:
        """Let the file go; `add` begins another."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _locked(self) -> int:
        """The file, locked and still in the folder: not the one that somebody empties now."""
        while True:
            if self._file is None:
                self._file = self._create()
            if _lock(self._file) and os.fstat(self._file).st_nlink:
                return self._file
            self.close()

    def _create(self) -> int:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{os.getpid()}-{time.time_ns()}-{next(_numbers)}{ENDING}"
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        file = os.open(self.folder / name, flags, 0o600)
        _sync_folder(self.folder)
        return file


class Keeper(Protocol):
    """What is needed of a store to take in what it may have already."""

    def record(
        self,
        traces: Sequence[Trace],
        outcomes: Sequence[Outcome],
        blobs: Mapping[str, bytes] = NO_BLOBS,
    ) -> object: ...


def absorb(store: Keeper, folder: str | Path) -> Absorbed:
    """Bring the traces of all spools in `folder` into `store`; a file goes once they are there.

    Traces that the store has already change nothing. Raises StoreError where the store fails; the
    file then stays. Other processes may write to the folder, and empty it, at the same time.
    """
    found = Absorbed()
    for path in sorted(Path(folder).glob(f"*{ENDING}")):
        with contextlib.suppress(FileNotFoundError):
            found = _sum(found, _absorb_file(store, path))
    return found


def _absorb_file(store: Keeper, path: Path) -> Absorbed:
    with path.open("rb+") as file:
        if not _lock(file.fileno()):
            return Absorbed(busy=1)
        lines = halves = damaged = 0
        traces: list[Trace] = []
        blobs: dict[str, bytes] = {}
        for data in file:
            if not data.endswith(b"\n"):
                halves += 1
                continue
            try:
                trace, its_blobs = _read(data)
            except (ValueError, KeyError, TypeError, AttributeError):
                damaged += 1
                continue
            lines += 1
            traces.append(trace)
            blobs |= its_blobs
            if len(traces) == BATCH:
                store.record(traces, (), blobs)
                traces, blobs = [], {}
        store.record(traces, (), blobs)
        if damaged:
            path.replace(path.with_suffix(".damaged"))
        else:
            path.unlink()
        _sync_folder(path.parent)
    return Absorbed(files=1, lines=lines, halves=halves, damaged=damaged)


def _lock(file: int) -> bool:
    # Not at the top: Windows has no such module, and a gateway without a spool runs there.
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unlock(file: int) -> None:
    import fcntl

    fcntl.flock(file, fcntl.LOCK_UN)


def _line(trace: Trace, blobs: Mapping[str, bytes]) -> bytes:
    kept = {name: base64.b64encode(data).decode() for name, data in blobs.items()}
    text = f'{{"blobs":{canonical_json(kept)},"trace":{plain(trace.content)}}}\n'
    return text.encode()


def _read(data: bytes) -> tuple[Trace, dict[str, bytes]]:
    line = json.loads(data)
    try:
        blobs = {name: base64.b64decode(kept) for name, kept in line["blobs"].items()}
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    return read_trace(json.dumps(line["trace"])), blobs


def _append(file: int, data: bytes) -> None:
    """All of `data`, on disk, or nothing of it: half a line would spoil the next one."""
    before = os.fstat(file).st_size
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(file, left) :]
        os.fsync(file)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(file, before)
        raise


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _sum(one: Absorbed, other: Absorbed) -> Absorbed:
    names = Absorbed.model_fields
    return Absorbed(**{name: getattr(one, name) + getattr(other, name) for name in names})
