"""The day of batches: its minutes, its gaps, its last hour."""

from concurrent.futures import Future
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import msgspec

from panel_app.i18n import translator_of
from panel_app.pages.batches import (
    MINUTES_A_DAY,
    BatchesDay,
    BatchesPage,
    BatchesState,
    batches_day,
    day_span,
)
from panel_app.route import Route
from store.port import BatchMinute

DAY = date(2026, 11, 23)


def minute(batch_id, rows=180, quarantined=0, lag_ms=200):
    return BatchMinute(
        batch_id=batch_id,
        flushes=60,
        rows=rows,
        messages=rows,
        bytes=rows * 200,
        quarantined=quarantined,
        lag_ms_max=lag_ms,
        first_at_us=0,
        last_at_us=0,
    )


def test_minutes_stand_where_their_key_says():
    """2026-11-23_12-34 is minute 754 of that day; other days are left out."""
    found = [minute("2026-11-22_23-59"), minute("2026-11-23_12-34", 99, 3, 7_000)]

    day = batches_day(DAY, found, datetime(2026, 11, 23, 18, tzinfo=UTC))

    assert day.cells == [(754, 99, 99, 60, 19_800, 3, 7_000)]


def test_minutes_before_the_first_and_after_now_are_not_missing():
    """Missing is only what lies between the first batch and the present minute."""
    found = [minute("2026-11-23_10-00"), minute("2026-11-23_10-02")]

    day = batches_day(DAY, found, datetime(2026, 11, 23, 10, 5, tzinfo=UTC))

    assert (day.since, day.until) == (600, 605)


def test_past_day_is_whole_and_empty_day_misses_nothing():
    """Yesterday ends at midnight; a day without any batch says nothing of gaps."""
    later = datetime(2026, 11, 25, 1, tzinfo=UTC)

    assert batches_day(DAY, [minute("2026-11-23_00-00")], later).until == MINUTES_A_DAY
    empty = batches_day(DAY, [], later)
    assert (empty.since, empty.until) == (MINUTES_A_DAY, MINUTES_A_DAY)


def test_last_hour_reaches_over_midnight():
    """At ten past twelve it begins yesterday."""
    found = [minute("2026-11-22_23-11", 11), minute("2026-11-23_00-10", 12)]

    day = batches_day(DAY, found, datetime(2026, 11, 23, 0, 10, 30, tzinfo=UTC))

    assert len(day.hour) == 60
    assert (day.hour[0], day.hour[-1]) == (11, 12)
    assert (day.hour_from, day.hour_to) == ("23:11", "00:10")


def test_day_span_follows_the_clock_changes_of_its_zone():
    """A day has 23 or 25 hours where clocks change."""
    zone = ZoneInfo("Europe/Lisbon")

    lengths = [
        (end_us - start_us) / 3.6e9
        for start_us, end_us in (
            day_span(date(2026, 3, 29), zone),
            day_span(date(2026, 10, 25), zone),
            day_span(DAY, zone),
        )
    ]

    assert lengths == [23, 25, 24]


class Asked:
    """A page's surroundings; each question waits until `answer` is called."""

    def __init__(self, day=""):
        self.now = datetime(2026, 11, 23, 23, 59, 50, tzinfo=UTC)
        self.waiting = []
        self.page = BatchesPage(
            SimpleNamespace(
                clock=lambda: self.now,
                translator=translator_of("en"),
                route=Route(page="batches", day=day),
                batch_zone="UTC",
                history=SimpleNamespace(batches=lambda span: Future()),
                fetch=lambda future, then: self.waiting.append(then),
                go=lambda route: None,
            )
        )
        self.page.open()

    def answer(self, index, *batch_ids):
        """Answer a question, the oldest first."""
        self.waiting.pop(index)([minute(batch_id) for batch_id in batch_ids])

    @property
    def built(self):
        """The day that the page is built for."""
        return msgspec.json.decode(self.page.view.state, type=BatchesState).day

    @property
    def is_today(self):
        """Whether the page says that this day is today."""
        return msgspec.json.decode(self.page.view.state, type=BatchesState).today

    @property
    def given(self):
        """The day whose minutes it was given."""
        return msgspec.json.decode(self.page.view.data, type=BatchesDay).day


def test_today_open_over_midnight_becomes_the_new_day():
    """The page follows: the day's name and its minutes are of one day, before and after."""
    asked = Asked()
    asked.answer(0, "2026-11-23_23-59")
    assert (asked.built, asked.given) == ("2026-11-23", "2026-11-23")

    asked.now += timedelta(seconds=12)
    asked.page.refresh()
    asked.answer(0, "2026-11-24_00-00")

    assert (asked.built, asked.given) == ("2026-11-24", "2026-11-24")


def test_day_of_an_address_that_was_today_is_yesterday_after_midnight():
    """A bookmark of today then offers the next day, as any other day does."""
    asked = Asked(day="2026-11-23")
    assert asked.is_today

    asked.now += timedelta(seconds=12)
    asked.page.refresh()

    assert (asked.built, asked.is_today) == ("2026-11-23", False)


def test_answer_for_a_day_that_was_left_is_not_shown():
    """The slower answer, for the day before, does not take the place of the chosen one's."""
    asked = Asked()
    asked.page.receive({"type": "day", "step": -1})
    asked.answer(1, "2026-11-22_10-00")

    asked.answer(0, "2026-11-23_10-00")

    assert (asked.built, asked.given) == ("2026-11-22", "2026-11-22")
