"""The broker inside the process: what it acknowledges to devices, somebody has subscribed."""

import threading

import paho.mqtt.client as mqtt
import pytest

from bridge.accounts import EMBEDDED, embedded_access
from bridge.inner_accounts import ACCESS_FILE, PASSWORDS_FILE, inner_accounts
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


@pytest.mark.parametrize("client_id", ["dev1", "steam-record"])
def test_client_without_an_account_is_refused_where_accounts_are_asked_for(tmp_path, client_id):
    """Neither a nameless device nor one that calls itself a role of Steam gets in."""
    accounts = inner_accounts(tmp_path / PASSWORDS_FILE, tmp_path / ACCESS_FILE)
    password = accounts.put(embedded_access())
    with InnerBroker("127.0.0.1", free_port(), tmp_path) as broker:
        answers = []
        for username, secret in ((None, None), (EMBEDDED, "wrong"), (EMBEDDED, password)):
            client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id)
            if username is not None:
                client.username_pw_set(username, secret)
            client.on_connect = lambda *args: answers.append(args[3].is_failure)
            client.connect("127.0.0.1", broker.port)
            client.loop_start()
            assert wait_for(lambda: bool(answers))
            client.disconnect()
            client.loop_stop()
            assert answers.pop() is (secret != password)
            answers.clear()


@pytest.mark.parametrize(
    ("client_id", "will", "admitted"),
    [
        ("dev1", None, True),
        ("dev1", "steam/v1/mill/dev1/state", True),
        ("dev1", "steam/v1/mill/dev2/state", False),
        ("dev2", None, False),
        ("steam-record", None, False),
    ],
)
def test_device_is_admitted_only_as_itself(tmp_path, client_id, will, admitted):
    """A device gets no other's session, no role of Steam's, and no will in another's name."""
    accounts = inner_accounts(tmp_path / PASSWORDS_FILE, tmp_path / ACCESS_FILE)
    password = accounts.add("mill", "dev1")
    answers = []
    with InnerBroker("127.0.0.1", free_port(), tmp_path) as broker:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id)
        client.username_pw_set("dev1", password)
        if will is not None:
            client.will_set(will, b"{}", qos=1)
        client.on_connect = lambda *args: answers.append(not args[3].is_failure)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        assert wait_for(lambda: bool(answers))
        client.disconnect()
        client.loop_stop()

    assert answers[0] is admitted
