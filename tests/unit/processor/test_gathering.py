"""When a flush is due, and what it is stamped with."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from bridge.messages import TimeBounds
from processor.delivery import Delivery
from processor.gathering import FlushRule, Gathering, batch_id, to_batch
from processor.placing import Placement
from tests.fakes import START, FakeClock
from tests.messages import DATA_KEY, PLANT, data


def add(gathering, clock, count=1, first=1):
    placement = Placement(PLANT)
    for number in range(first, first + count):
        delivery = Delivery(number, DATA_KEY, data(number))
        gathering.add(delivery, placement.place(delivery, TimeBounds.at(clock(), None)), clock())


def test_batch_id_is_the_minute_of_processing_in_the_zone():
    """The stamp is YYYY-MM-DD_HH-MM in the configured time zone."""
    now = datetime(2026, 11, 23, 1, 59, 59, tzinfo=UTC)

    assert batch_id(now, UTC) == "2026-11-23_01-59"
    assert batch_id(now, ZoneInfo("America/Sao_Paulo")) == "2026-11-22_22-59"


def test_flush_is_not_due_while_nothing_is_gathered():
    """An empty gathering is never due."""
    assert not Gathering(FlushRule()).due(START)


def test_flush_is_due_at_the_row_limit():
    """So many rows make a flush due at once."""
    gathering, clock = Gathering(FlushRule(rows=3)), FakeClock()

    add(gathering, clock, 2)
    assert not gathering.due(clock())
    add(gathering, clock, 1, first=3)
    assert gathering.due(clock())


def test_flush_is_due_at_the_byte_limit():
    """So many bytes make a flush due at once."""
    gathering, clock = Gathering(FlushRule(bytes=len(data(1)) + 1)), FakeClock()

    add(gathering, clock, 2)

    assert gathering.due(clock())


def test_flush_is_due_when_idle_or_old():
    """A pause of 50 ms, or 100 ms of steady arrivals, makes a flush due."""
    gathering, clock = Gathering(FlushRule()), FakeClock()
    add(gathering, clock)
    assert not gathering.due(clock())

    clock.advance(0.05)
    assert gathering.due(clock())

    busy, clock = Gathering(FlushRule()), FakeClock()
    for number in range(1, 7):
        add(busy, clock, first=number)
        clock.advance(0.04)
    assert busy.due(clock())


def test_batch_sums_up_its_flush():
    """The summary counts rows, messages and bytes, and tells the lag of the newest row."""
    gathering, clock = Gathering(FlushRule()), FakeClock()
    add(gathering, clock, 3)
    clock.advance(2)

    batch = to_batch(gathering.take(), clock(), UTC, "r1")

    assert (batch.summary.rows, batch.summary.messages) == (3, 3)
    assert batch.summary.bytes == sum(len(data(n)) for n in (1, 2, 3))
    assert batch.summary.lag_ms == 1999
    assert batch.summary.batch_id == batch.batch_id == "2026-11-23_12-00"
    assert len(gathering) == 0
