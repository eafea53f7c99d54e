"""The recorder's second thread: computes roll-ups from what is stored, beside the recording."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from bridge.clock import Clock, from_us, to_us
from bridge.series import ROLL_UPS
from processor.backoff import Backoff
from processor.counters import RecorderCounters
from processor.rollup import MINUTE_US, Touched
from store.errors import Refused, StoreError, TooLarge
from store.port import Store

log = structlog.get_logger(__name__)

_EVERY_S = 5.0
_LONGEST_US = 100 * 86_400 * 1_000_000
_LOOK_BACK_US = 2 * 3600 * 1_000_000
_LOOK_BACK_EVERY_S = 3600.0


class Rolling:
    """Computes the windows that are due every 5 s; a store that is away is tried again.

    At the start, and every hour, it also looks at the summaries of the batches flushed since
    two hours before the newest roll-up, by whatever recorder, and computes their spans anew:
    what a recorder had noted and not computed when it ended is not forgotten. Where there is
    no roll-up at all, that is everything stored.
    """

    def __init__(
        self,
        store: Store,
        touched: Touched,
        counters: RecorderCounters,
        clock: Clock,
        *,
        retention: timedelta | None,
        backoff: Backoff,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._touched = touched
        self._counters = counters
        self._clock = clock
        self._retention = retention
        self._backoff = backoff
        self._monotonic = monotonic
        self._look_back_at = 0.0
        self._complete_at = monotonic()
        self._fault = ""

    def run(self, stopping: threading.Event) -> None:
        """Compute until told to stop; what is left is found again at the next start."""
        wait_s = _EVERY_S
        while not stopping.wait(wait_s):
            wait_s = _EVERY_S if self.turn(stopping) else self._backoff.next_s()

    def turn(self, stopping: threading.Event) -> bool:
        """Compute what is due; False where the store did not let it."""
        now = self._clock()
        try:
            if self._monotonic() >= self._look_back_at:
                self._look_back(now)
                self._look_back_at = self._monotonic() + _LOOK_BACK_EVERY_S
            self._roll_up(now, stopping)
        except StoreError as error:
            self._counters.roll_up_failures += 1
            self._counters.roll_up_behind_seconds = self._monotonic() - self._complete_at
            if str(error) != self._fault:
                self._fault = str(error)
                log.warning("roll-ups wait", reason=self._fault)
            return False
        if self._fault:
            self._fault = ""
            log.info("roll-ups go on")
        self._backoff.reset()
        self._complete_at = self._monotonic()
        self._counters.roll_up_behind_seconds = 0.0
        return True

    def _roll_up(self, now: datetime, stopping: threading.Event) -> None:
        jobs = self._touched.take(now, self._oldest_us(now))
        while jobs:
            if stopping.is_set():
                return
            job = jobs[0]
            try:
                stored = self._store.roll_up(job.width_us, job.start_us, job.end_us, job.place)
            except (Refused, TooLarge) as error:
                # It would be refused again, and keep all others from being computed.
                self._counters.roll_up_failures += 1
                log.error("roll-up left out", job=job, reason=str(error))  # noqa: TRY400
                del jobs[0]
                continue
            except StoreError:
                self._touched.give_back(jobs)
                raise
            self._counters.roll_ups += stored
            del jobs[0]

    def _look_back(self, now: datetime) -> None:
        # Of every width: one that ended within its work had the wider windows still before it.
        newest = [self._store.newest_roll_up(width_us) for width_us in ROLL_UPS]
        found = [each for each in newest if each is not None]
        since_us = min(found) - _LOOK_BACK_US if len(found) == len(newest) else 0
        oldest_us = self._oldest_us(now) or 0
        end_us = to_us(now)
        for minute in self._store.batches(max(since_us, oldest_us), end_us + 1):
            start_us = max(minute.first_at_us, oldest_us)
            self._add_span(start_us, min(minute.last_at_us, end_us) + 1)

    def _add_span(self, start_us: int, end_us: int) -> None:
        if end_us - start_us > _LONGEST_US:
            log.warning(
                "rows of very different times were stored at once; `steam rollup` repairs their roll-ups",
                since=from_us(start_us).isoformat(),
                until=from_us(end_us).isoformat(),
            )
            return
        self._touched.add_span(start_us, end_us)

    def _oldest_us(self, now: datetime) -> int | None:
        """The first minute of which all rows are sure to be there."""
        if self._retention is None:
            return None
        return to_us(now - self._retention) // MINUTE_US * MINUTE_US + MINUTE_US
