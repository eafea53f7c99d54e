"""Alarms on real servers: delivered while the store is away, acknowledged over the broker."""

import json
import time

import pika
import pytest

from bridge.live import AcknowledgeAlarm, encode_command
from bridge.records import AlarmState
from device.sim.link import Link, LinkConfig
from device.sim.session import Identity, MetricDescription, Session
from processor.alarms.journal import verify
from steam.receipts import Receipts
from tests.system.rig import Rig, wait_until

pytestmark = [pytest.mark.broker, pytest.mark.influx, pytest.mark.system]

PLANT = """\
sites: [{name: mill}]
boilers:
  - name: b1
    site: mill
    title: Boiler 1
    alarms:
      - {name: high_pressure, metric: steam_pressure, type: HI, setpoint: 10, deadband: 0.5, priority: 1,
         title_pt: Pressão alta, title_en: High pressure}
devices:
  - {name: dev1, site: mill, boiler: b1}
"""
_ALWAYS = (0, 9_000_000_000_000_000)


class Device:
    """One device, publishing pressures as they are given."""

    def __init__(self, rig):
        broker = rig.rabbitmq
        identity = Identity(
            site="mill",
            device="dev1",
            metrics=[MetricDescription(name="steam_pressure", unit="bar", decimals=2)],
        )
        self.session = Session(identity, boot=1, offset_ms=0)
        self.link = Link(
            LinkConfig(
                host=broker.mqtt_host,
                port=broker.mqtt_port,
                username=broker.mqtt_username,
                password=broker.password,
            ),
            self.session,
        )

    def send(self, pressure):
        from device.steamlink import codec

        self.session.seq += 1
        payload = codec.encode_data(
            boot=1,
            seq=self.session.seq,
            up_ms=self.session.seq * 1000,
            utc_ms=int(time.time() * 1000),
            clock=2,
            metrics=("steam_pressure",),
            rows=[[0, pressure]],
        )
        self.link.publish("data", payload, boot=1, seq=self.session.seq)
        assert self.link.wait_acknowledged(30)


@pytest.fixture
def receipts():
    with Receipts() as receipts:
        yield receipts


def rig_on(tmp_path, broker, influxdb, receipts, plant=PLANT):
    notifications = (
        f"notifications:\n  routes:\n    - {{name: local, targets: ['{receipts.url}']}}\n"
    )
    return Rig(tmp_path, broker, influxdb, plant, notifications)


def test_alarm_reaches_its_target_while_influxdb_is_stopped(
    tmp_path, rabbitmq_vhost, influxdb_server, receipts
):
    """Alarms never wait for the store; once it is back, the rows and the event are in it."""
    rig = rig_on(tmp_path, rabbitmq_vhost, influxdb_server.address, receipts)
    device = Device(rig)
    try:
        rig.prepare()
        rig.spawn("processor")
        rig.spawn("notifier")
        with device.link:
            assert device.link.wait_connected(30)
            device.send(9.0)
            influxdb_server.stop()

            device.send(10.7)
            wait_until(lambda: receipts.bodies, f"a notification\n{rig.logs()}")
            assert "Pressão alta" in json.loads(receipts.bodies[0])["title"]

            influxdb_server.start()
            with rig.store() as store:
                wait_until(lambda: len(store.rows("mill", "b1", *_ALWAYS)) == 2, "both rows")
                (event,) = wait_until(lambda: store.alarm_events(*_ALWAYS), "the alarm's event")
        assert (event.definition, event.state) == ("high_pressure", AlarmState.UNACK)
    finally:
        rig.close()


def test_operator_acknowledges_over_the_broker(tmp_path, rabbitmq_vhost, influxdb_empty, receipts):
    """A command published to steam.commands acknowledges the alarm, and is recorded with who did it."""
    rig = rig_on(tmp_path, rabbitmq_vhost, influxdb_empty, receipts)
    device = Device(rig)
    try:
        rig.prepare()
        rig.spawn("processor")
        with device.link, rig.store() as store:
            assert device.link.wait_connected(30)
            device.send(10.7)
            wait_until(lambda: store.alarm_events(*_ALWAYS), f"the alarm\n{rig.logs()}")

            command = AcknowledgeAlarm(
                id="c1",
                boiler="b1",
                definition="high_pressure",
                by="Ana",
                at_us=time.time_ns() // 1000,
            )
            with rig.rabbitmq.connect() as connection:
                channel = connection.channel()
                channel.confirm_delivery()
                channel.basic_publish(
                    "steam.commands",
                    "acknowledge",
                    encode_command(command),
                    pika.BasicProperties(delivery_mode=2),
                    mandatory=True,
                )

            newest, before = wait_until(
                lambda: len(events := store.alarm_events(*_ALWAYS)) == 2 and events,
                f"the acknowledgement\n{rig.logs()}",
            )
        assert (newest.state, newest.by) == (AlarmState.ACKED, "Ana")
        assert (newest.n, newest.prev) == (before.n + 1, before.hash)
    finally:
        rig.close()


STALE_PLANT = PLANT.replace(
    "devices:",
    "      - {name: silent, metric: steam_pressure, type: STALE, setpoint: 2}\ndevices:",
)


def test_one_of_two_processors_speaks_and_the_other_takes_over(
    tmp_path, rabbitmq_vhost, influxdb_empty, receipts
):
    """An idle plant has one evaluator and one chain; when it is killed, the other goes on with it."""
    rig = rig_on(tmp_path, rabbitmq_vhost, influxdb_empty, receipts, STALE_PLANT)
    device = Device(rig)
    try:
        rig.prepare()
        both = [rig.spawn("processor"), rig.spawn("processor")]
        with rig.store() as store:
            wait_until(lambda: store.alarm_events(*_ALWAYS), f"the silence\n{rig.logs()}")
            # The one that has taken over is the active one.
            active, standby = sorted(both, key=lambda each: "taken over" not in log_of(rig, each))
            assert "taken over" not in log_of(rig, standby)
            active.kill()
            active.wait()

            wait_until(lambda: "taken over" in log_of(rig, standby), f"the other\n{rig.logs()}")
            with device.link:
                assert device.link.wait_connected(30)
                device.send(9.0)
                events = wait_until(
                    lambda: len(events := store.alarm_events(*_ALWAYS)) > 1 and events,
                    f"the return\n{rig.logs()}",
                )
        states = [event.state for event in reversed(events)]
        assert states[:2] == [AlarmState.UNACK, AlarmState.RTN_UNACK]
        assert verify(events) == []
    finally:
        rig.close()


def log_of(rig, process):
    """What a spawned processor has said."""
    number = rig.processes.index(process)
    return next(rig.folder.glob(f"processor-{number}.log")).read_text()
