"""The broker inside the process: what it acknowledges to devices, somebody has subscribed."""

import threading

import pytest

from processor.adapters.mqtt_source import MqttSource
from steam.inner_broker import InnerBroker
from tests.contract.mqtt_client import MqttClient, wait_for
from tests.servers.ports import free_port

TOPIC = "steam/v1/mill/dev1/state"


@pytest.fixture
def broker():
    with InnerBroker("127.0.0.1", free_port(), awaited=["steam-record"]) as opened:
        yield opened


def device(broker):
    return MqttClient("127.0.0.1", broker.port, username="dev1", password="")


@pytest.fixture
def source(broker):
    source = MqttSource("127.0.0.1", broker.port, ["steam/v1/+/+/+"], client_id="steam-record")
    yield source
    source.close()


def test_device_before_the_recorder_waits_and_loses_nothing(broker, source):
    """The device's CONNACK comes after the recorder's subscription, so that its message arrives."""
    connected = []
    waiting = threading.Thread(target=lambda: connected.append(device(broker)))
    waiting.start()
    assert not wait_for(lambda: bool(connected), patience_s=0.5)

    source.open()
    waiting.join(20)
    with connected[0] as sender:
        assert sender.publish_all(TOPIC, [b"{}"]) == 1
        assert [delivery.body for delivery in source.fetch(10)] == [b"{}"]


def test_dismissed_devices_have_what_was_acknowledged_handed_over(broker, source):
    """After dismissal the recorder has every acknowledged message, and no device may return."""
    source.open()
    sender = device(broker)
    acknowledged = sender.publish_all(TOPIC, [b"%d" % number for number in range(50)])

    broker.dismiss_devices()

    arrived = []
    while more := source.fetch(0.5):
        arrived += more
    assert acknowledged == len(arrived) == 50
    assert wait_for(lambda: sender.closed)
    assert device(broker).answer != "Success"
