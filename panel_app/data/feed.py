"""The port to the live feed: whoever brings live values into the hub."""

from typing import Protocol


class LiveFeed(Protocol):
    """Brings live values into a LiveHub, of which it is the one writer.

    It says in the hub whether it is connected and reconnects by itself, with backoff.
    """

    def open(self) -> None:
        """Begin; does not fail where the broker is away."""

    def close(self) -> None:
        """End, and give back the connection."""
