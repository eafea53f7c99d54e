"""A fleet against a real broker: every message accounted for, faults, time."""

import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from device.sim.device import DeviceConfig
from device.sim.faults import parse_faults
from device.sim.fleet import Fleet, FleetConfig, device_configs
from device.sim.link import LinkConfig
from tests.servers.ports import free_port
from tests.unit.device.mqtt_listener import Listener, eventually


def config(port: int, *, prefix: str, faults: str = "", **changes) -> FleetConfig:
    """Two devices as fast as possible."""
    fleet = FleetConfig(
        devices=device_configs(2, prefix=prefix),
        link=LinkConfig(port=port, reconnect_most_s=0.2),
        speed=0.0,
        faults=parse_faults(faults),
    )
    return replace(fleet, **changes)


def test_fleet_fast_run_every_acknowledged_message_reached_the_broker(mosquitto):
    """Three minutes of two boilers in a moment: the ledger and the subscriber agree."""
    ledger = []
    with Listener(mosquitto.port, "steam/v1/plant/+/+") as listener:
        fleet = Fleet(
            config(mosquitto.port, prefix="fast-", faults="duplicate@30+10 message_loss@60+5"),
            on_acknowledged=lambda topic, payload, *_: ledger.append((topic, payload)),
        )
        counts = fleet.run(180.0)
        eventually(lambda: len([t for t, _ in listener.messages if "fast-" in t]) >= len(ledger))

    received = Counter((t, p) for t, p in listener.messages if "fast-" in t)
    assert Counter(ledger) == received
    assert counts.total_acknowledged == len(ledger)
    assert (counts.pending, counts.dropped, counts.superseded) == (0, 0, 0)
    # 180 rows, ten twice, five lost; one loss event, three diags, birth, online, stopped.
    assert counts.acknowledged == {
        "birth": 2,
        "state": 4,
        "data": 2 * 185,
        "event": 2,
        "diag": 6,
    }


def test_fleet_fast_run_ends_in_the_present(mosquitto):
    """Sped-up time without a start begins in the past, so that no row is in the future."""
    rows = []
    fleet = Fleet(
        config(mosquitto.port, prefix="past-"),
        on_acknowledged=lambda topic, payload, *_: rows.append((topic, payload)),
    )

    fleet.run(120.0)
    now_ms = time.time() * 1000

    times = [device.session.utc_ms() for device in fleet.devices]
    assert all(now_ms - 60_000 < at <= now_ms for at in times)


def test_fleet_reboot_keeps_its_messages_and_begins_a_boot(mosquitto):
    """A restart breaks the connection, is seen by will and birth, and loses no message."""
    with Listener(mosquitto.port, "steam/v1/plant/+/+") as listener:
        fleet = Fleet(config(mosquitto.port, prefix="boot-", faults="boot-01/reboot@30:down_s=5"))
        counts = fleet.run(60.0)
        eventually(lambda: len(listener.of("state", "boot-01")) == 4)

    births = listener.of("birth", "boot-01")
    boot = births[0]["boot"]
    assert [birth["boot"] for birth in births] == [boot, boot + 1]
    assert births[1]["reset"] == "watchdog"
    states = [state["s"] for state in listener.of("state", "boot-01")]
    assert (states[0], sorted(states[1:3]), states[3]) == (
        "online",
        ["offline", "online"],
        "stopped",
    )
    rows = listener.of("data", "boot-01") + listener.of("hist", "boot-01")
    numbers = sorted({(row["b"], row["n"]) for row in rows})  # a lost PUBACK doubles one
    assert numbers == [(boot, n) for n in range(1, 30)] + [(boot + 1, n) for n in range(2, 28)]
    assert counts.pending == 0


def test_fleet_real_time_stops_in_order(mosquitto):
    """Started in a thread it runs by the clock and stops with all acknowledged."""
    fleet = Fleet(
        replace(
            config(mosquitto.port, prefix="real-"),
            speed=1.0,
            devices=(DeviceConfig(device="real-01", period_ms=100),),
        )
    )
    fleet.start()
    assert fleet.wait_connected(10)
    eventually(lambda: fleet.counts().acknowledged.get("data", 0) >= 5)

    counts = fleet.stop()

    last_ms = fleet.devices[0].session.utc_ms()
    assert abs(time.time() * 1000 - last_ms) < 5000
    assert counts.pending == 0
    assert counts.acknowledged["state"] == 2
    assert not [thread for thread in threading.enumerate() if "real-01" in thread.name]


def test_fleet_without_broker_stops_when_asked():
    """With no broker anywhere a fleet still ends, and says what is pending."""
    fleet = Fleet(
        config(free_port(), prefix="alone-", connect_wait_s=0.05, drain_s=0.05, close_s=0.1)
    )
    fleet.start(20.0)

    counts = fleet.stop()

    assert counts.total_acknowledged == 0
    assert counts.accepted == counts.pending


def test_fleet_devices_take_designs_in_turn():
    """A fleet is a mixed boiler house with names the contract allows."""
    configs = device_configs(5, site="north")

    assert [each.device for each in configs][:2] == ["boiler-01", "boiler-02"]
    assert len({each.design for each in configs}) == 4
    assert {each.site for each in configs} == {"north"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"devices": ()}, "at least one"),
        ({"devices": device_configs(1) * 2}, "each name once"),
        ({"speed": -1.0}, "speed"),
        ({"start_at": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001 - that is the fault
        ({"faults": parse_faults("b99/reboot@1")}, "b99"),
    ],
)
def test_fleet_bad_configuration_is_refused(changes, words):
    """A fleet that cannot work is refused before anything starts."""
    with pytest.raises(ValueError, match=words):
        FleetConfig(**({"devices": device_configs(2)} | changes))


def test_fleet_fast_without_end_needs_a_start():
    """Faster than real time without an end must be told when to begin."""
    fleet = Fleet(config(free_port(), prefix="x-"))

    with pytest.raises(ValueError, match="start_at"):
        fleet.run()

    started = replace(fleet.config, start_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert Fleet(started)._start_ms(None) == 1_767_225_600_000
