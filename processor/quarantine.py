"""Messages that cannot be taken in, kept whole with the reason, and the port to their place."""

from collections.abc import Callable
from enum import StrEnum
from hashlib import blake2s
from typing import Protocol

import msgspec

from bridge.messages import Reason
from bridge.topics import BadTopic, parse_routing_key


class Place(StrEnum):
    """Where a message that was not taken in is."""

    QUARANTINE = "quarantine"
    UNROUTED = "unrouted"
    DEAD = "dead"


class BadMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it came, why it is here, and since when (epoch µs; 0: nobody knows)."""

    routing_key: str
    body: bytes
    reason: Reason
    detail: str
    at_us: int
    place: Place = Place.QUARANTINE

    @property
    def device(self) -> str:
        """The device that its topic names, or "" where the topic is wrong."""
        try:
            return parse_routing_key(self.routing_key).device
        except BadTopic:
            return ""

    @property
    def id(self) -> str:
        """Sixteen hexadecimal digits by which a person names this message."""
        text = b"%s %d " % (self.routing_key.encode("utf-8", "backslashreplace"), self.at_us)
        return blake2s(text + self.body, digest_size=8).hexdigest()


class Desk(Protocol):
    """Where a person looks at messages that were not taken in; looking changes nothing."""

    def messages(self, limit: int = 1000, place: Place | None = None) -> list[BadMessage]:
        """The messages in one place or in all, each oldest first, at most `limit` of a place."""

    def retry(
        self,
        wanted: Callable[[BadMessage], bool],
        told: Callable[[int], None] = lambda _sent: None,
    ) -> int:
        """Publish the wanted messages again as they first came, oldest first, and remove them.

        Each is removed once the broker has it. Returns how many, and tells how many so far;
        raises BrokerError.
        """

    def drop(self, identity: str) -> BadMessage | None:
        """Remove a message for good; None: no such id."""


class Quarantine(Protocol):
    """Where bad messages are kept until somebody retries or drops them."""

    def open(self) -> None:
        """Get ready to take messages."""

    def put(self, messages: list[BadMessage]) -> set[int]:
        """Keep the messages durably before returning.

        Returns the places in the list of those for which there is no room. Raises
        PublishFailed where it is not known what was kept: all of them are to be put again,
        and some may then be there twice.
        """

    def close(self) -> None:
        """Leave."""
