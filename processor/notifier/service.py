"""The notifier: source -> routes -> one worker a target -> done."""

import random
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

import structlog

from bridge.clock import Clock, to_us, utc_now
from bridge.plant import Plant
from bridge.records import AlarmEvent
from processor.backoff import Backoff
from processor.counters import NotifierCounters
from processor.health import Loop
from processor.notifier.outbox import TargetQueue, Waiting
from processor.notifier.routes import NotificationSettings
from processor.notifier.source import Ledger, LedgerFailed, Outcome, Taken, TransitionSource
from processor.notifier.target import RoutedTarget
from processor.notifier.text import Notice, render
from processor.notifier.watch import DeadMan, Watch, notice
from processor.notifier.worker import TargetWorker

log = structlog.get_logger(__name__)

FAILING_TOO_LONG_S = 600.0
"""A target that fails for so long stops the dead man's switch: somebody must look."""

FIRST_RETRY_S = 2.0
LAST_RETRY_S = 300.0
_TURN_S = 0.5
_HANGING_S = 30.0
_STOP_S = 10.0


class Pending:
    """A transition some targets have not yet got; `tokens` are all it was handed over under."""

    __slots__ = ("targets", "tokens")

    def __init__(self, token: int, targets: set[str]) -> None:
        self.tokens = [token]
        self.targets = targets


