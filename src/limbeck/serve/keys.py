"""Who may use a gateway (client keys), and with whose money (upstream keys).

A client key is `lk_` and 256 random bits. It is kept only as its SHA-256: a slow hash protects what
people choose and others guess, and nobody guesses 256 random bits, so that it would only cost time
at every call.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pydantic import ValidationError

from limbeck.errors import ConfigError
from limbeck.serve.rates import parse_rate
from limbeck.types import Noun

FILE = "keys.json"
PREFIX = "lk_"
HEADER = b"x-limbeck-client-key"

_LONGEST = 128
"""Characters of a secret that is looked at all; ours have 46."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PRINTABLE = re.compile(r"[!-~]+")

RawHeaders = list[tuple[bytes, bytes]]


class ClientKey(Noun):
    """A key as it is kept: `digest` is the SHA-256 of the secret, `ends` its last four characters.

    `tasks` are the tasks that it may call; empty allows all calls, also those of no task.
    """

    name: str
    digest: str
    ends: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    tasks: tuple[str, ...] = ()
    rate: str | None = None


class KeyFile(Noun):
    keys: tuple[ClientKey, ...] = ()


def is_usable(key: ClientKey, now: datetime) -> bool:
    """Neither revoked nor expired."""
    return key.revoked_at is None and (key.expires_at is None or now < key.expires_at)


def may_call(key: ClientKey, task: str | None) -> bool:
    """Whether the calls of `task` (None: of no task) are open to the key."""
    return not key.tasks or task in key.tasks


# ---- the file -----------------------------------------------------------------------------------


def read_keys(path: Path) -> tuple[ClientKey, ...]:
    """Every key of the file, by age; none where there is no file.

    Raises ConfigError if it is damaged or others may write it.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ConfigError(f"cannot read the client keys {path}: {error.strerror}") from None
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(
            f"others may write the client keys {path}, and so let themselves in; "
            f"look at them and run: chmod 600 {path}"
        )
    try:
        return KeyFile.model_validate_json(content).keys
    except ValidationError as error:
        said = error.errors(include_input=False, include_url=False)[0]["msg"]
        raise ConfigError(
            f"the client keys {path} are damaged ({said[:1].lower()}{said[1:]}), so nobody is let in; "
            "restore the file, or delete it and make new keys with: limbeck keys create NAME"
        ) from None


def create_key(
    path: Path,
    name: str,
    *,
    now: datetime,
    tasks: Sequence[str] = (),
    rate: str | None = None,
    expires_at: datetime | None = None,
) -> tuple[str, ClientKey]:
    """A new key and its secret, which is nowhere else. Raises ConfigError for a wrong or taken name."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"the name of the key is {name!r}; wanted at most 64 letters, digits and . _ -"
        )
    if rate is not None:
        parse_rate(rate)
    secret = PREFIX + secrets.token_urlsafe(32)
    key = ClientKey(
        name=name,
        digest=hashlib.sha256(secret.encode()).hexdigest(),
        ends=secret[-4:],
        created_at=now,
        expires_at=expires_at,
        tasks=tuple(tasks),
        rate=rate,
    )
    with _locked(path):
        there = read_keys(path)
        if any(one.name == name and is_usable(one, now) for one in there):
            raise ConfigError(
                f"there is a key {name!r} already; take another name, or first: limbeck keys revoke {name}"
            )
        _write(path, (*there, key))
    return secret, key


