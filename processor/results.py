"""What the evaluator makes, and the ports through which it leaves."""

from typing import Protocol

from bridge.live import LiveSite
from bridge.messages import Cmd
from bridge.records import AlarmEvent

PROBE = b'"probe"'
"""The body of what an evaluator sends to its own queue; it is acknowledged, and not counted."""


class PublishFailed(Exception):
    """The broker or the outbox did not confirm; nothing may be acknowledged. Try again."""


class Results(Protocol):
    """Takes alarm events to the store's writers and to the notifier."""

    def open(self) -> None:
        """Get ready to publish."""

    def publish(self, events: list[AlarmEvent]) -> None:
        """Hand over durably to both before returning; raises PublishFailed if that failed.

        The same event (same id) may be published again after a failure; readers ignore
        an id that they have seen.
        """

    def pending(self) -> list[AlarmEvent]:
        """Events that were published and wait for a recorder to store them; looking changes nothing.

        From any thread. Raises PublishFailed where they cannot be looked at.
        """

    def heartbeat(self, at_us: int) -> None:
        """Tell the notifier that the evaluator lives (epoch µs); raises PublishFailed."""

    def probe(self) -> bool:
        """Send PROBE to the evaluators' own queue: whoever gets it learns that it is active.

        False where there can be no other evaluator, so that nobody needs to ask. Raises
        PublishFailed.
        """

    def close(self) -> None:
        """Leave."""


class LiveOut(Protocol):
    """Takes live values to dashboards and commands to devices; may lose, never blocks long."""

    def open(self) -> None:
        """Get ready to publish."""

    def show(self, live: LiveSite) -> None:
        """Show the latest values of a site."""

    def command(self, site: str, device: str, cmd: Cmd) -> None:
        """Send a command to a device."""

    def close(self) -> None:
        """Leave."""
