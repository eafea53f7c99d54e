"""From a delivery to records: dated, placed, or refused with a reason."""

from datetime import timedelta
from pathlib import Path

import pytest

from bridge.clock import to_us
from bridge.messages import Reason, Refused, TimeBounds
from bridge.plant import parse_plant
from device.steamlink import codec
from processor.delivery import Delivery
from processor.placing import Placement, read
from tests.fakes import START
from tests.messages import DATA_KEY, PLANT, START_MS, data


def place(body, routing_key=DATA_KEY, plant=PLANT, retention=None):
    return Placement(plant).place(Delivery(1, routing_key, body), TimeBounds.at(START, retention))


def test_data_of_a_registered_device_becomes_rows_at_its_boiler():
    """Rows carry boiler, boot, seq, times in µs and values."""
    placed = place(data(7, pressure=8.25))

    (rows,) = placed.rows
    assert (rows.site, rows.boiler, rows.device, rows.boot, rows.seq) == (
        "mill",
        "b1",
        "dev1",
        1,
        7,
    )
    assert rows.times_us == [START_MS * 1000 + 7]
    assert rows.values == [[8.25, 50.0]]
    assert placed.bad is None


@pytest.mark.parametrize(
    ("routing_key", "reason"),
    [
        ("steam.v1.mill.ghost.data", Reason.UNKNOWN_DEVICE),
        ("steam.v1.other.dev1.data", Reason.UNKNOWN_DEVICE),
        ("steam/v1/mill/de.v1/data", Reason.BAD_TOPIC),
        ("\udcff", Reason.BAD_TOPIC),
    ],
)
def test_delivery_of_nobody_known_is_bad_and_kept_whole(routing_key, reason):
    """Unknown devices and wrong topics are refused; the message is kept as it came."""
    placed = place(data(), routing_key)

    assert placed.bad.reason is reason
    assert placed.bad.body == data()
    assert not placed.complete


def test_data_with_an_unknown_metric_is_stored_without_it_and_copied():
    """Known columns are stored; a copy of the whole lies in quarantine."""
    body = data(metrics=("steam_pressure", "mystery"), quality=[(0, 0, 64), (0, 1, 0)])

    placed = place(body)

    (rows,) = placed.rows
    assert rows.metrics == ("steam_pressure",)
    assert rows.values == [[8.0]]
    assert rows.quality == {(0, 0): 64}
    assert placed.bad.reason is Reason.UNKNOWN_METRIC
    assert placed.complete


def test_data_of_unknown_metrics_only_is_quarantined():
    """Where no column is known, nothing is stored."""
    placed = place(data(metrics=("mystery", "riddle")))

    assert not placed.complete
    assert placed.bad.reason is Reason.UNKNOWN_METRIC


def test_data_of_the_future_is_refused():
    """A row more than five minutes ahead is refused."""
    assert place(data(at_ms=START_MS + 301_000)).bad.reason is Reason.FUTURE_TIME


def test_data_older_than_the_retention_is_refused():
    """A row that the store would not keep is refused."""
    placed = place(data(at_ms=START_MS - 2_000), retention=timedelta(seconds=1))

    assert placed.bad.reason is Reason.ANCIENT_TIME


def test_data_across_a_move_is_split_between_the_boilers():
    """Each row belongs to the boiler that the device watched at its time."""
    plant = parse_plant(
        "sites: [{name: mill}]\n"
        "boilers: [{name: old, site: mill}, {name: new, site: mill}]\n"
        "devices:\n"
        "  - {name: dev1, site: mill, boiler: new, since: 2026-11-23T12:00:01Z,"
        " before: [{boiler: old}]}\n",
        Path("plant.yaml"),
    )
    body = data(rows=[[0, 1.0, 2.0], [2000, 3.0, 4.0]], quality=[(1, 0, 64)])

    placed = place(body, plant=plant)

    assert [rows.boiler for rows in placed.rows] == ["old", "new"]
    assert placed.rows[1].quality == {(0, 0): 64}


def test_birth_becomes_a_status_with_its_own_text():
    """What a device says of itself is stored as it said it."""
    body = codec.encode_state(state="offline", boot=4, conn=2)

    placed = place(body, "steam.v1.mill.dev1.state")

    assert placed.status.state == "offline"
    assert (placed.status.boot, placed.status.conn) == (4, 2)
    assert placed.status.body.encode() == body


def test_fault_of_steams_own_quarantines_the_message(monkeypatch):
    """Whatever place() fails with, the message is kept whole with where that was."""
    monkeypatch.setattr("processor.placing._status", lambda *_: 1 // 0)
    body = codec.encode_state(state="online", boot=1, conn=1)

    placed = place(body, "steam.v1.mill.dev1.state")

    assert placed.bad.reason is Reason.UNEXPECTED
    assert placed.bad.body == body
    assert "ZeroDivisionError" in placed.bad.detail
    assert "test_placing.py" in placed.bad.detail


def test_read_refuses_whatever_decoding_fails_with(monkeypatch):
    """Recorder and evaluator read alike: a fault of Steam's own is a refusal, no crash."""
    monkeypatch.setattr("processor.placing.decode", lambda *_: 1 // 0)

    with pytest.raises(Refused) as caught:
        read(Delivery(1, DATA_KEY, data()), PLANT)

    assert caught.value.reason is Reason.UNEXPECTED


def statuses(*said, now=START):
    """What becomes of messages about (kind, body) that come in one fetch at `now`."""
    placement, bounds = Placement(PLANT), TimeBounds.at(now, None)
    deliveries = [
        Delivery(number, f"steam.v1.mill.dev1.{kind}", body)
        for number, (kind, body) in enumerate(said, 1)
    ]
    return [placement.place(delivery, bounds).status for delivery in deliveries]


def test_states_of_one_fetch_are_points_of_their_own_in_their_order():
    """Connections that came and went while nobody looked do not overwrite each other."""
    said = [
        ("state", codec.encode_state(state=state, boot=boot, conn=conn))
        for boot in (1, 2)
        for conn in (1, 2, 3)
        for state in ("online", "offline")
    ]

    times = [status.at_us for status in statuses(*said)]

    assert times == sorted(set(times))
    now_us = to_us(START)
    assert all(now_us - 2_000_000 <= time < now_us for time in times)


def test_messages_without_a_time_differ_by_what_they_say():
    """Births without a clock, answers and health reports of one fetch are all kept."""
    said = [
        *(("diag", b'{"v":1,"b":1,"up":%d}' % (n * 60_000)) for n in range(50)),
        *(("ack", b'{"v":1,"id":"%d","ok":true}' % n) for n in range(50)),
    ]

    times = [(status.kind, status.at_us) for status in statuses(*said)]

    assert len(set(times)) == 100


def test_redelivered_state_overwrites_itself_within_the_second():
    """The same words give the same point; in a later second they give a second one."""
    said = ("state", codec.encode_state(state="online", boot=1, conn=1))

    (first,), (again,), (later,) = (
        statuses(said, now=START + timedelta(milliseconds=ms)) for ms in (0, 900, 1_900)
    )

    assert again == first
    assert later.at_us == first.at_us + 1_000_000
    assert later.body == first.body


def test_command_to_a_device_is_acknowledged_and_not_stored():
    """The queues' bindings match kind `cmd` too; it is no word of the device."""
    body = b'{"v":1,"id":"1","op":"identify","exp":1}'

    placed = place(body, "steam.v1.mill.dev1.cmd")

    assert placed.complete
    assert placed.status is None
    assert placed.rows == []
