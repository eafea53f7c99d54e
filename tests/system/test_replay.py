"""A real recording through MQTT, RabbitMQ and the processor into InfluxDB: equal, value by value."""

import random
import signal
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from bridge.clock import from_us
from steam.recording import load_mapping, read_rows
from tests.system.rig import Rig, wait_until

pytestmark = [pytest.mark.broker, pytest.mark.influx, pytest.mark.system]

CASE = Path(__file__).parents[1] / "cases" / "skab"
_SPAN = (1_500_000_000_000_000, 1_700_000_000_000_000)


@pytest.fixture
def rig(tmp_path, rabbitmq_vhost, influxdb_empty):
    rig = Rig(tmp_path, rabbitmq_vhost, influxdb_empty, (CASE / "plant.yaml").read_text())
    rig.prepare()
    yield rig
    rig.close()


@pytest.fixture
def recording(shared):
    return shared / "data" / "skab" / "valve1" / "0.csv"


def stored(rig):
    """Every stored row: time, seq, and the values by metric."""
    with rig.store() as store:
        return [
            (rows.times_us[0], rows.seq, dict(zip(rows.metrics, rows.values[0], strict=True)))
            for rows in store.rows("lab", "loop", *_SPAN)
        ]


def recorded(path):
    """What the CSV says, in the same form."""
    mapping = load_mapping(CASE / "mapping.yaml")
    names = list(mapping.metrics)
    return [
        (row.at_ms * 1000 + seq % 1000, seq, dict(zip(names, row.values, strict=True)))
        for seq, row in enumerate(read_rows(path, mapping), start=1)
    ]


def wait_for_rows(rig, count):
    wait_until(lambda: len(stored(rig)) >= count, f"{count} rows\n{rig.logs()}")
    wait_until(lambda: rig.queue_length("steam.record") == 0, "an empty steam.record")


def replay(rig, recording, *options):
    return rig.run("replay", recording, "--map", CASE / "mapping.yaml", "--speed", "max", *options)


def test_recording_replayed_is_stored_value_by_value(rig, recording):
    """Every value of every row of a whole file is in InfluxDB: none lost, none twice."""
    rig.spawn("processor")

    replay(rig, recording)

    wait_for_rows(rig, len(recorded(recording)))
    assert stored(rig) == recorded(recording)
    assert rig.queue_length("steam.quarantine") == 0
    with rig.store() as store:
        wait_until(lambda: store.alarm_events(*_SPAN), "an alarm: the recording has low flow in it")
    assert all(process.poll() is None for process in rig.processes)


def test_recording_survives_kill_9_of_the_processor(rig, recording):
    """SIGKILL in the middle of a replay, then a restart: still equal, nothing twice."""
    first = rig.spawn("processor")
    rig.spawn("replay", recording, "--map", CASE / "mapping.yaml", "--speed", "300")
    wait_until(lambda: len(stored(rig)) > 100 + random.Random(7).randrange(200), "some rows")

    first.send_signal(signal.SIGKILL)
    first.wait()
    assert len(stored(rig)) < len(recorded(recording))
    rig.spawn("processor")

    wait_for_rows(rig, len(recorded(recording)))
    assert stored(rig) == recorded(recording)
    with rig.store() as store:
        events = store.alarm_events(*_SPAN)
    assert len({event.id for event in events}) == len(events)


def test_processor_ends_cleanly_on_sigterm(rig, recording):
    """SIGTERM: what is unwritten goes back, what is acknowledged is written; exit code 0."""
    process = rig.spawn("processor")
    replay(rig, recording)
    wait_until(lambda: len(stored(rig)) > 0, "a first row")

    process.terminate()

    assert process.wait(40) == 0
    written = len(stored(rig))
    assert written + rig.queue_length("steam.record") >= len(recorded(recording))
    rig.spawn("processor")
    wait_for_rows(rig, len(recorded(recording)))
    assert stored(rig) == recorded(recording)


def test_recording_rolled_up_answers_a_long_range_as_the_rows_do(rig, recording):
    """`steam rollup` over the recording's days; then a range of weeks is the rows' own."""
    rig.spawn("processor")
    replay(rig, recording)
    wait_for_rows(rig, len(recorded(recording)))
    (first_us, _, values), *_ = recorded(recording)
    day = from_us(first_us).date()
    span = (first_us - 20 * 86_400_000_000, first_us + 20 * 86_400_000_000)
    with rig.store() as store:
        before = store.series("lab", "loop", sorted(values), *span, 400)

    done = msgspec.json.decode(
        rig.run("rollup", "--from", day, "--to", day + timedelta(days=1), "--json")
    )

    assert done["windows"]["boiler_1m"] > done["windows"]["boiler_1h"] >= 1
    with rig.store() as store:
        after = store.series("lab", "loop", sorted(values), *span, 400)
        assert store.newest_roll_up(60_000_000) is not None
    for ours, theirs in zip(after, before, strict=True):
        assert ours.mean == pytest.approx(theirs.mean)
        assert msgspec.structs.replace(ours, mean=[]) == msgspec.structs.replace(theirs, mean=[])
