"""The order of one device's messages: places, waits, gaps, duplicates, losses."""

import pytest

from processor.alarms.late import Memory
from processor.alarms.order import (
    HOLD_US,
    MAX_GAPS,
    MAX_HELD,
    WINDOW,
    DeviceOrder,
    Held,
    Note,
    Place,
    Seen,
)


def started(seq=1, boot=1) -> DeviceOrder:
    """An order that has taken its first message."""
    order = DeviceOrder(Memory)
    order.start(boot, seq)
    assert order.place(boot, seq, 7) is Place.FRONT
    return order


def wait(order, seq, taken_us=0):
    """Let a message ahead wait."""
    assert order.place(order.boot, seq, 7) is Place.AHEAD
    order.held[seq] = Held(seq=seq, message=None, hist=False, number=seq, taken_us=taken_us)


def gaps(order):
    """(boot, first, last) of every gap."""
    return [(gap.boot, gap.first, gap.last) for gap in order.gaps]


def test_order_next_message_is_at_the_front():
    """Messages in order pass straight through."""
    order = started()

    assert [order.place(1, seq, 7) for seq in (2, 3, 4)] == [Place.FRONT] * 3


@pytest.mark.parametrize(
    ("crc", "place", "reused"), [(7, Place.DUPLICATE, False), (8, Place.LATE, True)]
)
def test_order_identity_again_is_duplicate_only_with_the_same_content(crc, place, reused):
    """The same identity with another crc32 is no duplicate: it was used twice."""
    order = started()
    order.place(1, 2, 7)

    assert order.place(1, 2, crc) is place
    assert order.reused is reused


def test_order_message_ahead_waits_until_those_before_it_came():
    """What waited is released in order once the missing message is there."""
    order = started()
    wait(order, 3)
    wait(order, 4)

    assert order.release() is None
    assert order.place(1, 2, 7) is Place.FRONT
    assert [order.release().seq, order.release().seq, order.release()] == [3, 4, None]


def test_order_duplicate_of_a_waiting_message_is_a_duplicate():
    """A message that waits counts as taken."""
    order = started()
    wait(order, 3)

    assert order.place(1, 3, 7) is Place.DUPLICATE


@pytest.mark.parametrize(("passed_us", "goes_on"), [(HOLD_US - 1, False), (HOLD_US, True)])
def test_order_missing_message_is_waited_for_two_seconds(passed_us, goes_on):
    """After 2 s the order goes on and notes the gap."""
    order = started()
    wait(order, 5, taken_us=100)

    item = order.give_up(100 + passed_us - HOLD_US)

    assert (item is not None) is goes_on
    assert gaps(order) == ([(1, 2, 4)] if goes_on else [])


def test_order_too_many_waiting_go_on_at_once():
    """At most 1,024 messages of a device wait."""
    order = started()
    for seq in range(3, 3 + MAX_HELD):
        wait(order, seq)
    assert order.give_up(-1) is None
    wait(order, 3 + MAX_HELD)

    assert order.give_up(-1).seq == 3


def test_order_late_message_belongs_to_its_gap():
    """A missing message that comes after all is found by its gap."""
    order = started()
    wait(order, 5)
    order.give_up(0)

    assert order.place(1, 3, 7) is Place.LATE
    assert (order.gap_of(1, 3).first, order.gap_of(1, 5), order.gap_of(2, 3)) == (2, None, None)


def test_order_new_boot_leaves_the_old_one_open():
    """What is missing at a boot's end may come late; its end is not known."""
    order = started()

    order.new_boot(2)

    assert gaps(order) == [(1, 2, None)]
    assert order.place(2, 0, 7) is Place.FRONT
    assert order.place(1, 900, 7) is Place.LATE


@pytest.mark.parametrize("first", [0, 1])
def test_order_new_boot_begins_at_zero_or_one(first):
    """A boot's first message may be number 0 or number 1."""
    order = started()
    order.new_boot(2)

    assert order.place(2, first, 7) is Place.FRONT