class Notifier:
    """Takes transitions from the source and is done with each once every target is settled.

    A target is settled for a transition when it accepted the notification, or when it was
    given up after `give_up_after_h`; either is noted in the ledger first.
    """

    def __init__(  # noqa: PLR0913 - one port each
        self,
        settings: NotificationSettings,
        plant: Callable[[], Plant],
        source: TransitionSource,
        ledger: Ledger,
        targets: list[RoutedTarget],
        counters: NotifierCounters,
        *,
        loop: Loop | None = None,
        dead_man_url: str = "",
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        first_retry_s: float = FIRST_RETRY_S,
        watches: bool = True,
    ) -> None:
        self._settings = settings
        self._plant = plant
        self._source = source
        self._ledger = ledger
        self.counters = counters
        self._loop = loop
        self._clock = clock
        self._monotonic = monotonic
        self._rng = rng or random.Random()
        self._first_retry_s = first_retry_s
        self._watches = watches
        self._watch = Watch(settings.heartbeat_timeout_s, monotonic())
        self._workers = {routed.name: self._worker(routed) for routed in targets}
        self._pending: dict[str, Pending] = {}
        self._settled: SimpleQueue[tuple[str, list[Waiting]]] = SimpleQueue()
        self._dead_man_url = dead_man_url
        self._turned_s = monotonic()

    def run(self, stopping: threading.Event) -> None:
        """Notify until told to stop; what is not sent by then stays in the source."""
        self._source.open()
        self._ledger.open()
        self._watch.heartbeat(self._monotonic())  # silence counts from here
        for worker in self._workers.values():
            worker.start()
        dead_man = self._start_dead_man(stopping)
        try:
            while not stopping.is_set():
                self.turn()
        finally:
            self._end(dead_man)

    def turn(self, timeout_s: float = _TURN_S) -> None:
        """One turn: fetch, hand to the workers, mark what is settled as done, look at the watch."""
        self._turned_s = self._monotonic()
        if self._loop is not None:
            self._loop.tick()
        for worker in self._workers.values():
            worker.check()
        for taken in self._source.fetch(timeout_s):
            self._take(taken)
        self._finish()
        self._look()

    def heartbeat(self, at_us: int) -> None:
        """The processor lives (its time in epoch µs); safe from any thread."""
        del at_us  # what counts is that it arrived: its clock may differ from ours
        self._watch.heartbeat(self._monotonic())

    def well(self) -> bool:
        """Whether this loop turns, the processor is heard and no target has failed for long."""
        now_s = self._monotonic()
        failing_s = max((worker.failing_for_s() for worker in self._workers.values()), default=0.0)
        turning = now_s - self._turned_s < _HANGING_S
        return turning and self._watch.fresh(now_s) and failing_s < FAILING_TOO_LONG_S

    @property
    def pending(self) -> int:
        """How many transitions some target has not yet got."""
        return len(self._pending)

    def _take(self, taken: Taken) -> None:
        event = taken.event
        self.counters.transitions += 1
        known = self._pending.get(event.id)
        if known is not None:
            self.counters.duplicate += 1
            known.tokens.append(taken.token)
            return
        wanting = {name for name, worker in self._workers.items() if worker.routed.wants(event)}
        missing = wanting - self._told(event.id)
        if not wanting:
            self.counters.unrouted += 1
        elif not missing:
            self.counters.duplicate += 1
        if not missing:
            self._source.done(taken.token)
            return
        self._pending[event.id] = Pending(taken.token, missing)
        waiting = Waiting(id=event.id, subject=event, give_up_at_s=self._give_up_at_s(event))
        for name in sorted(missing):
            self._workers[name].offer(waiting)

    def _told(self, event_id: str) -> set[str]:
        try:
            return self._ledger.settled(event_id)
        except LedgerFailed as failure:
            log.warning("a target may be told twice", reason=str(failure))
            return set()

    def _give_up_at_s(self, event: AlarmEvent) -> float:
        age_s = max(0.0, (to_us(self._clock()) - event.recorded_at_us) / 1_000_000)
        return self._monotonic() + self._settings.give_up_after_h * 3600 - age_s

    def _on_settled(self, target: str, waiting: list[Waiting], outcome: Outcome) -> None:
        """Called in a worker's thread: note first, so that a crash from here on repeats nothing."""
        transitions = [one for one in waiting if not isinstance(one.subject, Notice)]
        if not transitions:
            return
        try:
            ids = [one.id for one in transitions]
            self._ledger.note(ids, target, outcome, to_us(self._clock()))
        except LedgerFailed as failure:
            log.warning("a target may be told twice", target=target, reason=str(failure))
        self._settled.put((target, transitions))

    def _finish(self) -> None:
        """Mark done in the source's own thread what the workers settled."""
        while True:
            try:
                target, waiting = self._settled.get_nowait()
            except Empty:
                return
            for one in waiting:
                self._finish_one(one.id, target)

    def _finish_one(self, event_id: str, target: str) -> None:
        pending = self._pending[event_id]
        pending.targets.discard(target)
        if not pending.targets:
            del self._pending[event_id]
            for token in pending.tokens:
                self._source.done(token)

    def _look(self) -> None:
        if not self._watches:
            return
        now_s = self._monotonic()
        since_s = self._watch.check(now_s)
        if since_s is None:
            return
        told = notice(self._watch, self._clock, since_s)
        log.warning("processor silent" if told.silent else "processor heard again", seconds=since_s)
        give_up_at_s = now_s + self._settings.give_up_after_h * 3600
        for worker in self._workers.values():
            if worker.routed.wants(told):
                worker.offer(Waiting(id=told.id, subject=told, give_up_at_s=give_up_at_s))

    def _worker(self, routed: RoutedTarget) -> TargetWorker:
        backoff = Backoff(self._first_retry_s, LAST_RETRY_S, self._rng)
        queue = TargetQueue(routed.target.spacing_s, self._settings.group_above, backoff)
        return TargetWorker(
            routed,
            queue,
            lambda subjects, language: render(subjects, self._plant(), language),
            self._on_settled,
            self.counters.target(routed.name),
            self._monotonic,
        )

    def _start_dead_man(self, stopping: threading.Event) -> threading.Thread | None:
        settings = self._settings.dead_man
        if settings is None or not self._dead_man_url:
            return None
        dead_man = DeadMan(self._dead_man_url, settings.every_s, self.well)
        thread = threading.Thread(
            target=dead_man.run, args=(stopping,), name="dead-man", daemon=True
        )
        thread.start()
        return thread

    def _end(self, dead_man: threading.Thread | None) -> None:
        for worker in self._workers.values():
            worker.stop()
        until_s = time.monotonic() + _STOP_S
        late = [
            w for w in self._workers.values() if not w.join(max(0.0, until_s - time.monotonic()))
        ]
        if late:
            names = [worker.routed.name for worker in late]
            log.warning("a send in progress was left; it may be repeated", targets=names)
        self._finish()
        self._source.close()
        self._ledger.close()
        if dead_man is not None:
            dead_man.join(_STOP_S)
