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
from processor.gathering import FlushRule, Gathering
from processor.health import Loop
from processor.placing import Placed, Placement, bad_message, unexpected
from processor.quarantine import BadMessage
from processor.writer import Worker
from processor.writing import Writing, Written

log = structlog.get_logger(__name__)

_DRAIN_S = 15.0
_HELD_S = 0.5
_EVENTS = msgspec.json.Decoder(list[AlarmEvent])


class Recorder:
    """Records whatever the source hands over; one instance, one thread, one writer thread.

    Deliveries are acknowledged only once they are stored or quarantined. Where the store is
    away or slow, one flush is being written, one waits and one is gathered; what comes
    beyond stays in the source, whose prefetch bounds it, and at the broker.
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
        if self._gathering.full and not self._worker.free:
            self._source.attend(_HELD_S)
        else:
            waiting = len(self._gathering) > 0
            self._gather(self._source.fetch(self._rule.idle_s if waiting else 0.5))
        if self._worker.free and self._gathering.due(self._clock()):
            self._worker.submit(self._gathering.take())
        self._settle(self._worker.finished())

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
        last = self._gathering.take_all() if len(self._gathering) else None
        self._settle(self._worker.close(last, _DRAIN_S))
        unsettled = self._counters.flow.in_flight
        if unsettled:
            self._counters.flow.give_back(unsettled)
            log.warning("messages go back to the broker", messages=unsettled)

    def _settle(self, ended: list[Written]) -> None:
        for written in ended:
            self._counters.settle(written.messages, written.stored, written.quarantined)
            if written.up_to:
                self._source.acknowledge(written.up_to)
            for number in written.singly:
                self._source.acknowledge_one(number)


def _results(delivery: Delivery, now_us: int) -> Placed:
    """What the evaluator made, on its way to the store."""
    try:
        return Placed(alarm_events=_EVENTS.decode(delivery.body))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        refusal = Refused(Reason.MALFORMED, f"not alarm events: {error}")
    except Exception as error:  # noqa: BLE001 - one message never ends the recording
        refusal = unexpected(error)
    return Placed(bad=bad_message(delivery, refusal, now_us))
