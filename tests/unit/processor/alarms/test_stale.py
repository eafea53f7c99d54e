"""STALE: judged by the clock against the newest usable reading's time."""

import pytest

from bridge.records import AlarmState
from tests.unit.processor.alarms.sending import (
    LEVEL,
    PRESSURE,
    Sender,
    data,
    definition,
    plant_with,
)

UNACK, RTN_UNACK = AlarmState.UNACK, AlarmState.RTN_UNACK
STALE = definition("quiet", type_="STALE", setpoint=30)


def seconds(sender) -> list[tuple[AlarmState, float]]:
    """(state, seconds since the start) of every event, without a row's own microseconds."""
    return [(state, at_us // 1000 / 1000) for _, state, at_us in sender.log]


def test_stale_metric_is_dated_by_its_newest_reading_and_the_age():
    """The alarm's time is the newest reading's plus the age, whenever the tick comes."""
    sender = Sender(plant_with(STALE))
    sender.readings(7.0)

    assert sender.tick(at=30.9) == []
    sender.tick(at=33)

    assert seconds(sender) == [(UNACK, 31.0)]


def test_stale_metric_read_again_returns_at_that_reading():
    """The first fresh reading ends it."""
    sender = Sender(plant_with(STALE))
    sender.readings(7.0)
    sender.tick(at=40)

    sender.readings(7.0, 7.0, first=41)
    sender.tick()
    sender.send(data(2, (7.0,), at=44), at=44)
    sender.send(data(3, (7.0,), at=45), at=45)
    sender.tick(at=47)

    assert seconds(sender) == [(UNACK, 31.0), (RTN_UNACK, 44.0)]


def test_stale_metric_with_delays_waits_for_them():
    """On-delay lengthens the age; off-delay asks for fresh readings that long."""
    sender = Sender(
        plant_with(definition("quiet", type_="STALE", setpoint=30, on_delay_s=10, off_delay_s=5))
    )
    sender.readings(7.0)
    assert sender.tick(at=40) == []
    sender.tick(at=42)
    for seq in range(2, 9):
        sender.send(data(seq, (7.0,), at=48 + seq), at=48 + seq)
        sender.tick()

    assert seconds(sender) == [(UNACK, 41.0), (RTN_UNACK, 55.0)]


def test_stale_metric_never_seen_counts_from_the_evaluators_start():
    """A metric that never came is stale too."""
    sender = Sender(plant_with(STALE))

    sender.tick(at=31)

    assert seconds(sender) == [(UNACK, 30.0)]


@pytest.mark.parametrize(
    ("row", "quality"),
    [((None,), None), ((7.0,), {"0,0": 0}), ((None,), {"0,0": 16})],
)
def test_stale_reading_that_cannot_be_used_is_not_fresh(row, quality):
    """No value, or one of bad quality, does not keep a metric fresh."""
    sender = Sender(plant_with(STALE))
    sender.readings(7.0)
    sender.send(data(2, row, at=20, quality=quality), at=20)

    sender.tick(at=32)

    assert seconds(sender) == [(UNACK, 31.0)]


def test_stale_reading_of_uncertain_quality_is_fresh():
    """An uncertain reading may be judged, so it is fresh."""
    sender = Sender(plant_with(STALE))
    sender.readings(7.0)
    sender.send(data(2, (7.0,), at=20, quality={"0,0": 64}), at=20)

    assert sender.tick(at=32) == []


def test_stale_metric_of_two_devices_is_fresh_through_either():
    """The boiler's newest reading counts, from whatever device."""
    sender = Sender(plant_with(STALE, devices=("d1", "d2")))
    sender.readings(7.0)
    sender.send(data(1, (7.0,), at=20), device="d2", at=20)

    assert sender.tick(at=32) == []
    sender.tick(at=51)
    assert seconds(sender) == [(UNACK, 50.0)]


def test_stale_other_metrics_do_not_keep_a_metric_fresh():
    """Each metric by itself."""
    sender = Sender(plant_with(STALE))
    sender.readings(7.0)
    sender.send(data(2, (50.0,), at=20, metrics=(LEVEL,)), at=20)

    sender.tick(at=32)

    assert seconds(sender) == [(UNACK, 31.0)]


def test_stale_is_not_judged_while_the_evaluator_lags():
    """Messages that wait in the queue are not missing."""
    sender = Sender(plant_with(STALE))
    sender.readings(7.0)

    sender.tick(at=60, lag_s=5.0)
    sender.tick(at=65, lag_s=5.0)

    assert [event.definition for event in sender.events] == ["evaluator_lagging"]


def test_stale_is_not_judged_while_the_lag_is_unknown():
    """Right after a connection nobody knows what waits in the queue."""
    sender = Sender(plant_with(STALE))
    sender.readings(7.0)

    assert sender.tick(at=60, lag_s=None) == []
    assert [event.definition for event in sender.tick(at=60, lag_s=0.0)] == ["quiet"]


def test_stale_reading_dated_ahead_counts_as_taken_now():
    """A device whose clock is ahead cannot hide its silence."""
    sender = Sender(plant_with(STALE))
    sender.send(data(1, (7.0,), at=200), at=1)

    sender.tick(at=32)

    assert seconds(sender) == [(UNACK, 31.0)]


def test_stale_old_readings_of_a_backlog_do_not_end_it():
    """Readings that are stale themselves, when they come, are not fresh."""
    sender = Sender(plant_with(STALE))
    sender.readings(7.0)
    sender.tick(at=300)

    sender.send(data(2, (7.0,), at=100), at=300)
    sender.tick(at=300.25)
    assert len(sender.log) == 1
    sender.send(data(3, (7.0,), at=301), at=301)
    sender.tick(at=301.25)

    assert seconds(sender)[1:] == [(RTN_UNACK, 301.0)]


def test_stale_beside_limits_of_the_same_metric_leaves_them_alone():
    """A limit and an age of one metric are alarms of their own."""
    sender = Sender(plant_with(STALE, definition(), definition("lo", PRESSURE, "LO", 2.0)))
    sender.readings(7.0)
    sender.tick(at=40)
    sender.send(data(2, (11.0,), at=41), at=41)
    sender.tick(at=41.5)

    assert [(name, state) for name, state, _ in sender.log] == [
        ("quiet", UNACK),
        ("hi", UNACK),
        ("quiet", RTN_UNACK),
    ]
