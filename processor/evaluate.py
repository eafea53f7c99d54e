"""The evaluator: source -> decode -> alarms -> results -> acknowledge. Never waits for the store."""

import threading
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from bridge.clock import Clock, to_us
from bridge.live import decode_command
from bridge.messages import Data, Message, Reason, Refused, TimeBounds
from bridge.plant import Plant
from bridge.records import AlarmEvent
from bridge.topics import Kind, Topic
from processor.alarms.takeover import Records
from processor.backoff import Backoff
from processor.counters import EvaluatorCounters
from processor.delivery import Delivery, Origin, Source
from processor.evaluation import Evaluation
from processor.health import Loop
from processor.lag import QueueLag
from processor.placing import read
from processor.results import LiveOut, PublishFailed, Results
from processor.takeover import Recall, Start, in_thread
from processor.troubles import TROUBLES, Trouble
from processor.unacknowledged import EVALUATED, QUARANTINED, Unacknowledged
from store.port import Store

log = structlog.get_logger(__name__)

LIVE_PERIOD = timedelta(milliseconds=250)
HEARTBEAT_PERIOD = timedelta(seconds=10)
PROBE_PERIOD = timedelta(seconds=5)
_MOST_FAILURES = 100
_NEVER = datetime.min.replace(tzinfo=UTC)


