"""Messages that cannot be taken in, kept whole with the reason, and the port to their place."""

from collections.abc import Callable
from hashlib import blake2s
from typing import Protocol

import msgspec

from bridge.messages import Reason
from bridge.topics import BadTopic, parse_routing_key


class BadMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it came, why it is here, and since when (epoch µs)."""

    routing_key: str
    body: bytes
    reason: Reason
    detail: str
    at_us: int

    @property
    def device(self) -> str:
        """The device that its topic names, or "" where the topic is wrong."""
        try:
            return parse_routing_key(self.routing_key).device
        except BadTopic:
            return ""

    @property
    def id(self) -> str:
        """Eight hexadecimal digits by which a person names this message."""
        text = b"%s %d " % (self.routing_key.encode("utf-8", "backslashreplace"), self.at_us)
        return blake2s(text + self.body, digest_size=4).hexdigest()


class Desk(Protocol):
    """Where a person looks at quarantined messages; looking changes nothing."""

    def messages(self, limit: int = 1000) -> list[BadMessage]:
        """The messages in quarantine, oldest first."""

    def retry(self, wanted: Callable[[BadMessage], bool]) -> int:
        """Publish the wanted messages again as they first came, oldest first, and remove them.

        Each is removed once the broker has it. Returns how many; raises BrokerError.
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
