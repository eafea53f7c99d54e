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
from processor.troubles import TroubleBook
from processor.writer import Worker
from processor.writing import Writing, Written

log = structlog.get_logger(__name__)

_DRAIN_S = 15.0
_HELD_S = 0.5
_ASK_STORE_EVERY_S = 5.0
_LEAVE_WRITE_S = 45.0
_MOST_STRANGERS = 20

UNKNOWN_DEVICE = "unknown_device"

_EVENTS = msgspec.json.Decoder(list[AlarmEvent])


class Recorder:
    """Records whatever the source hands over; one instance, one thread, one writer thread.

    Deliveries are acknowledged only once they are stored or quarantined. Where the store is
    away or slow, one flush is being written, one waits and one is gathered; what comes
    beyond stays in the source, whose prefetch bounds it, and at the broker. After
    `hand_back_after_s` of that, everything is handed back once, and taken again when the
    store answers: a broker that waits longer for an acknowledgement closes the channel
    (RabbitMQ: after 30 minutes).
    """

    def __init__(  # noqa: PLR0913 - one port each
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
        troubles: TroubleBook | None = None,
        hand_back_after_s: float | None = None,
    ) -> None:
        self._source = source
        self._writing = writing
        self._worker = Worker(writing, source.wake)
        self._troubles = TroubleBook() if troubles is None else troubles
        self._hand_back_after_s = hand_back_after_s
        self._strangers: dict[str, None] = {}
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
                if self._is_held_too_long():
                    self._hand_back()
                    self._await_store(stopping)
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
        if not self._counters.flow.in_flight:
            self._counters.lag_seconds = 0.0
        self._counters.held_seconds = self._writing.held_s
        self._counters.connected = self._source.connected
        self._counters.stalls = self._source.stalls

    def _gather(self, deliveries: list[Delivery]) -> None:
        if not deliveries:
            return
        self._refresh_plant()
        now = self._clock()
        bounds = TimeBounds.at(now, self._retention)
        redelivered = sum(1 for delivery in deliveries if delivery.redelivered)
        self._counters.flow.receive(len(deliveries), redelivered)
        for delivery in deliveries:
            if delivery.origin is Origin.PROCESSOR:
                placed = _results(delivery, bounds.now_us)
            else:
                placed = self._placement.place(delivery, bounds)
            if placed.bad is not None:
                self._tell(placed.bad)
            self._gathering.add(delivery, placed, now)

    def _tell(self, bad: BadMessage) -> None:
        """Tell of what people should know at once; everything else is found in quarantine."""
        if bad.reason is Reason.UNEXPECTED:
            self._tell_failure(bad)
        elif bad.reason is Reason.UNKNOWN_DEVICE:
            self._tell_stranger(bad)

    def _tell_stranger(self, bad: BadMessage) -> None:
        if UNKNOWN_DEVICE not in self._troubles.standing():
            self._strangers.clear()
        if len(self._strangers) < _MOST_STRANGERS:
            self._strangers[bad.device] = None
        names = ", ".join(self._strangers)
        note = f"sent by {names}; `steam device adopt` lets them in, with what they sent"
        self._troubles.happen(UNKNOWN_DEVICE, note)

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

    def _is_held_too_long(self) -> bool:
        after_s = self._hand_back_after_s
        return after_s is not None and self._writing.held_s >= after_s

    def _hand_back(self) -> None:
        """Give everything unacknowledged back to the broker, and write no more of it."""
        self._source.hand_back()
        self._gathering.take_all()
        self._settle(self._worker.close(None, _LEAVE_WRITE_S))
        self._give_back()

    def _await_store(self, stopping: threading.Event) -> None:
        """Take nothing until the store answers; then begin anew."""
        self._counters.connected = False
        while not stopping.wait(_ASK_STORE_EVERY_S):
            self._loop.tick()
            self._counters.held_seconds = self._writing.held_s
            if self._writing.store_answers():
                break
        self._writing.forget()
        self._source.open()
        self._worker = Worker(self._writing, self._source.wake)
        self._worker.open()

    def _drain(self) -> None:
        """Write what is gathered if the store takes it in time; the rest goes back."""
        last = self._gathering.take_all() if len(self._gathering) else None
        self._settle(self._worker.close(last, _DRAIN_S))
        self._give_back()

    def _give_back(self) -> None:
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
