"""Reads what is recorded when an evaluator takes over, beside the evaluator's thread."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from bridge.clock import to_us
from bridge.plant import Plant
from bridge.records import AlarmEvent
from processor.alarms.takeover import Records
from processor.results import PublishFailed
from store.errors import StoreError
from store.port import Store

log = structlog.get_logger(__name__)

ANSWER_WITHIN = timedelta(seconds=3)
"""How long messages wait for the records; alarms must be out within 5 s."""

ASK_AGAIN = timedelta(seconds=5)
"""How long after a failure the store is asked again."""

LOOK_AGAIN = timedelta(seconds=15)
"""How long after an answer it is asked again: what was on its way to it has arrived."""

_RECORDED_LATELY = timedelta(hours=24)
_CLOSE_WITHIN_S = 2.0

Start = Callable[[Callable[[], None]], None]
Pending = Callable[[], list[AlarmEvent]]
"""Looks at the events that were published and are not stored yet; raises PublishFailed."""


def in_thread(work: Callable[[], None]) -> None:
    """Do the work in a thread of its own."""
    threading.Thread(target=work, name="take-over", daemon=True).start()


class Attempt:
    """One reading of the records: alarm events, and rows of the longest delay and a minute more.

    `records` and `fault` are there once it is `done`; `abandoned` ends it early.
    """

    def __init__(
        self, store: Store, pending: Pending, plant: Plant, span_us: int, now: datetime
    ) -> None:
        self._store = store
        self._pending = pending
        self._plant = plant
        self._span_us = span_us
        self._now = now
        self.records: Records | None = None
        self.fault = ""
        self.abandoned = False
        self.done = threading.Event()

    def run(self) -> None:
        """Ask the store."""
        try:
            self.records = self._read()
        except StoreError as error:
            self.fault = str(error)
        finally:
            self.done.set()

    def _read(self) -> Records | None:
        """What is on its way to the store, then what is stored: nothing is between the two."""
        pending = self._look()
        records = self._ask()
        return None if records is None else records.with_pending(pending)

    def _look(self) -> list[AlarmEvent]:
        try:
            return self._pending()
        except PublishFailed as error:
            log.warning("events on their way to the store are not seen", reason=str(error))
            return []

    def _ask(self) -> Records | None:
        store, end_us = self._store, to_us(self._now) + 1
        lately_us = to_us(self._now - _RECORDED_LATELY)
        heads = store.alarm_heads()
        open_alarms = [] if self.abandoned else store.open_alarms()
        events = [] if self.abandoned else store.alarm_events(lately_us, end_us)
        rows = []
        for boiler in self._plant.file.boilers:
            if self.abandoned:
                return None
            rows += store.rows(boiler.site, boiler.name, end_us - self._span_us, end_us)
        return Records(
            heads=heads, open_alarms=open_alarms, rows=rows, events=events, since_us=lately_us
        )


class Recall:
    """Asks the store for the records until it answers, one question at a time.

    A store that is away, or takes the connection and never answers, holds up nobody:
    what has not come within 3 s is no longer waited for.
    """

    def __init__(self, store: Store, start: Start = in_thread, pending: Pending = list) -> None:
        self._store = store
        self._pending = pending
        self._start = start
        self._attempt: Attempt | None = None
        self._due_at: datetime | None = None
        self._wait_until: datetime | None = None
        self._fault = ""

    def begin(self, now: datetime) -> None:
        """Ask anew: somebody else may have recorded since the last answer."""
        if self._attempt is not None:
            self._attempt.abandoned = True
        self._due_at = now
        self._wait_until = now + ANSWER_WITHIN

    def again(self, now: datetime) -> None:
        """Ask once more a while after an answer."""
        self._due_at = now + LOOK_AGAIN

    def is_awaited(self, now: datetime) -> bool:
        """Whether messages should wait for the first answer."""
        return self._wait_until is not None and now < self._wait_until

    def answer(self, plant: Plant, span_us: int, now: datetime) -> Records | None:
        """The records, when they have just come; asks for them when that is due."""
        records = self._settle(now)
        if self._attempt is None and self._due_at is not None and now >= self._due_at:
            self._due_at = None
            self._attempt = Attempt(self._store, self._pending, plant, span_us, now)
            self._start(self._attempt.run)
            records = self._settle(now)
        return records

    def _settle(self, now: datetime) -> Records | None:
        attempt = self._attempt
        if attempt is None or not attempt.done.is_set():
            return None
        self._attempt = None
        if attempt.abandoned:
            return None
        self._wait_until = None
        if attempt.records is None:
            self._due_at = now + ASK_AGAIN
            if attempt.fault != self._fault:
                self._fault = attempt.fault
                log.warning("alarm states unknown, going on without them", reason=self._fault)
            return None
        self._fault = ""
        return attempt.records

    def close(self) -> None:
        """Leave; a question under way gets 2 s to end."""
        attempt = self._attempt
        if attempt is not None:
            attempt.abandoned = True
            attempt.done.wait(_CLOSE_WITHIN_S)
