"""The same store on a PostgreSQL server, which the tests start where one is installed."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from limbeck.errors import StoreError
from limbeck.store import schema
from limbeck.store.early import EarlyOutcome
from limbeck.store.engine import open_engine
from limbeck.store.forgetting import Forgotten, Scope
from limbeck.store.migrations import STEPS, traces_outcomes_blobs
from limbeck.store.store import Store
from limbeck.store.writer import Writer
from limbeck.types import Outcome, PostHoc, Trace, text_hash

pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

Make = Callable[..., Trace]


def _program(name: str) -> str:
    """The newest one of this machine; skips the test where there is none."""
    homes = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    found = shutil.which(name) or (str(homes[0]) if homes else None)
    if found is None:
        pytest.skip(f"PostgreSQL's {name} is not installed")
    return found


def _owner() -> pwd.struct_passwd | None:
    """Whom the server runs as, where the tests run as root: it refuses to be root."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.skip("the tests run as root, and there is no other user")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of an empty server's first database, over a socket in a folder of its own."""
    initdb, pg_ctl = _program("initdb"), _program("pg_ctl")
    owner = _owner()
    # Not under pytest's folder, which no other user may enter; and short, as a socket's path must be.
    folder = Path(tempfile.mkdtemp(prefix="limbeck-pg-"))
    if owner is not None:
        os.chown(folder, owner.pw_uid, owner.pw_gid)

    def run(*command: str) -> None:
        # Into a file: the server would hold a pipe open.
        with (folder / "said").open("ab") as said:
            subprocess.run(
                command,
                check=True,
                cwd=folder,
                stdout=said,
                stderr=said,
                user=owner.pw_uid if owner else None,
                group=owner.pw_gid if owner else None,
                extra_groups=[] if owner else None,
            )

    data = str(folder / "data")
    quick = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    try:
        run(initdb, "-D", data, "-U", "limbeck", "--auth=trust", "-E", "UTF8", "--no-sync")
        run(pg_ctl, "-D", data, "-w", "-o", quick, "start")
        try:
            yield f"postgresql://limbeck:secret@/postgres?host={folder}"
        finally:
            run(pg_ctl, "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def url(server: str) -> str:
    """The URL of a new database."""
    name = f"t{uuid.uuid4().hex}"
    engine = open_engine(server)
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return server.replace("/postgres?", f"/{name}?")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store(url) as opened:
        yield opened


def test_the_steps_lead_to_the_tables_of_the_schema(url: str) -> None:
    Store(url).close()
    Store(url).close()
    engine = open_engine(url)
    inspector = sa.inspect(engine)
    for table in schema.metadata.tables.values():
        found = {column["name"]: column["nullable"] for column in inspector.get_columns(table.name)}
        assert found == {column.name: column.nullable for column in table.columns}
    with engine.connect() as connection:
        names = connection.execute(sa.select(schema.migrations.c.name)).scalars()
        assert sorted(names) == [name for name, _ in STEPS]
    engine.dispose()


def test_a_store_of_the_first_version_goes_on(url: str) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        schema.migrations.create(connection)
        traces_outcomes_blobs(connection)
        connection.execute(sa.text(f"INSERT INTO migrations VALUES ('{STEPS[0][0]}', '2026')"))
        content = (
            '{"task":"t","input":"x","choices":[],"raw":null,"provenance":{"source":"import"},'
            '"usage":{"input":0}}'
        )
        connection.execute(
            sa.text(
                "INSERT INTO traces (id, task, source, status, generator, simulated, content,"
                " recorded_at) VALUES ('sha256:old', 't', 'import', 'ok', 'unknown', false,"
                " :content, '2026')"
            ),
            {"content": content},
        )
        connection.execute(
            sa.text(
                "INSERT INTO outcomes (hash, trace_id, content, recorded_at) VALUES ('h',"
                """ 'sha256:old', '{"trace_id":"sha256:old","value":"a","source":"gold"}', '2026')"""
            )
        )
    engine.dispose()
    with Store(url) as store:
        [trace] = store.traces("t")
        assert store.find(trace_id="sha256:old") == trace.id
        assert store.truths("t")[trace.id].value == "a"
        later = Outcome(trace_id=trace.id, value="b", source="gold")
        assert store.attach([later]) == 1
        assert store.truths("t") == {trace.id: later}


def test_what_is_recorded_comes_back(store: Store, make: Make) -> None:
    data = "the instructions"
    trace = make(
        "Ünïcode \0 and a lone \ud800",
        raw="x",
        skeleton=text_hash(data),
        cost_usd=0.25,
        correlation="c \0",
    )
    outcome = Outcome(
        trace_id=trace.id, value="a", source="gold", at=datetime(2026, 1, 2, tzinfo=UTC)
    )
    blobs = {text_hash(data): data.encode()}
    assert store.record([trace], [outcome], blobs) == (1, 1)
    assert store.record([trace, make("2", task=None)], [outcome], blobs) == (1, 0)
    assert list(store.traces("t")) == [trace]
    assert store.find(correlation="c \0") == trace.id
    assert store.truths("t") == {trace.id: outcome}
    assert store.blob(text_hash(data)) == data.encode()
    store.explain([PostHoc(trace_id=trace.id, rationale="because")])
    counts = store.counts()
    assert (counts.traces, counts.outcomes, counts.rationales, counts.blobs) == (2, 1, 1, 1)
    [skeleton] = store.skeletons("t")
    assert (skeleton.skeleton, skeleton.traces, skeleton.cost_usd) == (text_hash(data), 1, 0.25)
    assert [one.input for one in store.by_skeleton(None, None)] == ["2"]
    assert store.verify() == []


def test_a_batch_is_kept_whole_or_not_at_all(store: Store, make: Make) -> None:
    stray = Outcome(trace_id="sha256:0", value="b", source="gold")
    with pytest.raises(StoreError, match="nothing of this batch was written"):
        store.record([make()], [stray])
    assert store.counts().traces == 0


def test_early_outcomes_are_attached_when_their_trace_comes(store: Store, make: Make) -> None:
    trace = make(correlation="c")
    early = EarlyOutcome(key="correlation", name="c", task="t", value="a", source="human")
    assert store.expect([early, early]) == 1
    assert store.expect([early]) == 0
    store.add([make("other", task=None, correlation="c")])
    assert store.settle() == 0
    store.add([trace])
    assert store.settle() == 1
    assert list(store.truths("t")) == [trace.id]


def test_a_trace_is_given_to_a_task_with_what_hangs_on_it(store: Store, make: Make) -> None:
    old, new = make(task=None), make()
    store.record([old], [Outcome(trace_id=old.id, value="a", source="gold")])
    assert store.replace([(old.id, new)]) == 1
    assert list(store.truths("t")) == [store.find(trace_id=old.id)] == [new.id]
    assert store.verify() == []


def test_forgetting_takes_everything_and_the_blobs(store: Store, make: Make) -> None:
    data = "the instructions"
    name = text_hash(data)
    traces = [make(str(number), subject="s", skeleton=name) for number in range(300)]
    outcomes = [Outcome(trace_id=trace.id, value="a", source="gold") for trace in traces]
    store.record(traces, outcomes, {name: data.encode()})
    store.add([make("kept")])
    with store._writing() as connection:
        connection.execute(sa.update(schema.blobs).values(recorded_at="2020"))
    gone = Forgotten(traces=300, outcomes=300)
    assert store.would_forget(Scope(subject="s")) == gone
    assert store.forget(Scope(subject="s")) == gone + Forgotten(blobs=1)
    assert store.compact()
    assert store.counts().traces == 1
    assert store.verify() == []


def test_two_writers_and_a_deletion_side_by_side(url: str, make: Make) -> None:
    data = "the instructions"
    blobs = {text_hash(data): data.encode()}
    shared = [make(f"both {number}", skeleton=text_hash(data)) for number in range(100)]
    errors: list[BaseException] = []

    def write(name: str) -> None:
        try:
            with Store(url) as store, Writer(store, most=16) as writer:
                own = [make(f"{name} {number}") for number in range(100)]
                futures = [writer.submit(trace, blobs) for trace in (*shared, *own)]
                for future in futures:
                    future.result()
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
    with Store(url) as store:
        store.add([make(f"old {number}", task="u") for number in range(500)])
        for thread in threads:
            thread.start()
        assert store.forget(Scope(task="u")).traces == 500
        for thread in threads:
            thread.join()
        assert errors == []
        assert store.counts().traces == 300
        assert store.verify() == []


def test_a_table_that_stays_locked_says_so(url: str, make: Make) -> None:
    with Store(url, wait_s=0.01) as store:
        store.add([make("before")])
        engine = open_engine(url)
        with engine.begin() as other:
            other.exec_driver_sql("LOCK TABLE traces")
            with pytest.raises(StoreError, match="another process") as caught:
                store.add([make()])
        engine.dispose()
        assert caught.value.whole
        assert store.add([make()]) == 1


def test_two_may_make_one_store(url: str) -> None:
    errors: list[BaseException] = []

    def make_it() -> None:
        try:
            Store(url).close()
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)

    threads = [threading.Thread(target=make_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_server_that_is_away_is_said_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the server cannot be reached") as caught:
        Store(f"postgresql://limbeck:secret@/postgres?host={tmp_path}")
    assert caught.value.whole
    assert "secret" not in str(caught.value)
