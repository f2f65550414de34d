"""The measurement: every peer in turn under every load, round after round."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from limbeck.store.store import Store
from limbeck.types import Noun
from limbeck.workspace import Workspace
from traffic.machine import fdatasync_ms
from traffic.peers import BENCH, Peer
from traffic.processes import cpu_seconds, resident_mb
from traffic.scenarios import SCENARIOS, Scenario, open_streams
from traffic.window import Order, Spread, Window
from traffic.wire import Dialect

WINDOW_REQUESTS = 10_000_000
"""How many numbers each window has for its requests, so that no two requests are alike."""


class Measured(Noun):
    """One peer under one load. `cpu_s` is the peer's own processor time; `stored` are the traces
    that the store gained, counted right after the last answer."""

    peer: str
    dialect: Dialect
    window: Window
    cpu_s: float | None = None
    stored: int | None = None

    @property
    def missing(self) -> int:
        """How many answers of a captured task reached a client without being in the store."""
        if self.peer != "ours" or self.stored is None:
            return 0
        return max(self.window.requests - self.stored, 0)


class Turn(Noun):
    """All peers under one load, one after the other; `fdatasync_ms` was taken just before."""

    scenario: str
    round: int
    measured: tuple[Measured, ...]
    fdatasync_ms: Spread | None = None

    def of(self, peer: str) -> Measured | None:
        return next((one for one in self.measured if one.peer == peer), None)


class Memory(Noun):
    """MB resident in ours: at rest, after all the load, and with 1,000 streams open."""

    rest_mb: float | None
    after_load_mb: float
    open_streams_mb: float
    open_streams: Measured


class Plan(NamedTuple):
    """`rounds` counts those that are kept; one more comes before them."""

    scenarios: Sequence[Scenario]
    rounds: int
    seconds: float
    stream_every_ms: int


class Bench:
    """What the measurements share: the peers, the store and the numbers of requests."""

    def __init__(
        self, folder: Path, peers: Sequence[Peer], plan: Plan, say: Callable[[str], None]
    ) -> None:
        self._folder, self._peers, self._plan, self._say = folder, peers, plan, say
        self._window = 0
        self._endpoints: dict[tuple[str, bool], Dialect] = {}

    def choose_endpoints(self) -> dict[str, dict[str, float]]:
        """Ask whoever has several endpoints over each, and keep to its fastest one.

        Returns the requests a second by endpoint, of whole replies and of streams.
        """
        found: dict[str, dict[str, float]] = {}
        for peer in self._peers:
            # What writes replies anew is not equally quick in every dialect.
            if len(peer.paths) < 2 or peer.exact:
                continue
            for name in ("requests_32", "streams_32"):
                scenario = next(one for one in SCENARIOS if one.name == name)
                rates = {}
                for dialect in peer.paths:
                    self._say(f"{peer.name}: {dialect}, {scenario.what}")
                    # The first answers pay for imports.
                    self._measure(peer, dialect, scenario)
                    rates[dialect] = self._measure(peer, dialect, scenario).window.rate
                fastest = max(rates, key=lambda dialect: rates[dialect])
                self._endpoints[peer.name, scenario.streamed] = fastest
                found[f"{peer.name} {'streams' if scenario.streamed else 'replies'}"] = {
                    str(dialect): rate for dialect, rate in rates.items()
                }
        return found

    def turns(self) -> list[Turn]:
        """Every round in another order; round 0 is for warming up."""
        done = []
        for number in range(self._plan.rounds + 1):
            shift = number % len(self._peers)
            order = [*self._peers[shift:], *self._peers[:shift]]
            for scenario in self._plan.scenarios:
                self._say(f"round {number} of {self._plan.rounds}: {scenario.what}")
                fdatasync = fdatasync_ms(self._folder)
                measured = []
                for peer in order:
                    dialect = self._endpoints.get((peer.name, scenario.streamed), "messages")
                    measured.append(self._measure(peer, dialect, scenario))
                turn = Turn(
                    scenario=scenario.name,
                    round=number,
                    measured=tuple(measured),
                    fdatasync_ms=fdatasync,
                )
                done.append(turn)
        return done

    def memory(self, peer: Peer) -> Memory:
        """What ours weighs with OPEN_STREAMS open streams, all of which must come to their end."""
        assert peer.pid is not None
        self._say("1,000 open streams")
        after_load = resident_mb(peer.pid)
        order = open_streams(
            peer.port,
            peer.paths["messages"],
            every_ms=self._plan.stream_every_ms,
            first=self._first(),
        )
        before, cpu = self._stored(), cpu_seconds(peer.pid)
        heaviest = after_load
        with _loading(order) as load:
            while load.poll() is None:
                heaviest = max(heaviest, resident_mb(peer.pid))
                try:
                    load.wait(0.2)
                except subprocess.TimeoutExpired:
                    continue
            assert load.stdout is not None
            window = _read(load.stdout.read(), load.returncode)
        opened = Measured(
            peer=peer.name,
            dialect="messages",
            window=window,
            cpu_s=round(cpu_seconds(peer.pid) - cpu, 2),
            stored=self._stored() - before,
        )
        return Memory(
            rest_mb=peer.rest_mb,
            after_load_mb=after_load,
            open_streams_mb=heaviest,
            open_streams=opened,
        )

    def store_bytes(self) -> tuple[int, int]:
        """How many traces there are and how many bytes their files take."""
        home = Workspace(self._folder / "workspace").home
        return self._stored(), sum(path.stat().st_size for path in home.glob("store.db*"))

    def _measure(self, peer: Peer, dialect: Dialect, scenario: Scenario) -> Measured:
        order = scenario.order(
            peer.port,
            peer.paths[dialect],
            dialect,
            seconds=self._plan.seconds,
            first=self._first(),
            exact=peer.exact,
        )
        captures = peer.name in ("ours", "off")
        before = self._stored() if captures else 0
        cpu = cpu_seconds(peer.pid) if peer.pid is not None else 0.0
        with _loading(order) as load:
            said, _ = load.communicate()
        window = _read(said, load.returncode)
        return Measured(
            peer=peer.name,
            dialect=dialect,
            window=window,
            cpu_s=round(cpu_seconds(peer.pid) - cpu, 2) if peer.pid is not None else None,
            stored=self._stored() - before if captures else None,
        )

    def _first(self) -> int:
        self._window += 1
        return self._window * WINDOW_REQUESTS

    def _stored(self) -> int:
        with Store(Workspace(self._folder / "workspace").store_url) as store:
            return store.counts().traces


def _loading(order: Order) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "traffic.load", order.model_dump_json()]
    return subprocess.Popen(command, cwd=BENCH, stdout=subprocess.PIPE, text=True)


def _read(said: str, code: int) -> Window:
    if code:
        raise SystemExit(f"the load generator ended with {code}; see the message above")
    return Window.model_validate_json(said)
