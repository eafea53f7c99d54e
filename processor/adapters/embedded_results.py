"""The evaluator's results on one machine: into the notifier's outbox, then the store."""

from collections.abc import Callable
from typing import Protocol

from bridge.clock import Clock
from bridge.records import AlarmEvent, Batch
from processor.gathering import batch_id
from processor.results import PublishFailed
from store.errors import StoreError
from store.port import Store


class EventOutbox(Protocol):
    """Where alarm events wait for the notifier."""

    def put(self, events: list[AlarmEvent]) -> None:
        """Keep the events durably; an id that was put before changes nothing."""


class EmbeddedResults:
    """Hands events to the outbox first, so that a notification never waits for the store."""

    def __init__(
        self, outbox: EventOutbox, store: Store, clock: Clock, beat: Callable[[int], None]
    ) -> None:
        self._outbox = outbox
        self._store = store
        self._clock = clock
        self._beat = beat

    def open(self) -> None:
        """Nothing to do: outbox and store are opened by whoever made them."""

    def publish(self, events: list[AlarmEvent]) -> None:
        """Hand over to both; raises PublishFailed where either is away."""
        self._outbox.put(events)
        now = self._clock()
        stamp = batch_id(now, now.tzinfo or now.astimezone().tzinfo)  # type: ignore[arg-type]
        try:
            self._store.write(Batch(batch_id=stamp, alarm_events=events))
        except StoreError as error:
            raise PublishFailed(f"alarm events not stored: {error}") from None

    def pending(self) -> list[AlarmEvent]:
        """None: they are stored when `publish` returns."""
        return []

    def heartbeat(self, at_us: int) -> None:
        """Tell the notifier directly."""
        self._beat(at_us)

    def probe(self) -> bool:
        """There is no other evaluator on this machine."""
        return False

    def close(self) -> None:
        """Nothing to do: outbox and store are closed by whoever made them."""