def test_order_gap_below_the_oldest_stored_is_lost():
    """A birth's oldest stored message says what will never come."""
    order = started()
    wait(order, 10)
    order.give_up(0)

    ended = order.keeps_from(1, 6)

    assert (ended, order.lost, gaps(order)) == ([], 4, [(1, 6, 9)])


def test_order_gap_noticed_after_the_birth_is_lost_up_to_the_oldest_stored():
    """A gap below the oldest stored message is loss also where it is found later."""
    order = started()
    order.keeps_from(1, 6)
    wait(order, 10)
    order.give_up(0)

    assert (order.lost, gaps(order)) == (4, [(1, 6, 9)])


def test_order_gap_of_an_earlier_boot_is_lost_when_the_device_keeps_none_of_it():
    """A device whose oldest stored message is of this boot has nothing of earlier ones."""
    order = started()
    wait(order, 10)
    order.give_up(0)
    order.new_boot(2)

    ended = order.keeps_from(2, 0)

    assert ([(gap.first, gap.last) for gap in ended], order.lost) == ([(2, 9), (11, None)], 8)


@pytest.mark.parametrize(
    ("first", "last", "left"),
    [
        (2, 9, []),
        (2, 4, [(1, 5, 9)]),
        (7, 9, [(1, 2, 6)]),
        (4, 6, [(1, 2, 3), (1, 7, 9)]),
        (20, 30, [(1, 2, 9)]),
    ],
)
def test_order_reported_loss_is_cut_out_of_its_gap(first, last, left):
    """A loss event counts what was missing, once, and leaves the rest pending."""
    order = started()
    wait(order, 10)
    order.give_up(0)

    ended = order.lose(1, first, last)
    for gap in ended:
        order.remove(gap)
    order.lose(1, first, last)

    assert gaps(order) == left
    assert order.lost == (0 if first > 9 else last - first + 1)


def test_order_reported_loss_before_the_device_was_followed_counts():
    """What was lost before the first message taken here is counted by the event alone."""
    order = started(seq=100)

    order.lose(1, 90, 95)

    assert order.lost == 6


def test_order_keeps_a_bounded_number_of_gaps():
    """The oldest gap is named for giving up where there are more than 32."""
    order = started()
    for number in range(MAX_GAPS + 1):
        seq = 3 + 2 * number
        wait(order, seq)
        order.give_up(0)

    assert order.surplus() is order.gaps[0]
    order.remove(order.gaps[0])
    assert order.surplus() is None


def test_order_late_message_of_no_gap_begins_anew_where_it_goes_back():
    """Late rows from nowhere are carried on while they go forward."""
    order = started(seq=100)
    first = order.past_for(1, 10)

    assert order.past_for(1, 11) is first
    assert order.past_for(1, 11) is not first


def test_seen_within_the_window_knows_each_message():
    """The newest 4,096 messages are known, with their content."""
    seen = Seen(0)
    for seq in range(1, WINDOW + 1):
        seen.note(seq, seq)

    assert {seen.note(seq, seq) for seq in range(1, WINDOW + 1)} == {Note.SAME}
    assert seen.note(1, 5) is Note.REUSED


def test_seen_after_a_leap_forgets_what_the_leap_covers():
    """Messages leapt over are new, those before the leap within the window are known."""
    seen = Seen(0)
    seen.note(1, 1)
    seen.note(10, 1)

    assert (seen.note(1, 1), seen.note(5, 1)) == (Note.SAME, Note.NEW)

    seen.note(10 + 2 * WINDOW, 1)
    assert seen.note(10 + WINDOW + 5, 1) is Note.NEW


def test_seen_backlog_below_the_window_does_not_push_out_the_newest():
    """A long backlog has a window of its own."""
    seen = Seen(100_000)
    seen.note(100_001, 1)
    for seq in range(1, WINDOW + 100):
        seen.note(seq, 1)

    assert seen.note(100_001, 1) is Note.SAME
    assert seen.note(WINDOW + 99, 1) is Note.SAME
    assert seen.note(1, 1) is Note.NEW


def test_seen_zero_crc_is_remembered():
    """A crc32 of 0 is as good as any."""
    seen = Seen(0)
    seen.note(1, 0)

    assert seen.note(1, 0) is Note.SAME
