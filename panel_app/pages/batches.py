"""The batches per minute: what was processed, when, how late, and what is missing."""

from datetime import date, datetime, time, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from bridge.clock import from_us, to_us
from panel_app.components.view import Batches
from panel_app.i18n.texts import Texts
from panel_app.pages.page import Surroundings
from store.port import BatchMinute

REFRESH_US = 10_000_000
LATE_MS = 5_000
"""From which lag a minute is marked late; staleness is judged below this lag only."""

MINUTES_A_DAY = 1_440
HOUR_US = 3_600_000_000

Cell = tuple[int, int, int, int, int, int, int]
"""Minute of the day, rows, messages, flushes, bytes, quarantined, longest lag in ms."""


class BatchesState(msgspec.Struct, frozen=True, kw_only=True):
    """What the page is built from; `day` is YYYY-MM-DD, `today` says whether it is."""

    lang: str
    texts: Texts
    day: str
    day_name: str
    today: bool
    zone: str
    late_ms: int


class BatchesDay(msgspec.Struct, frozen=True, kw_only=True):
    """The minutes of `day` that have a batch; `until` is the first minute still to come.

    `since` is the first minute with a batch: what lies before is not called missing.
    `hour` holds the rows of the last 60 minutes, oldest first, across midnight.
    """

    day: str
    cells: list[Cell]
    since: int
    until: int
    hour: list[int]
    hour_from: str
    hour_to: str


class BatchesPage:
    """A day as a map of 24 by 60 minutes."""

    def __init__(self, given: Surroundings) -> None:
        self._given = given
        self._zone = ZoneInfo(given.batch_zone)
        self._day = given.route.day
        self._built: tuple[date, bool] | None = None
        self._asked_us = 0
        self.view: Any = Batches()

    def open(self) -> None:
        """Build the map, and ask for the day."""
        self._build()

    def refresh(self) -> None:
        """Ask again now and then while the day is today; follow today over midnight."""
        now_us = to_us(self._given.clock())
        shown, today = self._shown(now_us), self._today(now_us)
        if (shown, shown == today) != self._built:
            self._build()
        elif shown == today and now_us - self._asked_us > REFRESH_US:
            self._ask(now_us)

    def close(self) -> None:
        """Nothing to let go of."""

    def _build(self) -> None:
        given = self._given
        now_us = to_us(given.clock())
        shown, today = self._shown(now_us), self._today(now_us)
        self._built = shown, shown == today
        self.view.build(
            BatchesState(
                lang=given.translator.language,
                texts=given.translator.texts,
                day=shown.isoformat(),
                day_name=given.translator.day(shown),
                today=shown == today,
                zone=given.batch_zone,
                late_ms=LATE_MS,
            )
        )
        self._ask(now_us)

    def _ask(self, now_us: int) -> None:
        self._asked_us = now_us
        day = self._shown(now_us)
        start_us, end_us = day_span(day, self._zone)
        future = self._given.history.batches((start_us - HOUR_US, end_us))
        self._given.fetch(future, partial(self._take, day))

    def _take(self, day: date, found: list[BatchMinute]) -> None:
        if self._built is None or day != self._built[0]:
            return
        now = self._given.clock().astimezone(self._zone)
        self.view.give(batches_day(day, found, now))

    def receive(self, message: dict[str, Any]) -> None:
        """Another day was chosen."""
        if message.get("type") != "day":
            return
        now_us = to_us(self._given.clock())
        step = message.get("step")
        day = self._today(now_us)
        if step in (-1, 1):
            day = min(day, self._shown(now_us) + timedelta(days=step))
        self._day = "" if day == self._today(now_us) else day.isoformat()
        self._given.go(msgspec.structs.replace(self._given.route, day=self._day))
        self._build()

    def _today(self, now_us: int) -> date:
        return from_us(now_us).astimezone(self._zone).date()

    def _shown(self, now_us: int) -> date:
        today = self._today(now_us)
        try:
            return min(today, date.fromisoformat(self._day)) if self._day else today
        except ValueError:
            return today


def day_span(day: date, zone: ZoneInfo) -> tuple[int, int]:
    """The span of a day in a time zone (epoch µs); 23 to 25 hours."""
    begin = datetime.combine(day, time(), zone)
    end = datetime.combine(day + timedelta(days=1), time(), zone)
    return to_us(begin), to_us(end)


def batches_day(day: date, found: list[BatchMinute], now: datetime) -> BatchesDay:
    """The minutes of a day, from batch ids `YYYY-MM-DD_HH-MM` in the zone of `now`."""
    prefix = f"{day.isoformat()}_"
    cells: list[Cell] = [
        (
            int(one.batch_id[11:13]) * 60 + int(one.batch_id[14:16]),
            one.rows,
            one.messages,
            one.flushes,
            one.bytes,
            one.quarantined,
            one.lag_ms_max,
        )
        for one in found
        if one.batch_id.startswith(prefix)
    ]
    until = now.hour * 60 + now.minute if now.date() == day else MINUTES_A_DAY
    since = min((cell[0] for cell in cells), default=until)
    end = now if now.date() == day else datetime.combine(day, time(23, 59), now.tzinfo)
    minutes = [end - timedelta(minutes=ago) for ago in range(59, -1, -1)]
    rows = {one.batch_id: one.rows for one in found}
    return BatchesDay(
        day=day.isoformat(),
        cells=cells,
        since=since,
        until=until,
        hour=[rows.get(minute.strftime("%Y-%m-%d_%H-%M"), 0) for minute in minutes],
        hour_from=minutes[0].strftime("%H:%M"),
        hour_to=minutes[-1].strftime("%H:%M"),
    )
