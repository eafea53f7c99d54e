"""Writes what was gathered: the store first, then the quarantine, and never gives up."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime, tzinfo

import structlog

from bridge.clock import Clock, to_us
from bridge.messages import Reason, Refused
from bridge.records import Batch
from processor.backoff import Backoff
from processor.counters import RecorderCounters
from processor.gathering import Gathered, to_batch
from processor.placing import bad_message
from processor.quarantine import BadMessage, Quarantine
from processor.results import PublishFailed
from store.errors import Misconfigured, TooLarge, Unavailable
from store.errors import Refused as StoreRefused
from store.port import Store

log = structlog.get_logger(__name__)

_MISCONFIGURED_WAIT_S = 5.0


class Abandoned(Exception):
    """Asked to stop while the store or the quarantine was away; nothing is settled."""


class Writing:
    """Commits gathered deliveries to the store and the quarantine.

    Store away or misconfigured: hold and try again with growing waits. Too large: halve.
    Refused: bisect until the culprit stands alone, quarantine it with the server's words,
    and store the rest; writing a point again changes nothing.
    """

    def __init__(
        self,
        store: Store,
        quarantine: Quarantine,
        counters: RecorderCounters,
        clock: Clock,
        *,
        zone: tzinfo,
        recorder: str,
        backoff: Backoff,
    ) -> None:
        self._store = store
        self._quarantine = quarantine
        self._counters = counters
        self._clock = clock
        self._zone = zone
        self._recorder = recorder
        self._backoff = backoff
        self._fault = ""

    @property
    def fault(self) -> str:
        """Why writing is held at this moment, or ""."""
        return self._fault

    def commit(self, gathered: Gathered, stopping: threading.Event) -> None:
        """Make everything in `gathered` durable and count it; raises Abandoned on stop."""
        now = self._clock()
        batch = to_batch(gathered, now, self._zone, self._recorder)
        refused: list[BadMessage] = []
        if batch.rows or batch.statuses or batch.alarm_events or batch.summary:
            refused = self._write(gathered, batch, now, stopping)
        self._keep([*gathered.bad, *refused], stopping)
        self._count(gathered, batch, refused)

    def _write(
        self, gathered: Gathered, batch: Batch, now: datetime, stopping: threading.Event
    ) -> list[BadMessage]:
        try:
            self._hold(batch, stopping)
        except (TooLarge, StoreRefused) as error:
            if len(gathered.deliveries) > 1:
                return self._write_halves(gathered, now, stopping)
            return [self._culprit(gathered, error, now)]
        return []

    def _write_halves(
        self, gathered: Gathered, now: datetime, stopping: threading.Event
    ) -> list[BadMessage]:
        refused = []
        middle = len(gathered.deliveries) // 2
        for part in (slice(None, middle), slice(middle, None)):
            half = _part(gathered, part)
            batch = to_batch(half, now, self._zone, self._recorder)
            refused += self._write(half, batch, now, stopping)
        return refused

    def _culprit(
        self, gathered: Gathered, error: TooLarge | StoreRefused, now: datetime
    ) -> BadMessage:
        words = error.words if isinstance(error, StoreRefused) else str(error)
        refusal = Refused(Reason.STORE_REFUSED, f"the store refuses it: {words[:500]}")
        return bad_message(gathered.deliveries[0], refusal, to_us(now))

    def _hold(self, batch: Batch, stopping: threading.Event) -> None:
        """Write, waiting as long as the store is away."""
        started = self._clock()
        while True:
            begun = self._clock()
            try:
                self._store.write(batch)
            except Unavailable as error:
                self._counters.write_failures += 1
                wait_s = max(error.retry_after_s or 0.0, self._backoff.next_s())
                self._say(str(error))
            except Misconfigured as error:
                self._counters.write_failures += 1
                wait_s = _MISCONFIGURED_WAIT_S
                self._say(str(error))
            else:
                self._backoff.reset()
                self._recovered()
                seconds = (self._clock() - begun).total_seconds()
                rows = sum(len(each.times_us) for each in batch.rows)
                size = batch.summary.bytes if batch.summary else 0
                self._counters.wrote(rows, size, seconds)
                return
            self._counters.held_seconds = (self._clock() - started).total_seconds()
            if stopping.wait(wait_s):
                raise Abandoned

    def _keep(self, bad: list[BadMessage], stopping: threading.Event) -> None:
        while bad:
            try:
                self._quarantine.put(bad)
            except PublishFailed as error:
                self._say(str(error))
                if stopping.wait(self._backoff.next_s()):
                    raise Abandoned from None
            else:
                self._recovered()
                return

    def _count(self, gathered: Gathered, batch: Batch, refused: list[BadMessage]) -> None:
        whole = [placed.bad for placed in gathered.placed if placed.bad and not placed.complete]
        reasons = Counter(bad.reason.value for bad in [*whole, *refused])
        copies = sum(1 for placed in gathered.placed if placed.bad and placed.complete)
        self._counters.copied += copies
        total = len(gathered.deliveries)
        self._counters.settle(total, total - sum(reasons.values()), reasons)
        self._counters.held_seconds = 0.0
        if batch.summary is not None and batch.rows:
            self._counters.lag_seconds = (
                to_us(self._clock()) - batch.summary.last_at_us
            ) / 1_000_000

    def _say(self, fault: str) -> None:
        if fault != self._fault:
            self._fault = fault
            log.error("holding: nothing is lost, nothing is acknowledged", reason=fault)

    def _recovered(self) -> None:
        if self._fault:
            self._fault = ""
            log.info("writing again")


def _part(gathered: Gathered, part: slice) -> Gathered:
    """Some of the deliveries of a flush."""
    placed = gathered.placed[part]
    return Gathered(
        deliveries=gathered.deliveries[part],
        placed=placed,
        rows=sum(len(rows.times_us) for each in placed for rows in each.rows),
        bytes=sum(len(delivery.body) for delivery in gathered.deliveries[part]),
    )


class Worker:
    """The writer's thread: one flush in work and one waiting, finished in order."""

    def __init__(self, writing: Writing, wake: Callable[[], None]) -> None:
        self._writing = writing
        self._wake = wake
        self._ready = threading.Condition()
        self._waiting: Gathered | None = None
        self._finished: list[Gathered] = []
        self._ended = False
        self._closing = False
        self._stopping = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def open(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def free(self) -> bool:
        """Whether another flush can be handed over."""
        return self._waiting is None

    def submit(self, gathered: Gathered) -> None:
        """Hand over one flush; only while `free`."""
        with self._ready:
            self._waiting = gathered
            self._ready.notify_all()

    def finished(self) -> list[Gathered]:
        """The flushes made durable since the last call; raises what ended the thread."""
        with self._ready:
            done, self._finished = self._finished, []
            if self._error is not None:
                raise self._error
            return done

    def close(self, last: Gathered | None, patience_s: float) -> list[Gathered]:
        """Finish, `last` included, within `patience_s` or never; returns what is durable."""
        with self._ready:
            self._ready.wait_for(lambda: self._waiting is None or self._ended, patience_s)
            if last is not None and self._waiting is None:
                self._waiting = last
            self._closing = True
            self._ready.notify_all()
        self._thread.join(patience_s)
        self._stopping.set()
        self._thread.join()
        return self._finished

    def _run(self) -> None:
        try:
            while (gathered := self._next()) is not None:
                self._writing.commit(gathered, self._stopping)
                with self._ready:
                    self._finished.append(gathered)
                self._wake()
        except Abandoned:
            log.warning("stopped while holding; the broker will hand the messages over again")
        except BaseException as error:  # noqa: BLE001 - told to the loop, which ends with it
            self._error = error
            self._wake()
        finally:
            with self._ready:
                self._ended = True
                self._ready.notify_all()

    def _next(self) -> Gathered | None:
        with self._ready:
            while self._waiting is None:
                if self._closing:
                    return None
                self._ready.wait()
            gathered, self._waiting = self._waiting, None
            self._ready.notify_all()
        self._wake()
        return gathered
