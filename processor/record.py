"""The recorder: source -> decode -> batch -> store -> acknowledge."""

import threading
from collections.abc import Callable
from datetime import timedelta

import msgspec
import structlog

from bridge.clock import Clock
from bridge.messages import Reason, Refused, TimeBounds
from bridge.plant import Plant
from bridge.records import AlarmEvent
from processor.counters import RecorderCounters
from processor.delivery import Delivery, Origin, Source
from processor.gathering import FlushRule, Gathered, Gathering
from processor.health import Loop
from processor.placing import Placed, Placement, bad_message, unexpected
from processor.quarantine import BadMessage
from processor.writing import Worker, Writing

log = structlog.get_logger(__name__)

_DRAIN_S = 20.0
_EVENTS = msgspec.json.Decoder(list[AlarmEvent])


class Recorder:
    """Records whatever the source hands over; one instance, one thread, one writer thread.

    Deliveries are acknowledged only once they are stored or quarantined. The source's
    prefetch bounds what is held in memory while the store is away.
    """

    def __init__(
        self,
        source: Source,
        writing: Writing,
        plant: Callable[[], Plant],
        counters: RecorderCounters,
        clock: Clock,
        *,
        rule: FlushRule,
        retention: timedelta | None,
        loop: Loop,
    ) -> None:
        self._source = source
        self._worker = Worker(writing, source.wake)
        self._plant = plant
        self._placement = Placement(plant())
        self._placed_by = plant()
        self._counters = counters
        self._clock = clock
        self._rule = rule
        self._retention = retention
        self._gathering = Gathering(rule)
        self._loop = loop
        self._failed_at: set[str] = set()

    def run(self, stopping: threading.Event) -> None:
        """Record until told to stop; then write what is gathered and acknowledge it."""
        self._worker.open()
        self._source.open()
        try:
            while not stopping.is_set():
                self.turn()
        finally:
            self._drain()
            self._source.close()

    def turn(self) -> None:
        """One turn: fetch and gather, hand a due flush to the writer, acknowledge."""
        self._loop.tick()
        waiting = len(self._gathering) > 0
        deliveries = self._source.fetch(self._rule.idle_s if waiting else 0.5)
        self._gather(deliveries)
        if self._worker.free and self._gathering.due(self._clock()):
            self._worker.submit(self._gathering.take())
        for written in self._worker.finished():
            self._source.acknowledge(written.last_number)

    def _gather(self, deliveries: list[Delivery]) -> None:
        if not deliveries:
            return
        self._refresh_plant()
        now = self._clock()
        bounds = TimeBounds.at(now, self._retention)
        redelivered = sum(1 for delivery in deliveries if delivery.redelivered)
        self._counters.flow.receive(len(deliveries), redelivered)
        for delivery in deliveries:
            if delivery.origin is Origin.EVALUATOR:
                placed = _results(delivery, bounds.now_us)
            else:
                placed = self._placement.place(delivery, bounds)
            if placed.bad is not None and placed.bad.reason is Reason.UNEXPECTED:
                self._tell_failure(placed.bad)
            self._gathering.add(delivery, placed, now)

    def _tell_failure(self, bad: BadMessage) -> None:
        """Log a fault of Steam's own once for each place in the code; every one is kept whole."""
        place = bad.detail.partition(")")[0]
        if place not in self._failed_at:
            self._failed_at.add(place)
            log.error("message kept in quarantine", reason=bad.detail, routing_key=bad.routing_key)

    def _refresh_plant(self) -> None:
        plant = self._plant()
        if plant is not self._placed_by:
            self._placement, self._placed_by = Placement(plant), plant

    def _drain(self) -> None:
        """Write what is gathered if the store takes it in time; the rest goes back."""
        last = self._gathering.take() if len(self._gathering) else None
        self._acknowledge(self._worker.close(last, _DRAIN_S))
        unsettled = self._counters.flow.in_flight
        if unsettled:
            self._counters.flow.give_back(unsettled)
            log.warning("messages go back to the broker", messages=unsettled)

    def _acknowledge(self, written: list[Gathered]) -> None:
        for gathered in written:
            self._source.acknowledge(gathered.last_number)


def _results(delivery: Delivery, now_us: int) -> Placed:
    """What the evaluator made, on its way to the store."""
    try:
        return Placed(alarm_events=_EVENTS.decode(delivery.body))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        refusal = Refused(Reason.MALFORMED, f"not alarm events: {error}")
    except Exception as error:  # noqa: BLE001 - one message never ends the recording
        refusal = unexpected(error)
    return Placed(bad=bad_message(delivery, refusal, now_us))
