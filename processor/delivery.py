"""What a broker hands over, and the port to it."""

from enum import Enum
from typing import Protocol

import msgspec


class Origin(Enum):
    """Who sent a message, as the way it came proves it; a routing key proves nothing."""

    DEVICE = "device"
    OPERATOR = "operator"
    PROCESSOR = "processor"


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """One message handed over, not yet acknowledged.

    `routing_key` is the AMQP form of the topic; `number` counts this source's deliveries
    from 1 without gaps, over reconnections too.
    """

    number: int
    routing_key: str
    body: bytes
    redelivered: bool = False
    origin: Origin = Origin.DEVICE


class Source(Protocol):
    """Deliveries, in order, acknowledged in order; reconnects by itself with backoff.

    A delivery whose connection is gone cannot be acknowledged any more: the broker will
    hand it over again under a new number. Only `wake` may be called from another thread.
    """

    def open(self) -> None:
        """Start consuming, or start trying to where the broker is away."""

    def fetch(self, timeout_s: float) -> list[Delivery]:
        """Wait at most `timeout_s` for deliveries; may return none. Never raises for a lost broker."""

    def attend(self, timeout_s: float) -> None:
        """Serve the connection for at most `timeout_s` without handing anything over.

        What arrives meanwhile stays in the source, within its bound; `wake` ends it.
        """

    def acknowledge(self, number: int) -> None:
        """Acknowledge every delivery up to and including `number`, once all are settled."""

    def acknowledge_one(self, number: int) -> None:
        """Acknowledge one delivery alone, where others before it are not settled."""

    def hand_back(self) -> None:
        """Stop consuming and give every unacknowledged delivery back; `open` begins anew."""

    def wake(self) -> None:
        """Make a waiting `fetch` return soon; safe from any thread."""

    @property
    def connected(self) -> bool:
        """Whether deliveries can arrive at this moment."""

    @property
    def connections(self) -> int:
        """How often the broker was reached so far; another consumer may have been active between."""

    @property
    def stalls(self) -> int:
        """How often a queue was subscribed anew because it had messages and delivered none."""

    def close(self) -> None:
        """Leave the broker; what is unacknowledged is handed over again later."""
