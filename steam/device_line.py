"""The line to a device in the deployment: through RabbitMQ, or over MQTT."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from bridge.broker import BrokerRefused, BrokerUnavailable
from bridge.clock import utc_now
from bridge.device_commands import ANSWER_WITHIN_S, Commander, DeviceLine, ack_of
from bridge.messages import Ack, Cmd
from bridge.plant import Device, load_plant
from bridge.plant_edit import PlantEditFault
from bridge.settings_file import nearest
from bridge.topics import Kind, Topic
from steam.settings import Settings

if TYPE_CHECKING:
    import paho.mqtt.client as mqtt

    from steam.links import MqttAddress

_BROKER_WITHIN_S = 10.0


def registered(settings: Settings, name: str) -> Device:
    """The device as plant.yaml has it; raises PlantEditFault where it does not."""
    devices = load_plant(settings.plant_path).devices
    if name not in devices:
        raise PlantEditFault(
            f"{settings.plant_path} has no device {name!r}{nearest(name, devices)}"
        )
    return devices[name]


def commander_of(settings: Settings, name: str, wait_s: float = ANSWER_WITHIN_S) -> Commander:
    """What commands a registered device; raises PlantEditFault, SettingsError or MissingSecret."""
    device = registered(settings, name)
    return Commander(name, _line_to(settings, device), utc_now, wait_s)


def _line_to(settings: Settings, device: Device) -> DeviceLine:
    if settings.deployment == "server":
        from bridge.rabbitmq.device_line import RabbitLine
        from steam.broker import desk_url

        return RabbitLine(desk_url(settings), device.site, device.name)
    from steam.links import mqtt_address

    return MqttLine(mqtt_address(settings), device.site, device.name)


class MqttLine:
    """A line to a device at a broker that knows MQTT only; implements DeviceLine."""

    def __init__(self, broker: "MqttAddress", site: str, device: str) -> None:
        self._broker = broker
        self._cmd_topic = Topic(site, device, Kind.CMD).mqtt
        self._ack_topic = Topic(site, device, Kind.ACK).mqtt

    def ask(self, cmd: Cmd, wait_s: float) -> Ack | None:
        """Send a command and wait for its answer; subscribed first, so that none is missed."""
        answers: queue.SimpleQueue[Ack] = queue.SimpleQueue()

        def arrived(_client: "mqtt.Client", _data: Any, message: "mqtt.MQTTMessage") -> None:
            ack = ack_of(bytes(message.payload), cmd)
            if ack is not None:
                answers.put(ack)

        with _connected(self._broker) as client:
            client.on_message = arrived
            _subscribe(client, self._broker, self._ack_topic)
            client.publish(self._cmd_topic, msgspec.json.encode(cmd), qos=1)
            try:
                return answers.get(timeout=wait_s)
            except queue.Empty:
                return None


@contextmanager
def _connected(broker: "MqttAddress") -> "Iterator[mqtt.Client]":
    client = broker.client()
    answered = threading.Event()
    answer: list[Any] = []

    def connected(
        _client: "mqtt.Client", _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        answer.append(reason)
        answered.set()

    client.on_connect = connected
    try:
        client.connect(broker.host, broker.port, keepalive=20)
    except (OSError, ValueError) as error:
        raise BrokerUnavailable(f"{broker}: {error}; does it run?") from None
    client.loop_start()
    try:
        if not answered.wait(_BROKER_WITHIN_S):
            raise BrokerUnavailable(f"{broker} took the connection and did not answer")
        if answer[0].is_failure:
            raise BrokerRefused(f"{broker} refused Steam's own account: {answer[0]}")
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def _subscribe(client: "mqtt.Client", broker: "MqttAddress", topic: str) -> None:
    granted = threading.Event()
    client.on_subscribe = lambda *_: granted.set()
    client.subscribe(topic, qos=1)
    if not granted.wait(_BROKER_WITHIN_S):
        raise BrokerUnavailable(f"{broker} did not take the subscription")
