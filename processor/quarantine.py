"""Messages that cannot be taken in, kept whole with the reason, and the port to their place."""

from hashlib import blake2s
from typing import Protocol

import msgspec

from bridge.messages import Reason


class BadMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it came, why it is here, and since when (epoch µs)."""

    routing_key: str
    body: bytes
    reason: Reason
    detail: str
    at_us: int

    @property
    def id(self) -> str:
        """Eight hexadecimal digits by which a person names this message."""
        text = b"%s %d " % (self.routing_key.encode("utf-8", "backslashreplace"), self.at_us)
        return blake2s(text + self.body, digest_size=4).hexdigest()


class Desk(Protocol):
    """Where a person looks at quarantined messages; looking changes nothing."""

    def messages(self, limit: int = 1000) -> list[BadMessage]:
        """The messages in quarantine, oldest first."""

    def retry(self, identity: str) -> BadMessage | None:
        """Publish the message again as it first came, then remove it; None: no such id."""

    def drop(self, identity: str) -> BadMessage | None:
        """Remove a message for good; None: no such id."""


class Quarantine(Protocol):
    """Where bad messages are kept until somebody retries or drops them."""

    def open(self) -> None:
        """Get ready to take messages."""

    def put(self, messages: list[BadMessage]) -> None:
        """Keep the messages durably before returning; raises PublishFailed if that failed."""

    def close(self) -> None:
        """Leave."""
