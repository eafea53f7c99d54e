"""Deliveries from an MQTT broker (paho-mqtt): the embedded deployment's source."""

import contextlib
import threading
import time
from collections import deque
from itertools import takewhile
from typing import Any

import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bridge.live import COMMANDS_TOPIC
from bridge.topics import routing_key_of
from processor.delivery import Delivery, Origin

log = structlog.get_logger(__name__)

_QOS = 1
_MOST_WAITING = 10_000


class MqttSource:
    """Subscribes topic filters with QoS 1 in a lasting session; implements Delivery's Source.

    PUBACKs leave only when a delivery is acknowledged (`manual_ack`), so a broker that
    redelivers to a returning session (mosquitto does, amqtt 0.12 does not) loses nothing.
    """

    def __init__(
        self,
        host: str,
        port: int,
        topic_filters: list[str],
        *,
        client_id: str,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._filters = topic_filters
        self._client_id = client_id
        self._credentials = (username, password)
        self._client: mqtt.Client | None = None
        self._arrived: deque[Delivery] = deque()
        self._unacknowledged: dict[int, tuple[int, int]] = {}
        self._ready = threading.Condition()
        self._number = 0
        self._connections = 0
        self._woken = False
        self.fault = "not connected yet"

    @property
    def connected(self) -> bool:
        """Whether the session stands."""
        return self._client is not None and self._client.is_connected()

    @property
    def stalls(self) -> int:
        """Never: an MQTT broker pushes what it has, or the connection ends."""
        return 0

    @property
    def connections(self) -> int:
        """How often the session was (re)established."""
        return self._connections

    def open(self) -> None:
        """Connect in the background, and again whenever the connection is lost."""
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
        )
        username, password = self._credentials
        if username is not None:
            client.username_pw_set(username, password)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.reconnect_delay_set(1, 30)
        self._client = client
        client.connect_async(self._host, self._port, keepalive=30)
        client.loop_start()

    def fetch(self, timeout_s: float) -> list[Delivery]:
        """What has arrived, after waiting at most `timeout_s` for the first."""
        deadline = time.monotonic() + timeout_s
        with self._ready:
            while not self._arrived and not self._woken:
                left_s = deadline - time.monotonic()
                if left_s <= 0 or not self._ready.wait(left_s):
                    break
            self._woken = False
            arrived = list(self._arrived)
            self._arrived.clear()
            self._ready.notify_all()
        return arrived

    def attend(self, timeout_s: float) -> None:
        """Wait; paho's thread serves the connection, and what arrives stays within the bound."""
        with self._ready:
            self._ready.wait_for(lambda: self._woken, timeout_s)
            self._woken = False

    def acknowledge(self, number: int) -> None:
        """Send the PUBACK of each delivery up to `number` that belongs to this connection."""
        with self._ready:
            settled = list(takewhile(lambda each: each <= number, self._unacknowledged))
        for each in settled:
            self.acknowledge_one(each)

    def acknowledge_one(self, number: int) -> None:
        """Send the PUBACK of one delivery, if it belongs to this connection."""
        client = self._client
        with self._ready:
            mid, qos = self._unacknowledged.pop(number, (0, 0))
        if client is not None and mid:
            with contextlib.suppress(ValueError):
                client.ack(mid, qos)

    def hand_back(self) -> None:
        """Leave without acknowledging; a lasting session gets everything again."""
        self.close()

    def wake(self) -> None:
        """Make a waiting `fetch` return."""
        with self._ready:
            self._woken = True
            self._ready.notify_all()

    def close(self) -> None:
        """Disconnect; the broker keeps the session and what is unacknowledged."""
        client, self._client = self._client, None
        if client is not None:
            with self._ready:
                self._unacknowledged.clear()
                self._ready.notify_all()
            client.disconnect()
            client.loop_stop()
            with self._ready:
                # What was not handed over will come again under the same numbers.
                self._number -= len(self._arrived)
                self._arrived.clear()
                self._unacknowledged.clear()

    def _on_connect(
        self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        if reason.is_failure:
            self.fault = (
                f"MQTT broker at {self._host}:{self._port} refuses the connection: {reason}"
            )
            log.error("source refused", reason=self.fault)
            return
        self.fault = ""
        self._connections += 1
        client.subscribe([(topic_filter, _QOS) for topic_filter in self._filters])

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        with self._ready:
            self._unacknowledged.clear()
        if self._client is not None:
            self.fault = f"MQTT broker at {self._host}:{self._port} is away: {reason}"
            log.warning("source lost, trying again", reason=self.fault)

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = repr(message._topic)  # noqa: SLF001 - paho offers no other way to the raw bytes
        with self._ready:
            while len(self._arrived) >= _MOST_WAITING and self._client is not None:
                self._ready.wait(1.0)
            self._number += 1
            number = self._number
            self._unacknowledged[number] = (message.mid, message.qos)
            origin = Origin.OPERATOR if topic == COMMANDS_TOPIC else Origin.DEVICE
            key, body = routing_key_of(topic), bytes(message.payload)
            self._arrived.append(Delivery(number, key, body, message.dup, origin))
            self._ready.notify_all()
