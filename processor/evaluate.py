"""The evaluator: source -> decode -> alarms -> results -> acknowledge. Never waits for the store."""

import threading
import zlib
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
import structlog

from bridge.clock import Clock, to_us
from bridge.live import decode_command
from bridge.messages import Data, Message, Refused, TimeBounds
from bridge.plant import Plant
from bridge.records import AlarmEvent
from bridge.topics import Kind, Topic
from processor.backoff import Backoff
from processor.counters import EvaluatorCounters
from processor.delivery import Delivery, Origin, Source
from processor.evaluation import Evaluation, Outcome
from processor.health import Loop
from processor.placing import read
from processor.results import LiveOut, PublishFailed, Results
from processor.takeover import restore
from store.port import Store

log = structlog.get_logger(__name__)

LIVE_PERIOD = timedelta(milliseconds=250)
HEARTBEAT_PERIOD = timedelta(seconds=10)
_BACKLOG_DELIVERIES = 50


class Evaluator:
    """Evaluates whatever the source hands over; the broker lets only one be active.

    Events are published and confirmed before the messages that caused them are
    acknowledged. State is rebuilt from the store at the first delivery after each
    (re)connection, because another evaluator may have been active in between.
    """

    def __init__(  # noqa: PLR0913 - one port each
        self,
        source: Source,
        results: Results,
        live_out: LiveOut,
        plant: Callable[[], Plant],
        store: Store | None,
        counters: EvaluatorCounters,
        clock: Clock,
        *,
        retention: timedelta | None,
        backoff: Backoff,
        loop: Loop,
    ) -> None:
        self._source = source
        self._results = results
        self._live_out = live_out
        self._plant = plant
        self._known_plant = plant()
        self._store = store
        self._counters = counters
        self._clock = clock
        self._retention = retention
        self._backoff = backoff
        self._loop = loop
        self._evaluation = Evaluation(self._known_plant, clock())
        self._restored_for = -1
        self._taken: deque[int] = deque()
        self._dropped = 0
        self._last = 0
        self._acknowledged = 0
        self._lag_s = 0.0
        self._drained_at = clock()
        self._shown_at = self._beat_at = datetime.min.replace(tzinfo=clock().tzinfo)
        self._events: list[AlarmEvent] = []
        self.fault = ""

    def run(self, stopping: threading.Event) -> None:
        """Evaluate until told to stop; what is unacknowledged goes back to the broker."""
        self._source.open()
        self._results.open()
        self._live_out.open()
        try:
            while not stopping.is_set():
                self.turn(stopping)
        finally:
            unsettled = self._counters.flow.in_flight
            if unsettled:
                self._counters.flow.give_back(unsettled)
            self._source.close()
            self._results.close()
            self._live_out.close()

    def turn(self, stopping: threading.Event) -> None:
        """One turn: fetch, evaluate, publish, acknowledge, show."""
        self._loop.tick()
        deliveries = self._source.fetch(0.1)
        now = self._clock()
        self._refresh_plant(now)
        if deliveries:
            self._take_over(now)
            self._evaluate(deliveries, now)
        else:
            self._drained_at, self._lag_s = now, 0.0
        self._events += self._evaluation.tick(now, self._lag_s)
        if self._publish(stopping):
            self._acknowledge()
            self._show(now)

    def _evaluate(self, deliveries: list[Delivery], now: datetime) -> None:
        redelivered = sum(1 for delivery in deliveries if delivery.redelivered)
        self._counters.flow.receive(len(deliveries), redelivered)
        bounds = TimeBounds.at(now, self._retention)
        outcomes: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        newest_us = 0
        for delivery in deliveries:
            self._last = delivery.number
            if delivery.origin is Origin.OPERATOR:
                outcomes[self._command(delivery, now)] += 1
                continue
            try:
                topic, message = read(delivery, self._known_plant)
                newest_us = max(newest_us, _check(topic, message, bounds))
            except Refused as refusal:
                refused[refusal.reason.value] += 1
                continue
            outcomes[self._judge(topic, message, delivery, now)] += 1
        self._note_lag(len(deliveries), newest_us, now)
        self._counters.settle(
            len(deliveries), outcomes["evaluated"], outcomes["duplicate"], refused
        )

    def _judge(self, topic: Topic, message: Message, delivery: Delivery, now: datetime) -> str:
        taken = self._evaluation.take(topic, message, zlib.crc32(delivery.body), now)
        self._taken.append(delivery.number)
        self._events += taken.events
        for site, device, cmd in taken.commands:
            self._live_out.command(site, device, cmd)
        return "duplicate" if taken.outcome is Outcome.DUPLICATE else "evaluated"

    def _command(self, delivery: Delivery, now: datetime) -> str:
        self._counters.commands += 1
        try:
            command = decode_command(delivery.body)
        except msgspec.MsgspecError as error:
            log.warning("operator command refused", reason=str(error))
            return "evaluated"
        acknowledged = self._evaluation.acknowledge(command, now)
        self._events += acknowledged.events
        if acknowledged.refusal is not None:
            log.info("nothing to acknowledge", reason=acknowledged.refusal, by=command.by)
        return "evaluated"

    def _note_lag(self, messages: int, newest_us: int, now: datetime) -> None:
        """How far the queue is behind: never more than the time since it was last drained."""
        age_s = max(0.0, (to_us(now) - newest_us) / 1_000_000) if newest_us else 0.0
        if messages < _BACKLOG_DELIVERIES:
            self._drained_at = now
        self._lag_s = min(age_s, (now - self._drained_at).total_seconds())
        self._counters.lag_seconds = self._lag_s

    def _publish(self, stopping: threading.Event) -> bool:
        """Publish what was found, as often as it takes; True once nothing is waiting."""
        if not self._events:
            return True
        try:
            self._results.publish(self._events)
        except PublishFailed as error:
            self._counters.publish_failures += 1
            if str(error) != self.fault:
                self.fault = str(error)
                log.error(  # noqa: TRY400 - the reason says it all
                    "results not published, trying again", reason=self.fault
                )
            stopping.wait(self._backoff.next_s())
            return False
        self._counters.transitions += len(self._events)
        self._counters.retroactive += sum(1 for event in self._events if event.retroactive)
        self._events = []
        self.fault = ""
        self._backoff.reset()
        return True

    def _acknowledge(self) -> None:
        """Acknowledge up to the first message that is still held for order."""
        settled = self._evaluation.settled - self._dropped
        for _ in range(settled):
            self._taken.popleft()
        self._dropped += settled
        number = self._taken[0] - 1 if self._taken else self._last
        if number > self._acknowledged:
            self._source.acknowledge(number)
            self._acknowledged = number

    def _show(self, now: datetime) -> None:
        if now - self._shown_at >= LIVE_PERIOD:
            self._shown_at = now
            for site in self._evaluation.take_changed_sites():
                self._live_out.show(self._evaluation.live(site, now))
                self._counters.live_published += 1
        if now - self._beat_at >= HEARTBEAT_PERIOD:
            self._beat_at = now
            try:
                self._results.heartbeat(to_us(now))
            except PublishFailed as error:
                log.debug("heartbeat not published", reason=str(error))

    def _take_over(self, now: datetime) -> None:
        if self._restored_for == self._source.connections:
            return
        self._restored_for = self._source.connections
        if self._store is not None:
            restore(self._evaluation, self._store, self._known_plant, now)

    def _refresh_plant(self, now: datetime) -> None:
        plant = self._plant()
        if plant is not self._known_plant:
            self._known_plant = plant
            self._evaluation.replace_plant(plant, now)


def _check(topic: Topic, message: Message, bounds: TimeBounds) -> int:
    """Refuse impossible times as the recorder does; the newest live time in epoch µs."""
    if type(message) is not Data:
        return 0
    times_us = message.times_us()
    bounds.check(times_us)
    return times_us[-1] if topic.kind is Kind.DATA else 0