def revoke_key(path: Path, name: str, *, now: datetime) -> ClientKey:
    """Close the usable key of that name for good. Raises ConfigError if there is none."""
    with _locked(path):
        there = read_keys(path)
        usable = [key for key in there if key.name == name and is_usable(key, now)]
        if not usable:
            names = ", ".join(sorted({key.name for key in there if is_usable(key, now)}))
            raise ConfigError(f"there is no usable key {name!r}; there are: {names or 'none'}")
        [old] = usable
        revoked = old.model_copy(update={"revoked_at": now})
        _write(path, tuple(revoked if key is old else key for key in there))
    return revoked


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer at a time; the lock is a file of its own, because the other is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(path: Path, keys: tuple[ClientKey, ...]) -> None:
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(KeyFile(keys=keys).model_dump_json(indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


# ---- the gateway's view of it -------------------------------------------------------------------


class KeyRing:
    """The client keys of a gateway; a change of the file is seen within a second."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._path = path
        self._clock = clock
        self._today = today
        self._by_digest: dict[bytes, list[tuple[bytes, ClientKey]]] = {}
        self._seen: tuple[int, ...] | None = None
        self._looked_at = clock()
        self._problem: str | None = None
        self._read(self._mark())

    def check(self, secret: str) -> ClientKey | None:
        """The usable key that `secret` opens, or None."""
        self._refresh()
        if len(secret) > _LONGEST:
            return None
        digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
        opened = None
        # The place in the table follows from the digest of a guess, which says nothing of a secret.
        for known, key in self._by_digest.get(digest[:8], ()):
            if hmac.compare_digest(known, digest) and is_usable(key, self._today()):
                opened = key
        return opened

    @property
    def problem(self) -> str | None:
        """Why nobody is let in, where the file cannot be trusted."""
        self._refresh()
        return self._problem

    @property
    def usable(self) -> int:
        """How many keys let somebody in."""
        self._refresh()
        now = self._today()
        return sum(is_usable(key, now) for held in self._by_digest.values() for _, key in held)

    def _refresh(self) -> None:
        now = self._clock()
        if now - self._looked_at < 1:
            return
        self._looked_at = now
        mark = self._mark()
        if mark != self._seen:
            self._read(mark)

    def _mark(self) -> tuple[int, ...] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode

    def _read(self, mark: tuple[int, ...] | None) -> None:
        self._seen = mark
        self._by_digest = {}
        self._problem = None
        try:
            for key in read_keys(self._path):
                digest = bytes.fromhex(key.digest)
                self._by_digest.setdefault(digest[:8], []).append((digest, key))
        except (ConfigError, ValueError) as error:
            self._by_digest = {}
            self._problem = str(error)


def present(headers: RawHeaders) -> tuple[str | None, RawHeaders]:
    """The client key that comes with a request, and the headers without it.

    It comes as `x-limbeck-client-key`, or where a client of the provider puts the provider's key:
    `x-api-key` or `Authorization: Bearer`. No key of ours is ever among the headers that are left.
    """
    own: str | None = None
    as_api_key: str | None = None
    left: RawHeaders = []
    for name, value in headers:
        low = name.lower()
        if low == HEADER:
            own = own or value.decode("latin-1").strip()
        elif low in (b"x-api-key", b"authorization") and (found := _ours(value)):
            as_api_key = as_api_key or found
        else:
            left.append((name, value))
    return own or as_api_key, left


def _ours(value: bytes) -> str | None:
    text = value.decode("latin-1").strip()
    scheme, _, token = text.partition(" ")
    if token and scheme.lower() == "bearer":
        text = token.strip()
    return text if text.startswith(PREFIX) else None


# ---- the keys of the providers ------------------------------------------------------------------


class KeySource(Protocol):
    """Where an upstream says that its key is."""

    @property
    def key_env(self) -> str | None: ...
    @property
    def key_file(self) -> Path | str | None: ...


def read_key(source: KeySource, environ: Mapping[str, str] = os.environ) -> str | None:
    """The provider's key, from the environment or else from a file with owner-only rights.

    None where neither is named, or the variable is not set and there is no file. Raises ConfigError,
    which never holds the key.
    """
    if source.key_env and (value := environ.get(source.key_env, "").strip()):
        return _one_word(value, f"the environment variable {source.key_env}")
    if source.key_file is None:
        return None
    path = Path(source.key_file).expanduser()
    try:
        # Without waiting: a pipe in the place of the file would hold up the gateway.
        file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 - closed below
    except OSError as error:
        raise ConfigError(f"cannot read the key file {path}: {error.strerror}") from None
    with file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise ConfigError(
                f"the key file {path} is no file; wanted one that holds the key alone"
            )
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise ConfigError(
                f"others may read the key file {path} (its rights are {stat.S_IMODE(mode):o}); "
                f"run: chmod 600 {path}"
            )
        content = file.read(65536)
    return _one_word(content.decode("latin-1").strip(), f"the key file {path}")


def _one_word(value: str, where: str) -> str:
    # What is not printable could end the header and begin another.
    if not _PRINTABLE.fullmatch(value):
        raise ConfigError(
            f"{where} holds no key: wanted one word of printable ASCII, got {len(value)} characters"
        )
    return value


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
