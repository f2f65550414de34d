"""What is measured: one row of the result each."""

from __future__ import annotations

from limbeck.types import Noun
from traffic.window import Order
from traffic.wire import Behaviour, Dialect


class Scenario(Noun):
    """A load that every peer is put under in turn."""

    name: str
    what: str
    clients: int
    streamed: bool = False
    behaviour: Behaviour = Behaviour()

    def order(
        self, port: int, path: str, dialect: Dialect, *, seconds: float, first: int, exact: bool
    ) -> Order:
        return Order(
            port=port,
            path=path,
            dialect=dialect,
            streamed=self.streamed,
            behaviour=self.behaviour,
            clients=self.clients,
            seconds=seconds,
            first=first,
            exact=exact,
        )


SCENARIOS = (
    Scenario(
        name="requests_32",
        what="a 2 KB reply at once, 32 clients",
        clients=32,
    ),
    Scenario(
        name="requests_1",
        what="a 2 KB reply at once, 1 client",
        clients=1,
    ),
    Scenario(
        name="wait_1",
        what="a 2 KB reply after 200 ms, 1 client",
        clients=1,
        behaviour=Behaviour(wait_ms=200),
    ),
    Scenario(
        name="wait_32",
        what="a 2 KB reply after 200 ms, 32 clients",
        clients=32,
        behaviour=Behaviour(wait_ms=200),
    ),
    Scenario(
        name="streams_32",
        what="streams of 60 events, sent at once, 32 clients",
        clients=32,
        streamed=True,
    ),
    Scenario(
        name="events_32",
        what="streams of 60 events, each sent by itself, 32 clients",
        clients=32,
        streamed=True,
        behaviour=Behaviour(writes=60),
    ),
    Scenario(
        name="first_byte_1",
        what="streams of 60 events, the first after 20 ms and then one a millisecond, 1 client",
        clients=1,
        streamed=True,
        behaviour=Behaviour(wait_ms=20, every_ms=1, writes=60),
    ),
)

OPEN_STREAMS = 1000


def open_streams(port: int, path: str, *, every_ms: int, first: int) -> Order:
    """OPEN_STREAMS streams that begin together and last for 60 events, `every_ms` apart."""
    return Order(
        port=port,
        path=path,
        streamed=True,
        behaviour=Behaviour(wait_ms=1000, every_ms=every_ms, writes=60),
        clients=OPEN_STREAMS,
        limit=OPEN_STREAMS,
        first=first,
    )
