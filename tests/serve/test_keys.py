from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limbeck.errors import ConfigError
from limbeck.serve import keys
from limbeck.serve.keys import (
    KeyRing,
    create_key,
    is_usable,
    may_call,
    present,
    read_key,
    read_keys,
    revoke_key,
)
from limbeck.serve.settings import Upstream

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """Seconds and a date that a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.date = NOW

    def now(self) -> float:
        return self.seconds

    def today(self) -> datetime:
        return self.date


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".limbeck" / "keys.json"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ring_of(path: Path, clock: Clock) -> KeyRing:
    return KeyRing(path, clock.now, clock.today)


# ---- the file -----------------------------------------------------------------------------------


def test_a_secret_is_256_random_bits_and_stands_nowhere(path: Path) -> None:
    secret, key = create_key(path, "billing", now=NOW)
    assert re.fullmatch(r"lk_[A-Za-z0-9_-]{43}", secret)
    assert secret != create_key(path, "other", now=NOW)[0]
    for file in path.parent.iterdir():
        assert secret[3:-4].encode() not in file.read_bytes()
    assert key.digest == hashlib.sha256(secret.encode()).hexdigest()
    assert key.ends == secret[-4:]


def test_the_file_is_its_owners_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        create_key(path, "billing", now=NOW)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.with_suffix(".partial").exists()


@pytest.mark.parametrize("name", ["", "a b", "-x", "x" * 65, "é", "a\n"])
def test_a_wrong_name_is_refused(path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="the name of the key is"):
        create_key(path, name, now=NOW)
    assert not path.exists()


def test_a_wrong_rate_is_refused(path: Path) -> None:
    with pytest.raises(ConfigError, match="rate is 'fast'"):
        create_key(path, "billing", now=NOW, rate="fast")


def test_a_name_is_free_again_when_its_key_is_closed(path: Path) -> None:
    create_key(path, "billing", now=NOW)
    with pytest.raises(ConfigError, match="a key 'billing' already"):
        create_key(path, "billing", now=NOW)
    revoke_key(path, "billing", now=NOW)
    create_key(path, "billing", now=NOW)
    assert [is_usable(key, NOW) for key in read_keys(path)] == [False, True]
    with pytest.raises(ConfigError, match="no usable key 'x'; there are: billing"):
        revoke_key(path, "x", now=NOW)


def test_keys_that_are_made_at_once_are_all_kept(path: Path) -> None:
    start = threading.Barrier(8)

    def make(number: int) -> None:
        start.wait()
        create_key(path, f"client-{number}", now=NOW)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {key.name for key in read_keys(path)} == {f"client-{number}" for number in range(8)}


def test_a_file_that_others_may_write_is_not_trusted(path: Path) -> None:
    create_key(path, "billing", now=NOW)
    path.chmod(0o662)
    with pytest.raises(ConfigError, match=r"others may write .* chmod 600"):
        read_keys(path)


# ---- the ring -----------------------------------------------------------------------------------


def test_only_the_secret_opens(path: Path, clock: Clock) -> None:
    secret, key = create_key(path, "billing", now=NOW, tasks=("refunds",), rate="10/s")
    ring = ring_of(path, clock)
    assert ring.check(secret) == key
    assert ring.usable == 1
    for wrong in (
        "",
        "lk_",
        secret[:-1],
        secret + "x",
        secret.lower(),
        key.digest,
        "é\ud800" * 9,
        "x" * 10**6,
    ):
        assert ring.check(wrong) is None


@given(st.text())
def test_no_other_text_opens(text: str) -> None:
    assert EMPTY.check(text) is None


EMPTY = KeyRing(Path("/nonexistent/keys.json"))


def test_digests_are_compared_in_constant_time(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, key = create_key(path, "billing", now=NOW)
    compared = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    assert ring_of(path, clock).check(secret) == key
    digest = bytes.fromhex(key.digest)
    assert compared == [(digest, digest)]


def test_a_key_ends_with_its_time(path: Path, clock: Clock) -> None:
    secret, _ = create_key(path, "billing", now=NOW, expires_at=NOW + timedelta(days=90))
    ring = ring_of(path, clock)
    clock.date = NOW + timedelta(days=90, seconds=-1)
    assert ring.check(secret) is not None
    clock.date = NOW + timedelta(days=90)
    assert ring.check(secret) is None
    assert ring.usable == 0


def test_a_change_of_the_file_is_seen_within_a_second(path: Path, clock: Clock) -> None:
    ring = ring_of(path, clock)
    secret, _ = create_key(path, "billing", now=NOW)
    clock.seconds = 0.9
    assert ring.check(secret) is None
    clock.seconds = 1.0
    assert ring.check(secret) is not None
    revoke_key(path, "billing", now=NOW)
    clock.seconds = 2.0
    assert ring.check(secret) is None
    path.unlink()
    clock.seconds = 3.0
    assert ring.usable == 0
    assert ring.problem is None


def test_an_unchanged_file_is_not_read_again(
    path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, _ = create_key(path, "billing", now=NOW)
    ring = ring_of(path, clock)
    monkeypatch.setattr(keys, "read_keys", None)
    clock.seconds = 5.0
    assert ring.check(secret) is not None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"keys":[{"name":"x"}]}', b'{"other":1}', b"\xff\xfe", b"null"]
)
def test_a_damaged_file_lets_nobody_in(path: Path, clock: Clock, content: bytes) -> None:
    secret, _ = create_key(path, "billing", now=NOW)
    ring = ring_of(path, clock)
    good = path.read_bytes()
    path.write_bytes(content)
    clock.seconds = 1.0
    # Whoever watches the gateway is told before a client comes.
    assert ring.problem is not None
    assert "nobody is let in" in ring.problem
    assert ring.check(secret) is None
    path.write_bytes(good)
    clock.seconds = 2.0
    assert ring.check(secret) is not None
    assert ring.problem is None


def test_a_digest_that_is_none_lets_nobody_in(path: Path, clock: Clock) -> None:
    secret, _ = create_key(path, "billing", now=NOW)
    held = json.loads(path.read_text())
    held["keys"].append({**held["keys"][0], "digest": "not hex"})
    path.write_text(json.dumps(held))
    ring = ring_of(path, clock)
    assert ring.check(secret) is None
    assert ring.problem is not None


def test_a_damaged_file_is_not_overwritten(path: Path) -> None:
    create_key(path, "billing", now=NOW)
    path.write_text("{")
    with pytest.raises(ConfigError, match="are damaged"):
        create_key(path, "other", now=NOW)
    assert path.read_text() == "{"


def test_a_key_of_tasks_calls_nothing_else(path: Path) -> None:
    _, of_all = create_key(path, "all", now=NOW)
    _, of_one = create_key(path, "one", now=NOW, tasks=("refunds",))
    assert [may_call(of_all, task) for task in ("refunds", "routes", None)] == [True, True, True]
    assert [may_call(of_one, task) for task in ("refunds", "routes", None)] == [True, False, False]


# ---- how a client shows its key -----------------------------------------------------------------

KEPT = [(b"Content-Type", b"application/json"), (b"anthropic-version", b"2023-06-01")]


@pytest.mark.parametrize(
    "shown",
    [
        (b"x-limbeck-client-key", b"lk_1"),
        (b"X-Limbeck-Client-Key", b" lk_1 "),
        (b"x-api-key", b"lk_1"),
        (b"X-Api-Key", b"lk_1"),
        (b"authorization", b"Bearer lk_1"),
        (b"Authorization", b"bearer  lk_1"),
    ],
)
def test_a_key_is_taken_out_of_the_headers(shown: tuple[bytes, bytes]) -> None:
    assert present([KEPT[0], shown, KEPT[1]]) == ("lk_1", KEPT)


def test_a_providers_key_passes() -> None:
    headers = [(b"x-api-key", b"sk-ant-1"), (b"Authorization", b"Bearer sk-1")]
    assert present(headers) == (None, headers)
    both = [*headers, (b"x-limbeck-client-key", b"lk_1")]
    assert present(both) == ("lk_1", headers)


def test_no_key_of_ours_is_left_where_several_are_shown() -> None:
    headers = [
        (b"x-api-key", b"lk_2"),
        (b"authorization", b"Bearer lk_3"),
        (b"x-limbeck-client-key", b"lk_1"),
        (b"x-limbeck-client-key", b"lk_4"),
    ]
    assert present(headers) == ("lk_1", [])


@given(st.lists(st.tuples(st.sampled_from([b"x-api-key", b"authorization", b"a"]), st.binary())))
def test_any_headers_can_be_read(headers: list[tuple[bytes, bytes]]) -> None:
    _, left = present(headers)
    assert not any(value.strip().startswith(b"lk_") for name, value in left if name != b"a")


# ---- the keys of the providers ------------------------------------------------------------------


def source(**given: str) -> Upstream:
    return Upstream(base_url="http://127.0.0.1:1", **given)


def test_a_key_comes_from_the_environment_or_else_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-file\n")
    file.chmod(0o600)
    both = source(key_env="A_KEY", key_file=str(file))
    assert read_key(both, {"A_KEY": " sk-env "}) == "sk-env"
    assert read_key(both, {}) == read_key(both, {"A_KEY": ""}) == "sk-file"
    assert read_key(source(key_env="A_KEY"), {}) is None
    assert read_key(source(), {}) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o666, 0o601])
def test_a_key_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "key"
    file.write_text("sk-planted-secret")
    file.chmod(mode)
    with pytest.raises(ConfigError, match=f"its rights are {mode:o}.*run: chmod 600 ") as raised:
        read_key(source(key_file=str(file)), {})
    assert "sk-planted-secret" not in str(raised.value)


@pytest.mark.parametrize(
    "content", ["", "\n", "sk-planted\nx-evil: 1", "sk planted", "sk-plänted", "sk\0"]
)
def test_what_is_no_key_is_refused_without_being_shown(tmp_path: Path, content: str) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="holds no key") as raised:
        read_key(source(key_file=str(file)), {})
    assert "planted" not in str(raised.value)
    if content.strip():
        with pytest.raises(ConfigError, match="environment variable A_KEY holds no key") as raised:
            read_key(source(key_env="A_KEY"), {"A_KEY": content})
        assert "planted" not in str(raised.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the key file .*No such file"):
        read_key(source(key_file=str(tmp_path / "none")), {})
    with pytest.raises(ConfigError, match="Is a directory"):
        read_key(source(key_file=str(tmp_path)), {})
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="is no file"):
        read_key(source(key_file=str(tmp_path / "pipe")), {})
