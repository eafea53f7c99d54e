"""Records with what is published and not stored yet."""

from bridge.records import AlarmState
from processor.alarms.takeover import Records
from tests.contract.test_store import alarm


def test_pending_event_newer_than_the_stored_replaces_it():
    """The head and the state of its alarm are those of the event recorded last."""
    stored, pending = alarm(1), alarm(2, AlarmState.RTN_UNACK, previous=AlarmState.UNACK)
    records = Records(heads={"b1": stored}, open_alarms=[stored], events=[stored])

    found = records.with_pending([pending])

    assert found.heads == {"b1": pending}
    assert found.open_alarms == [pending]
    assert list(found.events) == [stored, pending]


def test_pending_event_that_ends_an_alarm_closes_it():
    """An alarm that is NORMAL again is not open."""
    stored, pending = alarm(1, AlarmState.ACKED), alarm(2, AlarmState.NORMAL)
    records = Records(heads={"b1": stored}, open_alarms=[stored])

    assert list(records.with_pending([pending]).open_alarms) == []


def test_pending_event_stored_meanwhile_counts_once():
    """Seen in the queue and then in the store, it is one event; an older one changes nothing."""
    newer = alarm(2)
    records = Records(heads={"b1": newer}, open_alarms=[newer], events=[newer])

    found = records.with_pending([newer, alarm(1, AlarmState.NORMAL)])

    assert found.heads == {"b1": newer}
    assert list(found.open_alarms) == [newer]
    assert [event.id for event in found.events] == ["id-2", "id-1"]


def test_pending_retroactive_event_moves_no_state():
    """It is in the chain, and its alarm stays as it is."""
    stored = alarm(1)
    pending = alarm(2, AlarmState.NORMAL, retroactive=True)

    found = Records(open_alarms=[stored]).with_pending([pending])

    assert list(found.open_alarms) == [stored]
    assert found.heads == {"b1": pending}