class Evaluator:
    """Evaluates whatever the source hands over; the broker lets only one be active.

    An evaluator is active once its connection has brought it a delivery, or from its
    connection on where there can be no other; only then does it judge what time brings,
    publish, show and beat. While it is not, it sends itself a probe through the queue
    every 5 s, so that one of them is active in an idle plant too.

    Events are published and confirmed before the messages that caused them are
    acknowledged. What is recorded is read from the store each time it becomes active,
    because another may have been active in between; messages wait 3 s for that.
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
        start: Start = in_thread,
        troubles: Callable[[], list[Trouble]] = list,
    ) -> None:
        self._source = source
        self._results = results
        self._live_out = live_out
        self._plant = plant
        self._known_plant = plant()
        self._counters = counters
        self._clock = clock
        self._retention = retention
        self._backoff = backoff
        self._loop = loop
        self._troubles = troubles
        self._evaluation = Evaluation(self._known_plant, clock())
        self._recall = None if store is None else Recall(store, start, results.pending)
        self._lag = QueueLag()
        self._connection = 0
        self._active = self._going_on = self._alone = False
        self._waiting: list[Delivery] = []
        self._unacknowledged = Unacknowledged(counters)
        self._shown_at = self._beat_at = self._probed_at = _NEVER
        self._events: list[AlarmEvent] = []
        self._failures: set[str] = set()
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
            self._unacknowledged.give_back()
            self._source.close()
            if self._recall is not None:
                self._recall.close()
            self._results.close()
            self._live_out.close()

    def turn(self, stopping: threading.Event) -> None:
        """One turn: fetch, evaluate, publish, acknowledge, show."""
        self._loop.tick()
        deliveries = self._source.fetch(0.1)
        now = self._clock()
        self._refresh_plant(now)
        self._follow_connection()
        self._waiting += self._unacknowledged.receive(deliveries)
        is_active = self._is_active(now, called=bool(deliveries))
        self._counters.active, self._counters.connected = is_active, self._source.connected
        self._counters.stalls = self._source.stalls
        if not is_active or not self._goes_on(now):
            return
        waiting, self._waiting = self._waiting, []
        newest_us = self._evaluate(waiting, now)
        self._lag.fetched(len(waiting), newest_us, now)
        self._counters.lag_seconds = self._lag.seconds or 0.0
        self._events += self._evaluation.take_troubles(self._troubles(), now)
        self._events += self._evaluation.tick(now, self._lag.seconds)
        if self._publish(stopping):
            self._acknowledge()
            self._show(now)

    # -- whether this evaluator is the one

    def _follow_connection(self) -> None:
        """Once the connection is another, what the earlier one brought went back."""
        if self._connection != self._source.connections:
            self._connection = self._source.connections
            self._active = False
            self._waiting.clear()
            self._unacknowledged.give_back()

    def _is_active(self, now: datetime, *, called: bool) -> bool:
        """Whether this evaluator is the active one, which `called` by a delivery it is."""
        if not self._source.connected:
            return False
        if not self._active:
            self._probe(now)
            if called or self._alone:
                self._active, self._going_on = True, self._recall is None
                self._lag.begin(now)
                self._evaluation.begin(now, alone=self._alone or self._recall is None)
                if self._recall is not None:
                    self._recall.begin(now)
        return self._active

    def _probe(self, now: datetime) -> None:
        if now - self._probed_at < PROBE_PERIOD:
            return
        self._probed_at = now
        try:
            self._alone = not self._results.probe()
        except PublishFailed as error:
            log.debug("probe not sent", reason=str(error))

    # -- what is recorded

    def _goes_on(self, now: datetime) -> bool:
        """Take the records when they come; False while messages are to wait for them."""
        recall = self._recall
        if recall is None:
            return True
        records = recall.answer(self._known_plant, now)
        if records is not None:
            self._recalled(records, recall, now)
        elif not self._going_on and not recall.is_awaited(now):
            self._events = self._evaluation.go_on_unknown(now, self._events)
            self._going_on = True
        return self._going_on

    def _recalled(self, records: Records, recall: Recall, now: datetime) -> None:
        """Fold the records; look again for what was still on its way to the store."""
        if not self._going_on:
            self._events = self._evaluation.restore(records, now, self._events)
            self._going_on = news = True
        else:
            news = self._evaluation.catch_up(records, now)
        if self._alone or not news:
            self._evaluation.trust()
        if not self._alone:
            recall.again(now, news=news)
        if news:
            open_alarms = len(records.open_alarms)
            log.info("records taken over", open_alarms=open_alarms, rows=len(records.rows))

    # -- messages

    def _evaluate(self, deliveries: list[Delivery], now: datetime) -> int:
        """Evaluate the messages; the newest live row's time in epoch µs, or 0."""
        bounds = TimeBounds.at(now, self._retention)
        newest_us = rows = 0
        for delivery in deliveries:
            if delivery.origin is Origin.OPERATOR:
                self._command(delivery, now)
                continue
            if delivery.origin is Origin.PROCESSOR:
                self._take_troubles(delivery, now)
                continue
            try:
                topic, message = read(delivery, self._known_plant)
                if type(message) is Data:
                    rows += len(message.r)
                    newest_us = max(newest_us, _check(topic, message, bounds))
            except Exception as error:  # noqa: BLE001 - one message never ends the evaluation
                reason = self._refusal(error).value
                self._unacknowledged.handle(delivery.number, QUARANTINED, reason)
                continue
            self._judge(topic, message, delivery, now)
        self._counters.rows += rows
        return newest_us

    def _judge(self, topic: Topic, message: Message, delivery: Delivery, now: datetime) -> None:
        try:
            taken = self._evaluation.take(topic, message, zlib.crc32(delivery.body), now)
        except Exception as error:  # noqa: BLE001 - as above; the recorder has it
            reason = self._refusal(error).value
            self._unacknowledged.handle(delivery.number, QUARANTINED, reason, in_order=True)
            return
        self._unacknowledged.handle(delivery.number, taken.outcome.value, in_order=True)
        self._events += taken.events
        for site, device, cmd in taken.commands:
            self._live_out.command(site, device, cmd)

    def _refusal(self, error: Exception) -> Reason:
        """Why a message was not evaluated; a fault of Steam's own is logged once for each kind."""
        if isinstance(error, Refused):
            return error.reason
        if repr(error) not in self._failures and len(self._failures) < _MOST_FAILURES:
            self._failures.add(repr(error))
            log.error("message not evaluated", exc_info=error)
        return Reason.UNEXPECTED

    def _take_troubles(self, delivery: Delivery, now: datetime) -> None:
        self._unacknowledged.handle(delivery.number, EVALUATED)
        try:
            troubles = TROUBLES.decode(delivery.body)
        except Exception as error:  # noqa: BLE001 - also of text that is no UTF-8, or nested deeply
            log.warning("troubles not understood", reason=str(error), body=delivery.body[:500])
            return
        self._events += self._evaluation.take_troubles(troubles, now)

    def _command(self, delivery: Delivery, now: datetime) -> None:
        self._counters.commands += 1
        self._unacknowledged.handle(delivery.number, EVALUATED)
        try:
            command = decode_command(delivery.body)
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("operator command refused", reason=str(error))
            return
        acknowledged = self._evaluation.acknowledge(command, now)
        self._events += acknowledged.events
        if acknowledged.refusal is not None:
            log.info("nothing to acknowledge", reason=acknowledged.refusal, by=command.by)

    # -- what leaves

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
            wait_s = self._backoff.next_s()
            stopping.wait(wait_s)
            self._counters.held_seconds += wait_s
            return False
        self._counters.transitions += len(self._events)
        self._counters.retroactive += sum(1 for event in self._events if event.retroactive)
        self._events = []
        self.fault = ""
        self._backoff.reset()
        return True

    def _acknowledge(self) -> None:
        """Acknowledge up to the first message that is still held for order."""
        number = self._unacknowledged.settle(self._evaluation.settled)
        if number is not None:
            self._source.acknowledge(number)

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

    def _refresh_plant(self, now: datetime) -> None:
        plant = self._plant()
        if plant is not self._known_plant:
            self._known_plant = plant
            self._evaluation.replace_plant(plant, now)


def _check(topic: Topic, data: Data, bounds: TimeBounds) -> int:
    """Refuse impossible times as the recorder does; the newest time in epoch µs if it is live."""
    times_us = data.times_us()
    bounds.check(times_us)
    return times_us[-1] if topic.kind is Kind.DATA else 0
