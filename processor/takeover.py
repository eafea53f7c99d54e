"""Reads what is recorded when an evaluator takes over, beside the evaluator's thread."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
import structlog

from bridge.clock import to_us
from bridge.plant import AlarmType, Boiler, Plant
from bridge.records import AlarmEvent, Rows
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

LOOK_AT_LEAST_EVERY = timedelta(minutes=5)
"""Looks that bring no news become rarer, down to this: a recorder may hold events for hours."""

_MARGIN_US = 60_000_000

_RECORDED_LATELY = timedelta(hours=24)
_CLOSE_WITHIN_S = 2.0

Start = Callable[[Callable[[], None]], None]
Pending = Callable[[], list[AlarmEvent]]
"""Looks at the events that were published and are not stored yet; raises PublishFailed."""


def in_thread(work: Callable[[], None]) -> None:
    """Do the work in a thread of its own."""
    threading.Thread(target=work, name="take-over", daemon=True).start()


def restore_span_us(boiler: Boiler) -> int:
    """How far back a boiler's stored rows are needed: its longest delay or age, and 60 s."""
    longest_s = 0.0
    for alarm in boiler.alarms:
        age_s = alarm.setpoint if alarm.type is AlarmType.STALE else 0.0
        longest_s = max(longest_s, alarm.on_delay_s + age_s, alarm.off_delay_s)
    return round(longest_s * 1_000_000) + _MARGIN_US


class Attempt:
    """One reading of the records: alarm events, and rows of the longest delay and a minute more.

    A look at what came since (not `whole`) takes the events alone. `records` and `fault` are
    there once it is `done`; `abandoned` ends it early.
    """

    def __init__(
        self, store: Store, pending: Pending, plant: Plant, now: datetime, *, whole: bool
    ) -> None:
        self._store = store
        self._pending = pending
        self._plant = plant
        self._now = now
        self._whole = whole
        self._awaited: list[AlarmEvent] = []
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
        """What is on its way to the store, then what is stored: nothing is between the two.

        Rows are read beside the first of these, which takes most of a second.
        """
        if not self._whole:
            return self._events()
        looking = threading.Thread(target=self._look, name="take-over look", daemon=True)
        looking.start()
        rows = self._rows()
        looking.join()
        if self.abandoned:
            return None
        records = self._events()
        return msgspec.structs.replace(records, rows=rows).with_pending(self._awaited)

    def _look(self) -> None:
        try:
            self._awaited = self._pending()
        except PublishFailed as error:
            log.warning("events on their way to the store are not seen", reason=str(error))

    def _events(self) -> Records:
        store, lately_us = self._store, to_us(self._now - _RECORDED_LATELY)
        heads = store.alarm_heads()
        open_alarms = [] if self.abandoned else store.open_alarms()
        events = [] if self.abandoned else store.alarm_events(lately_us, to_us(self._now) + 1)
        # Only at first is an alarm that the store does not name sure to be NORMAL there.
        since_us = lately_us if self._whole else 0
        return Records(heads=heads, open_alarms=open_alarms, events=events, since_us=since_us)

    def _rows(self) -> list[Rows]:
        rows: list[Rows] = []
        end_us = to_us(self._now) + 1
        for boiler in self._plant.file.boilers:
            if self.abandoned:
                break
            since_us = end_us - restore_span_us(boiler)
            rows += self._store.rows(boiler.site, boiler.name, since_us, end_us)
        return rows


class Recall:
    """Asks the store for the records until it answers, one question at a time, and looks again.

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
        self._pause = LOOK_AGAIN
        self._answered = False
        self._fault = ""

    def begin(self, now: datetime) -> None:
        """Ask anew: somebody else may have recorded since the last answer."""
        if self._attempt is not None:
            self._attempt.abandoned = True
        self._due_at = now
        self._wait_until = now + ANSWER_WITHIN
        self._answered = False

    def again(self, now: datetime, *, news: bool) -> None:
        """Ask once more a while after an answer; ever more rarely after those without news."""
        self._pause = LOOK_AGAIN if news else min(2 * self._pause, LOOK_AT_LEAST_EVERY)
        self._due_at = now + self._pause

    def is_awaited(self, now: datetime) -> bool:
        """Whether messages should wait for the first answer."""
        return self._wait_until is not None and now < self._wait_until

    def answer(self, plant: Plant, now: datetime) -> Records | None:
        """The records, when they have just come; asks for them when that is due."""
        records = self._settle(now)
        if self._attempt is None and self._due_at is not None and now >= self._due_at:
            self._due_at = None
            whole = not self._answered
            self._attempt = Attempt(self._store, self._pending, plant, now, whole=whole)
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
        self._answered = True
        return attempt.records

    def close(self) -> None:
        """Leave; a question under way gets 2 s to end."""
        attempt = self._attempt
        if attempt is not None:
            attempt.abandoned = True
            attempt.done.wait(_CLOSE_WITHIN_S)
