"""The journal: identities, chains, and what the proof finds."""

import msgspec
import pytest

from bridge.records import AlarmState
from processor.alarms.journal import MAX_KNOWN_IDS, Journal, transition_id, verify
from processor.alarms.machine import Alarm
from tests.unit.processor.alarms.sending import definition


def transition(at_us, boiler="b1", state=AlarmState.UNACK):
    """A transition that is not journalled yet."""
    alarm = Alarm.of("mill", boiler, definition())
    return alarm.transition(AlarmState.NORMAL, state, at_us, 11.5)


def chain(count, boiler="b1"):
    """A journalled chain of events."""
    journal = Journal()
    return [journal.write(transition(at_us, boiler), 100 + at_us) for at_us in range(count)]


def test_identity_of_a_transition_is_sixteen_hex_digits_of_its_four_parts():
    """The identity is fixed for ever: another implementation must give the same."""
    identity = transition_id("b1", "hi", AlarmState.UNACK, 1_795_392_000_000_000)

    assert identity == "3d06ec7ee9783c89"


@pytest.mark.parametrize(
    "other",
    [
        ("b2", "hi", AlarmState.UNACK, 1),
        ("b1", "lo", AlarmState.UNACK, 1),
        ("b1", "hi", AlarmState.ACKED, 1),
        ("b1", "hi", AlarmState.UNACK, 2),
    ],
)
def test_identity_differs_with_each_part(other):
    """Boiler, definition, state and time each make another identity."""
    assert transition_id(*other) != transition_id("b1", "hi", AlarmState.UNACK, 1)


def test_journal_event_known_is_not_written_again():
    """A transition already written gives no second event."""
    journal = Journal()

    first, second = journal.write(transition(1), 5), journal.write(transition(1), 6)

    assert first is not None
    assert (first.n, first.recorded_at_us, second) == (1, 5, None)


def test_journal_restored_goes_on_from_the_head_and_knows_what_is_recorded():
    """After a take-over the chain continues and recorded identities stay out."""
    events = chain(3)
    journal = Journal()
    journal.restore({"b1": events[-1]}, {events[0].id})

    again, new = journal.write(transition(0), 9), journal.write(transition(7), 9)

    assert again is None
    assert (new.n, new.prev) == (4, events[-1].hash)
    assert verify([*events, new]) == []


def test_journal_restored_from_an_older_head_keeps_its_own():
    """A store that lags behind does not turn the chain back."""
    journal = Journal()
    events = [journal.write(transition(at_us), at_us) for at_us in range(3)]

    journal.restore({"b1": events[0]}, set())

    assert journal.write(transition(9), 9).n == 4


def test_journal_keeps_a_bounded_number_of_identities():
    """The oldest identities are forgotten."""
    journal = Journal()
    journal.restore({}, [str(number) for number in range(MAX_KNOWN_IDS + 50)])

    assert len(journal._known) == MAX_KNOWN_IDS


def test_verify_of_whole_chains_finds_nothing():
    """Untouched chains of several boilers, in any order, are in order."""
    events = [*chain(4, "b2"), *chain(3)]

    assert verify(reversed(events)) == []


def test_verify_of_a_part_finds_nothing():
    """A part of a chain is checked by itself."""
    assert verify(chain(5)[2:4]) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("value", 1.0), ("by", "eve"), ("retroactive", True), ("recorded_at_us", 1), ("note", "x")],
)
def test_verify_of_a_changed_event_says_which(field, value):
    """Any field of any event is covered."""
    events = chain(3)
    events[1] = msgspec.structs.replace(events[1], **{field: value})

    assert verify(events) == ["b1: event 2 was changed after it was recorded"]


def test_verify_of_a_moved_event_says_that_its_identity_is_wrong():
    """Time, state, definition and boiler are bound by the identity too."""
    events = chain(2)
    events[1] = msgspec.structs.replace(events[1], at_us=77)

    assert "b1: event 2 does not carry its own identity" in verify(events)


def test_verify_of_a_left_out_event_says_which():
    """A hole in the chain is told."""
    events = chain(4)
    del events[1]

    assert verify(events) == ["b1: events 2 to 2 are missing"]


def test_verify_of_an_event_put_in_says_where():
    """A forged event, even with a proper hash of its own, does not fit the chain."""
    events = chain(3)
    forged = Journal()
    forged.restore({"b1": msgspec.structs.replace(events[0], hash="0" * 32)}, set())
    events[1] = forged.write(transition(1), 101)

    assert "b1: event 2 does not follow event 1" in verify(events)


def test_verify_of_two_writers_says_that_a_number_is_there_twice():
    """A chain forked by two evaluators shows."""
    events = chain(2)
    fork = Journal()
    fork.restore({"b1": events[0]}, set())
    twin = fork.write(transition(50), 150)

    assert "b1: event 2 is there twice" in verify([*events, twin])


def test_journal_moment_of_recording_rises_along_a_chain():
    """What the store orders by never stands still, nor falls with a clock that was set back."""
    journal = Journal()

    events = [
        journal.write(transition(at_us), now_us) for at_us, now_us in ((1, 50), (2, 50), (3, 9))
    ]

    assert [event.recorded_at_us for event in events] == [50, 51, 52]


def test_journal_in_doubt_begins_above_whatever_others_have_numbered():
    """A writer that may not have seen all records numbers from the clock, then by one."""
    journal = Journal()
    journal.doubt()

    events = [journal.write(transition(at_us), 1_795_392_000_123_456) for at_us in (1, 2)]

    assert [(event.n, event.prev) for event in events] == [
        (1_795_392_000_123, ""),
        (1_795_392_000_124, events[0].hash),
    ]
    assert verify(events) == []


def test_journal_in_doubt_that_had_seen_all_breaks_no_chain():
    """A leap in the numbers is no break where the hashes follow each other."""
    events = chain(3)
    journal = Journal()
    journal.restore({"b1": events[-1]}, [])
    journal.doubt()

    leapt = journal.write(transition(9), 5_000_000)
    journal.trust()

    assert leapt.n == 5_000
    assert verify([*events, leapt, journal.write(transition(10), 5_000_001)]) == []


def test_journal_withdrawn_events_are_written_anew_where_they_were():
    """Events that nobody was handed leave no hole."""
    events = chain(2)
    journal = Journal()
    journal.restore({"b1": events[-1]}, [event.id for event in events])
    unpublished = [journal.write(transition(at_us), 200) for at_us in (7, 8)]

    journal.withdraw(unpublished)
    again = [journal.write(event, 300) for event in unpublished]

    assert [(event.id, event.n) for event in again] == [
        (event.id, event.n) for event in unpublished
    ]
    assert verify([*events, *again]) == []


@pytest.mark.parametrize("seen", [0, 1])
def test_verify_of_a_chain_begun_anew_says_so_once(seen):
    """The one break that is no forgery: its writer had not seen all records."""
    events = chain(3)
    other = Journal()
    other.restore({"b1": events[0]} if seen else {}, [])
    other.doubt()
    anew = [other.write(transition(at_us), 9_000_000 + at_us) for at_us in (7, 8)]

    assert verify([*events, *anew]) == ["b1: event 9000 begins the chain anew after event 3"]


def test_verify_of_a_first_event_that_names_another_before_it_says_so():
    """Event 1 has nothing before it."""
    first = msgspec.structs.replace(chain(1)[0], prev="ab")

    assert "b1: event 1 names an event before it" in verify([first])
