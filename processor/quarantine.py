"""Messages that cannot be taken in, kept whole with the reason, and the port to their place."""

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


class Quarantine(Protocol):
    """Where bad messages are kept until somebody retries or drops them."""

    def open(self) -> None:
        """Get ready to take messages."""

    def put(self, messages: list[BadMessage]) -> None:
        """Keep the messages durably before returning; raises PublishFailed if that failed."""

    def close(self) -> None:
        """Leave."""
