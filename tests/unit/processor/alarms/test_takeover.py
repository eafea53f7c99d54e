"""Taking over from the records: nothing lost, nothing recorded twice."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.records import AlarmState
from processor.alarms.journal import verify
from tests.unit.processor.alarms.recording import DEFINITIONS, LAST, in_order, recording
from tests.unit.processor.alarms.sending import (
    Sender,
    data,
    definition,
    plant_with,
    records,
    stored,
    us,
)


def take_over(sender: Sender, events, messages, at: float | None = None) -> None:
    """Restore a sender's evaluation from recorded events and stored messages."""
    if at is not None:
        sender.tick(at=at)
    heads, still_open, identities = records(events)
    rows = [row for message in messages for row in stored(message)]
    sender.evaluation.restore(heads, still_open, rows, identities, sender.now)


@settings(max_examples=120, deadline=None)
@given(
    st.integers(0, 10**6),
    st.lists(st.integers(2, LAST), min_size=3, max_size=3).map(sorted),
    st.integers(0, LAST),
)
def test_takeover_after_a_crash_completes_the_log_in_order(seed, moments, more_stored):
    """Killed anywhere between evaluating, publishing and acknowledging: the same log.

    Messages up to `acknowledged` are gone from the queue, events of those up to
    `published` are recorded, rows are stored at least as far as acknowledged.
    """
    acknowledged, published, evaluated = moments
    messages = recording(seed)
    first, recorded = Sender(plant_with(*DEFINITIONS)), []
    for message in messages[:evaluated]:
        first.send(message, at=message.n)
        if message.n == published:
            recorded = list(first.events)
    second = Sender(plant_with(*DEFINITIONS))
    second.now = first.now
    take_over(second, recorded, messages[: min(LAST, acknowledged + more_stored)])
    for message in messages[acknowledged:]:
        second.send(message, at=max(evaluated, message.n))
    second.tick(at=LAST + 10)

    log = recorded + second.events
    assert sorted(event.id for event in log) == sorted(e.id for e in in_order(messages).events)
    assert verify(log) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, LAST), st.integers(0, 20), st.integers(0, 5))
def test_takeover_again_by_the_same_evaluator_changes_nothing(seed, at, ahead, unrecorded):
    """A reconnection without another evaluator in between leaves the log as it was.

    The recorder may be ahead of the evaluator, and the newest events not stored yet.
    """
    messages = recording(seed)
    sender = Sender(plant_with(*DEFINITIONS))
    take_over(sender, [], [])
    for message in messages:
        sender.send(message, at=message.n)
        if message.n == at:
            known = sender.events[: max(0, len(sender.events) - unrecorded)]
            take_over(sender, known, messages[: at + ahead])
    sender.tick(at=LAST + 10)

    expected = sorted(event.id for event in in_order(messages).events)
    assert sorted(event.id for event in sender.events) == expected
    assert verify(sender.events) == []


def test_takeover_of_what_another_evaluator_did_replaces_its_own():
    """Where somebody else recorded more, their states count."""
    plant = plant_with(definition())
    ours, theirs = Sender(plant), Sender(plant)
    ours.readings(9.0, 11.0)
    take_over(theirs, ours.events, [data(1, (9.0,)), data(2, (11.0,))], at=2)
    theirs.acknowledge(at=3)
    recorded = ours.events + theirs.events

    take_over(ours, recorded, [data(1, (9.0,)), data(2, (11.0,))], at=4)

    assert ours.state() is AlarmState.ACKED
    ours.readings(9.0, first=3)
    assert ours.log[-1] == ("hi", AlarmState.NORMAL, 3_000_003)
    assert verify([*recorded, ours.events[-1]]) == []


def test_takeover_with_nothing_recorded_starts_unknown():
    """An empty store is no fault."""
    sender = Sender(plant_with(definition()))

    take_over(sender, [], [])
    sender.readings(11.0)

    assert [state for _, state, _ in sender.log] == [AlarmState.UNACK]


def test_takeover_alarm_acknowledged_and_over_unrecorded_returns():
    """A return that was never published, dated before the acknowledgement, is not lost."""
    plant = plant_with(definition())
    sender = Sender(plant)
    sender.readings(11.0)
    sender.acknowledge(at=9)
    messages = [data(1, (11.0,)), data(5, (9.0,))]

    second = Sender(plant)
    take_over(second, sender.events, messages, at=10)
    second.send(data(6, (8.0,), at=11), at=11)

    assert second.log == [("hi", AlarmState.NORMAL, 5_000_005)]
    assert second.state() is AlarmState.NORMAL


def test_takeover_alarm_open_without_rows_waits_for_a_reading():
    """An alarm whose rows are gone stays as recorded until a reading says otherwise."""
    plant = plant_with(definition())
    sender = Sender(plant)
    sender.readings(11.0)
    second = Sender(plant)
    take_over(second, sender.events, [], at=500)

    second.tick(at=501)
    assert second.state() is AlarmState.UNACK

    second.send(data(2, (9.0,), at=502), at=502)
    assert second.state() is AlarmState.RTN_UNACK


def test_takeover_alarm_of_a_boiler_that_no_device_watches_any_more_returns():
    """A device taken away while nobody evaluated leaves no alarm behind."""
    sender = Sender(plant_with(definition()))
    sender.readings(11.0)
    second = Sender(plant_with(definition(), devices=()))

    take_over(second, sender.events, [data(1, (11.0,))], at=9)
    second.tick(at=9)

    assert second.log == [("hi", AlarmState.RTN_UNACK, 9_000_000)]
    assert verify(sender.events + second.events) == []


def test_takeover_transitions_found_in_stored_rows_are_recorded_now():
    """What the rows show happened then; it is recorded at the take-over."""
    second = Sender(plant_with(definition()))

    take_over(second, [], [data(1, (11.0,))], at=9)
    (event,) = second.tick(at=10)

    assert (event.at_us, event.recorded_at_us) == (us(1) + 1, us(9))


def test_takeover_shows_the_stored_readings_and_does_not_find_them_stale():
    """The newest stored readings are shown and count as fresh."""
    plant = plant_with(definition("quiet", type_="STALE", setpoint=60))
    sender = Sender(plant)
    take_over(sender, [], [data(5, (7.5,))], at=30)

    assert sender.tick(at=50) == []
    readings = sender.evaluation.live("mill", sender.now).boilers[0].readings
    assert readings["steam_pressure"].value == 7.5
    assert [event.definition for event in sender.tick(at=70)] == ["quiet"]


def test_takeover_stale_alarm_recorded_is_not_raised_again():
    """STALE goes on from its recorded state and ends with the next fresh reading."""
    plant = plant_with(definition("quiet", type_="STALE", setpoint=60))
    sender = Sender(plant)
    sender.readings(7.0)
    sender.tick(at=70)
    second = Sender(plant)
    take_over(second, sender.events, [data(1, (7.0,))], at=80)

    assert second.tick(at=81) == []
    second.send(data(2, (7.0,), at=82), at=82)
    assert [event.state for event in second.tick(at=83)] == [AlarmState.RTN_UNACK]


def test_takeover_span_covers_the_longest_delay_or_age_and_a_minute():
    """Stored rows are needed as far back as anything looks."""
    alarms = (
        definition("a", on_delay_s=30),
        definition("b", off_delay_s=600),
        definition("c", type_="STALE", setpoint=900, on_delay_s=10),
    )

    assert Sender(plant_with(*alarms)).evaluation.restore_span_us == 970_000_000
    assert Sender(plant_with()).evaluation.restore_span_us == 60_000_000
