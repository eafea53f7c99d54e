"""A simulated device without a network: rows, events, restarts and message faults."""

import json

import pytest

from device.sim.device import DeviceConfig, SimulatedDevice
from device.sim.faults import parse_faults

START_MS = 1_795_435_200_000


def device(faults: str = "", *, seed: int = 1, **config) -> SimulatedDevice:
    """A device b01 from Monday noon."""
    return SimulatedDevice(
        DeviceConfig(**({"device": "b01", "boot": 3} | config)),
        seed=seed,
        start_ms=START_MS,
        faults=parse_faults(faults),
    )


def run(made: SimulatedDevice, steps: int) -> list[list]:
    """What each step publishes."""
    return [made.step() for _ in range(steps)]


def decoded(steps: list[list], kind: str) -> list[dict]:
    """The payloads of one kind, in the order of publishing."""
    return [json.loads(m.payload) for step in steps for m in step if m.kind == kind]


def test_device_publishes_one_dated_row_a_period():
    """Each second gives one row, dated by the device's clock, numbered without a gap."""
    steps = run(device(), 5)

    rows = decoded(steps, "data")
    assert [row["n"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["t"] for row in rows] == [START_MS + 1000 * second for second in range(1, 6)]
    assert [row["up"] for row in rows] == [1000, 2000, 3000, 4000, 5000]
    assert {len(row["k"]) for row in rows} == {18}


def test_device_batches_rows():
    """With three rows a message each third step publishes, and the end flushes the rest."""
    made = device(rows_per_message=3)
    steps = run(made, 7)
    rest = made.flush()

    assert [len(step) for step in steps] == [0, 0, 1, 0, 0, 1, 0]
    assert [row[0] for row in json.loads(steps[2][0].payload)["r"]] == [0, 1000, 2000]
    assert len(json.loads(rest[0].payload)["r"]) == 1


def test_device_same_seed_same_bytes():
    """The same seed gives the same messages to the last byte; another seed others."""
    first, again, other = (run(device(seed=seed), 60) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_device_boot_by_default_grows_with_the_start():
    """Two starts a second apart never share message numbers."""
    earlier, later = (
        SimulatedDevice(DeviceConfig(device="b01"), seed=1, start_ms=START_MS + shift)
        for shift in (0, 1000)
    )

    assert earlier.session.boot < later.session.boot < 2**32


def test_device_without_clock_keeps_rows_until_it_has_one():
    """Rows wait for the time and are then published with the times they were read at."""
    made = device(clock_known=False)
    waiting = run(made, 3)
    now_ms = START_MS + 3000
    command = {"v": 1, "id": "t", "op": "time", "args": {"utc": now_ms}, "exp": 0}
    made.session.answer(json.dumps(command).encode(), 1, None)

    then = decoded(run(made, 1), "data")

    assert waiting == [[], [], []]
    assert [row["t"] for row in then] == [now_ms - 2000, now_ms - 1000, now_ms, now_ms + 1000]
    assert {row["ts"] for row in then} == {1}


def test_device_sensor_fault_is_flagged_and_told():
    """An open sensor gives null with its code, and an event when it breaks and when it heals."""
    steps = run(device("sensor_open@3+2:metric=oxygen"), 6)

    rows = decoded(steps, "data")
    column = rows[0]["k"].index("oxygen")
    assert [row["r"][0][1 + column] is None for row in rows] == [
        False,
        False,
        True,
        True,
        False,
        False,
    ]
    assert rows[2]["q"] == {f"0,{column}": 8}
    assert [event["d"] for event in decoded(steps, "event")] == [
        {"metric": "oxygen", "code": 8},
        {"metric": "oxygen", "code": 192},
    ]


def test_device_lockout_is_an_alarm_edge():
    """The burner's lockout is told with its cause."""
    steps = run(device("flame_failure@5+30"), 12)

    assert [event["d"] for event in decoded(steps, "event")] == [
        {"alarm": "lockout", "active": True, "cause": "flame_failure"}
    ]


def test_fault_message_loss_leaves_a_gap_and_tells_of_it():
    """Lost messages use up their numbers; the device says how many when the loss ends."""
    made = device("message_loss@3+3")
    steps = run(made, 8)

    assert [row["n"] for row in decoded(steps, "data")] == [1, 2, 6, 8, 9]
    event = decoded(steps, "event")[0]
    assert (event["n"], event["ev"], event["d"]) == (7, "loss", {"from": 3, "to": 5, "count": 3})
    assert made.drops == 3


def test_fault_message_loss_silent_says_nothing():
    """A silent loss is only to be seen by its gap."""
    steps = run(device("message_loss@3+3:silent=1"), 8)

    assert decoded(steps, "event") == []
    assert [row["n"] for row in decoded(steps, "data")] == [1, 2, 6, 7, 8]


def test_fault_duplicate_sends_the_same_bytes_twice():
    """Each message leaves twice, with the same number and bytes."""
    steps = run(device("duplicate@2+2"), 4)

    assert [len(step) for step in steps] == [1, 2, 2, 1]
    assert steps[1][0] == steps[1][1]


def test_fault_late_sends_messages_after_their_successors():
    """Held messages arrive later, out of order, unchanged."""
    steps = run(device("late@2+2:share=1&by_s=3"), 8)

    assert [row["n"] for row in decoded(steps, "data")] == [1, 4, 5, 2, 6, 3, 7, 8]


def test_fault_clock_skew_moves_the_time_of_its_rows_only():
    """Rows read meanwhile are dated ahead; a message never mixes both clocks."""
    made = device("clock_skew@3+2:by_s=600", rows_per_message=4)
    rows = decoded([*run(made, 8), made.flush()], "data")

    assert [(row["t"] - START_MS, len(row["r"])) for row in rows] == [
        (1000, 2),
        (603_000, 2),
        (5000, 4),
    ]


def test_fault_reboot_is_silent_then_a_new_boot():
    """A restarting device publishes nothing, then counts from 1 in the next boot."""
    made = device("reboot@3:down_s=2")
    downs = []
    steps = []
    for _ in range(6):
        steps.append(made.step())
        downs.append(made.down)

    assert downs == [False, False, True, True, False, False]
    assert [len(step) for step in steps] == [1, 1, 0, 0, 2, 1]
    event, row = (json.loads(message.payload) for message in steps[4])
    assert (event["b"], event["n"], event["ev"]) == (4, 1, "reset")
    assert (row["b"], row["n"], row["t"], row["up"]) == (4, 2, START_MS + 5000, 1000)


def test_device_dropped_by_its_link_tells_of_the_loss():
    """Numbers that the link gave up for want of room end in a loss event."""
    made = device()
    run(made, 5)

    made.lost([(3, 2), (3, 3), (2, 9)])
    events = decoded([made.step()], "event")

    assert events[0]["d"] == {"from": 2, "to": 3, "count": 2}
    assert made.drops == 3


def test_device_diag_once_a_minute():
    """The device tells of its health once a minute."""
    made = device()

    due = []
    for second in range(1, 181):
        made.step()
        if made.diag_due:
            due.append(second)

    assert due == [60, 120, 180]
    assert json.loads(made.diag(backlog=4, oldest=None, reconnects=0).payload)["backlog"] == 4


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"design": "fusion"}, "fire_tube_10"),
        ({"rows_per_message": 501}, "1 to 500"),
        ({"device": "B 1"}, "no name"),
        ({"period_ms": 1}, "10 or more"),
    ],
)
def test_device_bad_configuration_is_refused(config, words):
    """A configuration that cannot work is refused with what would."""
    with pytest.raises(ValueError, match=words):
        DeviceConfig(**({"device": "b01"} | config))
