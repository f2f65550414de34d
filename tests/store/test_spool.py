from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from limbeck.errors import StoreError
from limbeck.store import spool as spooling
from limbeck.store.spool import Absorbed, Spool, absorb
from limbeck.store.store import Store
from limbeck.store.writer import NO_BLOBS, Entry
from limbeck.types import Outcome, Trace, text_hash

Make = Callable[..., Trace]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "second" / "spool"


def entry(trace: Trace, **blobs: bytes) -> Entry:
    return Entry(trace, {text_hash(data.decode()): data for data in blobs.values()}, None)


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_what_was_spooled_comes_into_the_store(store: Store, make: Make, folder: Path) -> None:
    data = b"the instructions"
    strange = make("Ünïcode \0\n and a lone \ud800", raw="x", skeleton=text_hash(data.decode()))
    spool = Spool(folder)
    spool.add([entry(strange, it=data), entry(make("2"))])
    spool.add([entry(make("3"))])
    assert absorb(store, folder) == Absorbed(files=1, lines=3)
    assert list(store.traces("t")) == [strange, make("2"), make("3")]
    assert store.blob(text_hash(data.decode())) == data
    assert files(folder) == []
    assert absorb(store, folder) == Absorbed()
    assert store.verify() == []


def test_a_folder_that_is_not_there_is_empty(store: Store, tmp_path: Path) -> None:
    assert absorb(store, tmp_path / "nowhere") == Absorbed()


def test_only_the_owner_may_read_it(make: Make, folder: Path) -> None:
    Spool(folder).add([entry(make())])
    [file] = files(folder)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert file.name.startswith(f"{os.getpid()}-")


def test_a_spool_goes_on_in_another_file_after_it_was_emptied(
    store: Store, make: Make, folder: Path
) -> None:
    spool = Spool(folder)
    for number in range(3):
        spool.add([entry(make(str(number)))])
        assert absorb(store, folder).lines == 1
    assert store.counts().traces == 3


def test_a_line_that_a_crash_cut_off_is_counted_and_dropped(
    store: Store, make: Make, folder: Path
) -> None:
    Spool(folder).add([entry(make("1")), entry(make("2"))])
    [file] = files(folder)
    whole = file.read_bytes()
    file.write_bytes(whole + whole[: len(whole) // 3])
    assert absorb(store, folder) == Absorbed(files=1, lines=2, halves=1)
    assert files(folder) == []


@pytest.mark.parametrize(
    "bad", [b"{}\n", b"no JSON\n", b"[]\n", b'{"blobs":{},"trace":{}}\n', b'{"blobs":{"a":"x"}}\n']
)
def test_a_damaged_line_is_kept_for_whoever_can_mend_it(
    store: Store, make: Make, folder: Path, bad: bytes
) -> None:
    Spool(folder).add([entry(make("1"))])
    [file] = files(folder)
    file.write_bytes(bad + file.read_bytes())
    assert absorb(store, folder) == Absorbed(files=1, lines=1, damaged=1)
    [kept] = files(folder)
    assert kept.name == f"{file.stem}.damaged"
    assert kept.read_bytes().startswith(bad)
    assert absorb(store, folder) == Absorbed()


class Failing:
    def __init__(self, store: Store, batches: int) -> None:
        self.store = store
        self.batches = batches

    def record(
        self,
        traces: Sequence[Trace],
        outcomes: Sequence[Outcome],
        blobs: Mapping[str, bytes] = NO_BLOBS,
    ) -> object:
        self.batches -= 1
        if self.batches < 0:
            raise StoreError("the disk is full")
        return self.store.record(traces, outcomes, blobs)


def test_a_file_stays_until_all_of_it_is_in_the_store(
    store: Store, make: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooling, "BATCH", 2)
    spool = Spool(folder)
    spool.add([entry(make(str(number))) for number in range(5)])
    with pytest.raises(StoreError, match="full"):
        absorb(Failing(store, batches=1), folder)
    assert (store.counts().traces, len(files(folder))) == (2, 1)
    spool.add([entry(make("more"))])
    assert len(files(folder)) == 1
    assert absorb(store, folder).lines == 6
    assert store.counts().traces == 6


def test_a_file_that_is_being_emptied_gets_no_more_lines(
    store: Store, make: Make, folder: Path
) -> None:
    spool = Spool(folder)
    spool.add([entry(make("first"))])

    class Slow(Failing):
        def record(
            self,
            traces: Sequence[Trace],
            outcomes: Sequence[Outcome],
            blobs: Mapping[str, bytes] = NO_BLOBS,
        ) -> object:
            spool.add([entry(make("meanwhile"))])
            assert absorb(self.store, folder) == Absorbed(files=1, lines=1, busy=1)
            return self.store.record(traces, outcomes, blobs)

    assert absorb(Slow(store, 9), folder) == Absorbed(files=1, lines=1)
    assert sorted(trace.input for trace in store.traces("t")) == ["first", "meanwhile"]


def test_a_write_that_fails_leaves_no_half_line(
    store: Store, make: Make, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(folder)
    spool.add([entry(make("before"))])

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match=r"cannot write the spool .*No space left") as caught:
            spool.add([entry(make("lost"))])
        assert caught.value.whole
    spool.add([entry(make("after"))])
    assert absorb(store, folder).halves == 0
    assert sorted(trace.input for trace in store.traces("t")) == ["after", "before"]


def test_writers_and_readers_side_by_side_lose_nothing(
    path: Path, make: Make, folder: Path
) -> None:
    traces = [[make(f"{worker} {number}") for number in range(50)] for worker in range(3)]
    done = threading.Event()

    def write(some: list[Trace]) -> None:
        spool = Spool(folder)
        for trace in some:
            spool.add([entry(trace)])

    def read() -> None:
        with Store(path) as store:
            while not done.is_set():
                absorb(store, folder)

    Store(path).close()
    readers = [threading.Thread(target=read) for _ in range(2)]
    writers = [threading.Thread(target=write, args=(some,)) for some in traces]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    with Store(path) as store:
        absorb(store, folder)
        wanted = sorted(trace.input for some in traces for trace in some)
        assert sorted(trace.input for trace in store.traces("t")) == wanted
    assert files(folder) == []


def test_a_killed_process_keeps_every_trace_whose_add_returned(store: Store, folder: Path) -> None:
    program = (
        "import os, sys\n"
        "from limbeck.store.spool import Spool\n"
        "from limbeck.store.writer import Entry\n"
        "from limbeck.types import Provenance, Trace\n"
        "spool = Spool(sys.argv[1])\n"
        "for i in range(50):\n"
        "    trace = Trace(task='t', input=str(i), provenance=Provenance(source='sdk'))\n"
        "    spool.add([Entry(trace, {}, None)])\n"
        "    os.write(1, trace.id.encode() + b'\\n')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", program, str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == -9
    assert absorb(store, folder).lines == 50
    assert [trace.id for trace in store.traces("t")] == run.stdout.split()
