"""Rows of an outage: what still holds alarms, what is over is journalled and moves nothing."""

import pytest

from bridge.messages import Event
from bridge.records import AlarmState
from processor.alarms.order import MAX_GAPS
from tests.unit.processor.alarms.sending import (
    LEVEL,
    PRESSURE,
    START_MS,
    Sender,
    data,
    definition,
    loss,
    plant_with,
)

UNACK, RTN_UNACK = AlarmState.UNACK, AlarmState.RTN_UNACK


def sender_with(*alarms) -> Sender:
    """A sender whose device has sent one normal row."""
    sender = Sender(plant_with(*(alarms or (definition(),))))
    sender.readings(9.0)
    return sender


def found(sender) -> list[tuple[str, AlarmState, int, bool]]:
    """(definition, state, second, retroactive) of every event so far."""
    seconds = [at_us // 1_000_000 for _, _, at_us in sender.log]
    return [
        (event.definition, event.state, second, event.retroactive)
        for event, second in zip(sender.events, seconds, strict=True)
    ]


def give_up(sender, at):
    """Let the order stop waiting."""
    sender.tick(at=at)


def test_late_condition_over_at_the_live_rows_is_retroactive():
    """Rows below the newest whose condition is over page nobody and move nothing."""
    sender = sender_with()
    sender.readings(9.0, first=5)
    give_up(sender, 8)

    for seq, value in ((2, 9.0), (3, 11.0), (4, 9.0)):
        sender.hist(data(seq, (value,)), at=9)

    assert found(sender) == [("hi", UNACK, 3, True), ("hi", RTN_UNACK, 4, True)]
    assert sender.state() is AlarmState.NORMAL


def test_late_condition_that_lasted_up_to_the_live_rows_ends_with_the_first_of_them():
    """The end of a late condition is dated by the live row that shows it."""
    sender = sender_with()
    sender.readings(9.0, first=5)
    give_up(sender, 8)

    for seq in (2, 3, 4):
        sender.hist(data(seq, (11.0,)), at=9)

    assert found(sender) == [("hi", UNACK, 2, True), ("hi", RTN_UNACK, 5, True)]
    assert sender.state() is AlarmState.NORMAL


def test_late_condition_still_true_was_alarmed_live_and_gets_its_true_beginning():
    """The live row alarms at once; the late rows add since when, without a second page."""
    sender = sender_with()
    sender.readings(11.0, first=5)
    give_up(sender, 8)

    for seq, value in ((2, 9.0), (3, 11.0), (4, 11.0)):
        sender.hist(data(seq, (value,)), at=9)

    assert found(sender) == [("hi", UNACK, 5, False), ("hi", UNACK, 3, True)]
    assert sender.state() is UNACK


def test_late_condition_that_live_rows_cannot_deny_alarms():
    """Live rows inside the deadband cannot tell; the late rows say that it is still true."""
    sender = sender_with(definition(deadband=2.0))
    sender.readings(9.0, 9.0, first=4)
    give_up(sender, 8)
    assert sender.state() is AlarmState.NORMAL

    for seq, value in ((2, 9.0), (3, 11.0)):
        sender.hist(data(seq, (value,)), at=9)

    assert found(sender) == [("hi", UNACK, 3, True), ("hi", UNACK, 4, False)]
    assert sender.state() is UNACK
    sender.readings(8.0, first=6)
    assert sender.state() is RTN_UNACK


def test_late_return_that_live_rows_cannot_deny_returns():
    """An alarm that ended during the outage returns though the live rows are in the deadband."""
    sender = sender_with(definition(deadband=2.0))
    sender.readings(11.0, first=2)
    sender.readings(9.0, first=4)
    give_up(sender, 8)
    assert sender.state() is UNACK

    sender.hist(data(3, (7.0,)), at=9)

    assert found(sender)[1:] == [("hi", RTN_UNACK, 3, True), ("hi", RTN_UNACK, 4, False)]
    assert sender.state() is RTN_UNACK


def test_late_rows_of_two_gaps_carry_on_from_one_to_the_next():
    """What the first gap's rows say is where the second gap begins."""
    sender = sender_with(definition(deadband=4.0))
    sender.readings(8.0, first=3)
    give_up(sender, 5)
    sender.readings(8.0, first=6)
    give_up(sender, 9)

    sender.hist(data(2, (11.0,)), at=10)
    sender.hist(data(4, (8.0,)), at=11)
    sender.hist(data(5, (5.0,)), at=12)

    assert found(sender) == [("hi", UNACK, 2, True), ("hi", RTN_UNACK, 5, True)]
    assert sender.state() is AlarmState.NORMAL


def test_late_rows_keep_the_timer_that_ran_before_the_gap():
    """An on-delay that began before the outage goes on through its rows."""
    sender = sender_with(definition(on_delay_s=3))
    sender.readings(11.0, first=2)
    sender.readings(9.0, first=7)
    give_up(sender, 10)

    for seq, value in ((3, 11.0), (4, 11.0), (5, 11.0), (6, 11.0)):
        sender.hist(data(seq, (value,)), at=11)

    assert found(sender) == [("hi", UNACK, 5, True), ("hi", RTN_UNACK, 7, True)]


def test_late_alarm_acknowledged_before_the_gap_returns_to_normal_retroactively():
    """The late engine knows that the alarm was acknowledged when the outage began."""
    sender = sender_with()
    sender.readings(11.0, first=2)
    sender.acknowledge(at=2.5)
    sender.readings(9.0, first=5)
    give_up(sender, 8)

    sender.hist(data(3, (9.0,)), at=9)

    assert found(sender)[-1] == ("hi", AlarmState.NORMAL, 3, True)


def test_late_rows_out_of_order_wait_for_those_before_them():
    """Late rows have an order of their own, with the same wait."""
    sender = sender_with()
    sender.readings(9.0, first=5)
    give_up(sender, 8)

    sender.hist(data(4, (9.0,)), at=9)
    sender.hist(data(3, (11.0,)))
    assert (found(sender), sender.evaluation.settled) == ([], 2)
    sender.hist(data(2, (9.0,)))

    assert found(sender) == [("hi", UNACK, 3, True), ("hi", RTN_UNACK, 4, True)]
    assert sender.evaluation.settled == 5


def test_late_rows_do_not_wait_longer_than_two_seconds():
    """A late row goes on without those before it; these may still come."""
    sender = sender_with()
    sender.readings(9.0, first=6)
    give_up(sender, 9)
    sender.hist(data(4, (11.0,)), at=10)

    sender.tick(at=11.9)
    assert found(sender) == []
    sender.tick(at=12)
    assert found(sender) == [("hi", UNACK, 4, True)]
    sender.hist(data(2, (9.0,)), at=13)
    sender.hist(data(3, (9.0,)), at=13)
    sender.hist(data(5, (9.0,)), at=13)

    assert found(sender)[1:] == [("hi", RTN_UNACK, 5, True)]
    assert sender.evaluation.settled == 6


def test_late_rows_of_an_earlier_boot_are_judged_from_where_it_ended():
    """The backlog of the boot before continues that boot."""
    sender = sender_with(definition(on_delay_s=3))
    sender.readings(11.0, first=2)
    sender.send(data(0, (9.0,), at=60, boot=2), at=60)

    for seq in (3, 4, 5):
        sender.hist(data(seq, (11.0,)), at=61)
    sender.hist(data(6, (9.0,)), at=61)

    assert found(sender) == [("hi", UNACK, 5, True), ("hi", RTN_UNACK, 6, True)]
    assert sender.state() is AlarmState.NORMAL


def test_late_rows_from_before_the_device_was_followed_begin_unknown():
    """Where nobody knows how it began, the first reading is no transition."""
    sender = Sender(plant_with(definition()))
    sender.readings(9.0, first=100)

    for seq, value in ((50, 11.0), (51, 9.0), (52, 11.0), (53, 9.0)):
        sender.hist(data(seq, (value,)), at=101)

    assert found(sender) == [
        ("hi", RTN_UNACK, 51, True),
        ("hi", UNACK, 52, True),
        ("hi", RTN_UNACK, 53, True),
    ]


def test_late_rows_of_unknown_beginning_inside_the_deadband_stay_unknown():
    """A reading that settles nothing leaves it open."""
    sender = Sender(plant_with(definition(deadband=2.0)))
    sender.readings(5.0, first=100)

    for seq, value in ((50, 9.0), (51, 7.0), (52, 11.0)):
        sender.hist(data(seq, (value,)), at=101)

    assert found(sender) == [("hi", UNACK, 52, True)]


def test_late_row_delivered_twice_is_judged_once():
    """A redelivered late row changes nothing."""
    sender = sender_with()
    sender.readings(9.0, first=5)
    give_up(sender, 8)
    for seq, value in ((2, 11.0), (3, 9.0)):
        sender.hist(data(seq, (value,)), at=9)
    before = list(sender.events)

    taken = sender.hist(data(2, (11.0,)), at=10)

    assert taken.outcome.value == "duplicate"
    assert sender.events == before


def test_late_rows_do_not_change_the_newest_readings():
    """What is shown live is the newest, not the latest to arrive."""
    sender = sender_with()
    sender.readings(9.0, first=5)
    give_up(sender, 8)
    sender.hist(data(2, (3.0,)), at=9)

    reading = sender.evaluation.live("mill", sender.now).boilers[0].readings[PRESSURE]

    assert (reading.value, reading.at_us % 1_000_000) == (9.0, 5)


def test_late_bad_reading_stops_the_late_timer():
    """Quality counts in late rows as in live ones."""
    sender = sender_with(definition(on_delay_s=3))
    sender.readings(9.0, first=8)
    give_up(sender, 11)

    rows = [(2, 11.0, None), (3, 11.0, {"0,0": 0}), (4, 11.0, None), (5, 11.0, None)]
    for seq, value, quality in rows:
        sender.hist(data(seq, (value,), quality=quality), at=12)
    assert found(sender) == []
    sender.hist(data(6, (11.0,)), at=12)
    sender.hist(data(7, (11.0,)), at=12)

    assert found(sender) == [("hi", UNACK, 7, True), ("hi", RTN_UNACK, 8, True)]


def test_late_loss_reports_of_every_other_message_keep_a_bounded_number_of_gaps():
    """A device that reports its losses one by one, for ever, does not fill the memory."""
    sender = Sender(plant_with(definition()))
    sender.readings(9.0)
    for seq in range(1, 201):
        sender.send(loss(seq, 5 + 2 * seq, 5 + 2 * seq, boot=2, of_boot=1), at=2)

    order = sender.evaluation._devices["d1"].order

    assert order.lost == 200
    assert len(order.gaps) <= MAX_GAPS


@pytest.mark.parametrize(("first", "last"), [(-5, 3), (2, 2**32), (2, 10**30), (True, 3), (2, 3.0)])
def test_late_loss_report_beyond_any_number_is_left_out(first, last):
    """Numbers that no message can carry count nothing."""
    sender = Sender(plant_with(definition()))
    sender.readings(9.0)
    told = {"from": first, "to": last, "boot": 0}

    sender.send(Event(v=1, b=1, n=2, up=0, t=START_MS, ev="loss", d=told))

    assert sender.device().lost == 0


def test_late_loss_report_ends_the_gap():
    """A gap of which nothing will come is closed and counted as lost."""
    sender = sender_with(definition(deadband=2.0))
    sender.readings(9.0, first=5)
    give_up(sender, 8)

    sender.send(loss(6, 2, 4), at=9)

    assert sender.device().lost == 3
    sender.readings(9.0, 11.0, first=7)
    assert found(sender) == [("hi", UNACK, 8, False)]
    assert sender.state() is UNACK


@pytest.mark.parametrize("extra", [0, 5])
def test_late_rows_of_more_gaps_than_are_kept_begin_unknown(extra):
    """The oldest gaps are given up; their rows are judged from an unknown beginning."""
    sender = sender_with()
    seq = 1
    for _ in range(MAX_GAPS + extra):
        seq += 2
        sender.readings(9.0, first=seq)
        give_up(sender, seq + 3)

    sender.hist(data(2, (11.0,)), at=seq + 9)

    expected = [] if extra else [("hi", UNACK, 2, True), ("hi", RTN_UNACK, 3, True)]
    assert found(sender) == expected


# Rows of an outage that are the newest known: whether it lasts is not known at once.


def test_outage_activation_that_a_live_row_confirms_alarms_with_its_own_time():
    """The first live row shows that the condition lasts."""
    sender = sender_with()
    for seq in (2, 3):
        sender.hist(data(seq, (11.0,)), at=60)
    assert (found(sender), sender.evaluation.settled) == ([], 1)

    sender.send(data(4, (11.0,)), at=60)

    assert found(sender) == [("hi", UNACK, 2, False)]
    assert sender.evaluation.settled == 4


def test_outage_activation_that_ended_in_the_outage_pages_nobody():
    """Activation and return are journalled as retroactive; the state stays NORMAL."""
    sender = sender_with()
    for seq, value in ((2, 11.0), (3, 9.0)):
        sender.hist(data(seq, (value,)), at=60)

    assert found(sender) == [("hi", UNACK, 2, True), ("hi", RTN_UNACK, 3, True)]
    assert sender.state() is AlarmState.NORMAL
    assert sender.evaluation.settled == 3


def test_outage_activation_that_a_live_row_ends_pages_nobody():
    """The first live row shows that it is over."""
    sender = sender_with()
    sender.hist(data(2, (11.0,)), at=60)

    sender.send(data(3, (9.0,)), at=60)

    assert found(sender) == [("hi", UNACK, 2, True), ("hi", RTN_UNACK, 3, True)]
    assert sender.state() is AlarmState.NORMAL


def test_outage_activation_that_nothing_denies_for_two_seconds_alarms():
    """A condition still true at the newest row alarms however late it came."""
    sender = sender_with()
    sender.hist(data(2, (11.0,)), at=60)

    assert sender.tick(at=61.9) == []
    sender.tick(at=62)

    assert found(sender) == [("hi", UNACK, 2, False)]
    assert sender.state() is UNACK
    assert sender.evaluation.settled == 2


def test_outage_live_row_without_the_metric_confirms_nothing():
    """Only a reading of the metric tells."""
    sender = sender_with()
    sender.hist(data(2, (11.0,)), at=60)

    sender.send(data(3, (50.0,), metrics=(LEVEL,)), at=60)
    sender.send(data(4, (None,)), at=60)

    assert found(sender) == []


def test_outage_activation_confirmed_by_another_device_alarms_once():
    """Two devices of a boiler share its alarm."""
    sender = Sender(plant_with(definition(), devices=("d1", "d2")))
    sender.readings(9.0)
    sender.hist(data(2, (11.0,)), at=60)

    sender.send(data(7, (12.0,), at=60), device="d2")

    assert found(sender) == [("hi", UNACK, 2, False)]
