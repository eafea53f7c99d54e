"""Taking over from the records: nothing lost, nothing recorded twice."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.records import AlarmState
from processor.alarms.journal import verify
from processor.alarms.takeover import Records
from processor.takeover import restore_span_us
from tests.unit.processor.alarms.recording import DEFINITIONS, LAST, in_order, recording
from tests.unit.processor.alarms.sending import (
    Sender,
    data,
    definition,
    plant_with,
    records,
    us,
)


def take_over(sender: Sender, events, messages, at: float | None = None) -> None:
    """Restore a sender's evaluation from recorded events and stored messages."""
    if at is not None:
        sender.tick(at=at)
    sender.evaluation.begin(sender.now, alone=True)
    sender.evaluation.restore(records(events, messages), sender.now)


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

    assert restore_span_us(plant_with(*alarms).file.boilers[0]) == 970_000_000
    assert restore_span_us(plant_with().file.boilers[0]) == 60_000_000


# -- records that come late


def take_over_blind(sender: Sender, at: float, unpublished=()) -> list:
    """Begin to evaluate while the records cannot be read."""
    sender.tick(at=at)
    sender.evaluation.begin(sender.now, alone=False)
    return sender.evaluation.go_on_unknown(sender.now, unpublished)


def catch_up(sender: Sender, events, messages=(), at: float | None = None) -> bool:
    """Have the records come after evaluating began."""
    if at is not None:
        sender.tick(at=at)
    return sender.evaluation.catch_up(records(events, messages), sender.now)


def lasting(*readings: float) -> Sender:
    """A sender that has evaluated some readings of an alarm without delays."""
    return Sender(plant_with(definition())).readings(*readings)


def test_records_that_come_late_give_alarms_untouched_since_their_state():
    """An alarm recorded as acknowledged is shown, raised no second time, and returns."""
    first = lasting(11.0)
    first.acknowledge(at=1.5)
    second = Sender(plant_with(definition()))
    take_over_blind(second, at=9)

    assert catch_up(second, first.events, at=12)
    assert second.state() is AlarmState.ACKED
    second.send(data(13, (11.0,)), at=13)
    assert second.events == []
    second.send(data(14, (9.0,)), at=14)

    assert second.log == [("hi", AlarmState.NORMAL, 14_000_014)]
    assert verify(first.events + second.events) == []


def test_records_that_come_late_leave_what_was_raised_meanwhile():
    """What an operator was told while the records were away stays as it was told."""
    first = lasting(11.0)
    first.acknowledge(at=1.5)
    second = Sender(plant_with(definition()))
    take_over_blind(second, at=9)
    second.send(data(10, (11.0,)), at=10)

    catch_up(second, first.events, at=12)
    assert second.state() is AlarmState.UNACK
    second.acknowledge(at=13)
    second.send(data(11, (9.0,)), at=14)

    log = first.events + second.events
    assert [state for _, state, _ in second.log] == [
        AlarmState.UNACK,
        AlarmState.ACKED,
        AlarmState.NORMAL,
    ]
    (told,) = verify(log)
    assert "begins the chain anew after event 2" in told
    assert records(log).open_alarms == []
    assert records(log).heads["b1"] == second.events[-1]


def test_records_that_come_late_are_followed_by_the_next_event():
    """After an untouched chain comes the next number, once all records are known."""
    first = lasting(11.0)
    second = Sender(plant_with(definition()))
    take_over_blind(second, at=9)
    catch_up(second, first.events, at=12)
    assert not catch_up(second, first.events, at=30)
    second.evaluation.trust()

    second.acknowledge(at=31)

    assert second.events[-1].n == 2
    assert verify(first.events + second.events) == []


def test_records_that_come_late_of_another_who_returned_the_alarm_count():
    """A reconnected evaluator learns late what was done in between."""
    ours = lasting(11.0)
    theirs = Sender(plant_with(definition()))
    take_over(theirs, ours.events, [data(1, (11.0,))], at=2)
    theirs.send(data(2, (9.0,)), at=3)
    theirs.acknowledge(at=4)
    take_over_blind(ours, at=9)

    catch_up(ours, ours.events + theirs.events, at=12)

    assert ours.state() is AlarmState.NORMAL
    for seq, pressure in ((2, 9.0), (3, 11.0), (4, 9.0)):
        ours.send(data(seq, (pressure,), at=11 + seq), at=11 + seq)
    assert [state for _, state, _ in ours.log[1:]] == [AlarmState.UNACK, AlarmState.RTN_UNACK]


