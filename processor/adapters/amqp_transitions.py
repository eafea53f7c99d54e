"""Transitions for the notifier, and the evaluator's heartbeats, from queue steam.alarms."""

from collections.abc import Callable

import msgspec
import structlog

from bridge.records import AlarmEvent
from processor.adapters.amqp_source import AmqpSource
from processor.notifier.source import Taken

log = structlog.get_logger(__name__)

ALARMS_QUEUE = "steam.alarms"
_TRANSITION = msgspec.json.Decoder(int | AlarmEvent)


class AmqpTransitions:
    """Implements TransitionSource; an integer instead of an event is a heartbeat (epoch µs).

    A transition stays unacknowledged until it is done, so the queue itself is the outbox;
    the source's prefetch bounds how many may wait for slow targets.
    """

    def __init__(self, source: AmqpSource, beat: Callable[[int], None]) -> None:
        self._source = source
        self._beat = beat

    def open(self) -> None:
        """Start consuming, or trying to."""
        self._source.open()

    def fetch(self, timeout_s: float) -> list[Taken]:
        """The transitions that came; heartbeats are passed on and settled at once."""
        taken = []
        for delivery in self._source.fetch(timeout_s):
            try:
                message = _TRANSITION.decode(delivery.body)
            except Exception as error:  # noqa: BLE001 - also of text that is no UTF-8, or nested deeply
                log.warning(
                    "not a transition; left out", reason=str(error), body=delivery.body[:500]
                )
                self._source.acknowledge_one(delivery.number)
                continue
            if isinstance(message, int):
                self._beat(message)
                self._source.acknowledge_one(delivery.number)
            else:
                taken.append(Taken(delivery.number, message))
        return taken

    def done(self, token: int) -> None:
        """Acknowledge the transition."""
        self._source.acknowledge_one(token)

    def close(self) -> None:
        """Leave; what is not done is handed over again."""
        self._source.close()