def test_records_that_come_late_say_by_silence_that_an_old_alarm_is_over():
    """An alarm that is not among the open ones, and of which nothing is recorded lately, is NORMAL."""
    ours = lasting(11.0)
    take_over_blind(ours, at=9)

    known = Records(since_us=us(5))
    ours.evaluation.catch_up(known, ours.now)

    assert ours.state() is AlarmState.NORMAL


def test_records_that_come_late_do_not_turn_a_running_delay_back():
    """A condition under way when the records came goes on from its readings."""
    plant = plant_with(definition(on_delay_s=5))
    first = Sender(plant).readings(*[11.0] * 6, 9.0)
    second = Sender(plant)
    take_over_blind(second, at=19)
    second.send(data(20, (11.0,)), at=20)
    second.send(data(21, (11.0,)), at=21)

    catch_up(second, first.events, at=22)
    assert second.state() is AlarmState.RTN_UNACK
    for seq in range(22, 26):
        second.send(data(seq, (11.0,)), at=seq)

    assert second.log == [("hi", AlarmState.UNACK, 25_000_020)]


def test_records_that_come_late_with_rows_of_a_device_not_heard_from_are_folded():
    """A silent device is known from its rows; a device heard from has newer ones here."""
    quiet = definition("quiet", type_="STALE", setpoint=60)
    second = Sender(plant_with(definition(), quiet, devices=("d1", "d2")))
    take_over_blind(second, at=9)
    second.send(data(10, (9.0,)), at=10)
    known = records([], [data(5, (11.0,))])
    of_d2 = records([], [data(3, (12.0,))])
    rows = [*known.rows, *(msgspec.structs.replace(each, device="d2") for each in of_d2.rows)]

    second.evaluation.catch_up(Records(rows=rows), second.now)
    second.tick(at=11)

    assert second.log == [("hi", AlarmState.UNACK, 3_000_003)]


def test_evaluator_without_records_counts_staleness_from_its_beginning():
    """What was read before it took over may be fresh; nobody here has seen it."""
    ours = Sender(plant_with(definition("quiet", type_="STALE", setpoint=60))).readings(9.0)

    take_over_blind(ours, at=50)

    assert ours.tick(at=109) == []
    assert [event.at_us for event in ours.tick(at=110)] == [us(110)]


def test_records_that_come_late_of_steams_own_alarms_count_where_they_are_newer():
    """The evaluator's own alarms are told apart too."""
    first = Sender(plant_with())
    first.readings(9.0, 9.0)
    first.send(data(1, (9.1,)), at=3)
    second = Sender(plant_with())
    take_over_blind(second, at=9)
    second.tick(at=10, lag_s=8)
    second.tick(at=15, lag_s=8)

    catch_up(second, first.events, at=16)

    shown = {a.definition for a in second.evaluation.live("", second.now).boilers[0].alarms}
    assert shown == {"identity_reused_d1", "evaluator_lagging"}


def test_takeover_withdraws_unpublished_events_of_boilers_that_others_recorded():
    """What could not be published before another took over is not recorded a second time."""
    ours = lasting(11.0)
    theirs = Sender(plant_with(definition()))
    take_over(theirs, ours.events, [data(1, (11.0,))], at=2)
    ours.send(data(2, (9.0,)), at=2)
    theirs.send(data(2, (9.0,)), at=3)
    unpublished = ours.events[1:]
    ours.evaluation.begin(ours.now, alone=True)

    left = ours.evaluation.restore(records(ours.events[:1] + theirs.events), ours.now, unpublished)

    assert left == []
    assert ours.state() is AlarmState.RTN_UNACK
    ours.acknowledge(at=5)
    assert verify(ours.events[:1] + theirs.events + ours.events[-1:]) == []


def test_evaluator_without_records_writes_unpublished_events_into_its_new_chain():
    """No number is used that another may have used meanwhile."""
    ours = lasting(11.0)

    (again,) = take_over_blind(ours, at=9, unpublished=ours.events)

    assert again.id == ours.events[0].id
    assert again.n == ours.events[0].recorded_at_us // 1000
    assert verify([again]) == []
