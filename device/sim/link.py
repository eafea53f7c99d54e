"""One device's MQTT connection (paho-mqtt, MQTT 3.1.1, QoS 1): what is published arrives.

What the broker has not acknowledged stays in the window and is sent again, marked as a
duplicate, after every reconnection. The window is bounded: `publish` waits for a place.
"""

import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from device.steamlink import contract

_QOS = 1
_KEEPALIVE_S = 30


class LinkTimeout(Exception):
    """The broker did not acknowledge in time; what is unacknowledged stays in the window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where the broker is, and the account; `tls` checks its certificate."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password: str | None = None
    tls: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """A message in the window: its topic, payload, and when it was published (monotonic s)."""

    topic: str
    payload: bytes
    at_s: float


@dataclass(slots=True)
class LinkCounts:
    """Messages handed to the link, and messages that the broker has acknowledged."""

    published: int = 0
    acknowledged: int = 0
    connections: int = 0


def _nothing(*_: object) -> None:
    """Called where nobody asked to be told."""


@dataclass(slots=True, kw_only=True)
class LinkEvents:
    """Who is told of what; called in the connection's own thread, so they must not block."""

    connected: Callable[[], None] = _nothing
    acknowledged: Callable[[Sent], None] = _nothing
    command: Callable[[bytes], None] = _nothing


@dataclass(slots=True)
class _Window:
    free: threading.Condition = field(default_factory=threading.Condition)
    sent: dict[int, Sent] = field(default_factory=dict)


class Link:
    """The connection of one device; a context manager. Client id is the device's name."""

    def __init__(
        self,
        broker: Broker,
        site: str,
        device: str,
        *,
        window: int = 100,
        will: bytes | None = None,
        events: LinkEvents | None = None,
    ) -> None:
        self.site = site
        self.device = device
        self.counts = LinkCounts()
        self._broker = broker
        self._size = window
        self._will = will
        self._events = events or LinkEvents()
        self._window = _Window()
        self._client: mqtt.Client | None = None
        self.refusal = ""

    def __enter__(self) -> "Link":
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def connected(self) -> bool:
        """Whether the broker is there at this moment."""
        return self._client is not None and self._client.is_connected()

    @property
    def waiting(self) -> int:
        """How many messages the broker has not acknowledged."""
        return len(self._window.sent)

    def topic(self, kind: str) -> str:
        """The topic of this device's messages of a kind."""
        return contract.topic(self.site, self.device, kind)

    def open(self) -> None:
        """Connect in the background, and again (1 to 30 s) whenever the connection is lost."""
        broker = self._broker
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.device,
            clean_session=True,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        client.max_inflight_messages_set(self._size)
        client.max_queued_messages_set(0)
        client.reconnect_delay_set(1, 30)
        if broker.username is not None:
            client.username_pw_set(broker.username, broker.password)
        if broker.tls:
            client.tls_set_context(ssl.create_default_context())
        if self._will is not None:
            client.will_set(self.topic("state"), self._will, qos=_QOS)
        client.on_connect = self._on_connect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        self._client = client
        client.connect_async(broker.host, broker.port, keepalive=_KEEPALIVE_S)
        client.loop_start()

    def wait_connected(self, timeout_s: float) -> None:
        """Wait for the first connection; raises LinkTimeout with what the broker said."""
        deadline = time.monotonic() + timeout_s
        while not self.connected:
            if time.monotonic() >= deadline:
                where = f"MQTT broker at {self._broker.host}:{self._broker.port}"
                said = f" refuses {self.device}: {self.refusal}" if self.refusal else " is away"
                raise LinkTimeout(f"{where}{said}; check address, user and password")
            time.sleep(0.02)

    def publish(self, kind: str, payload: bytes, *, timeout_s: float = 60.0) -> None:
        """Hand over one message; waits for a place in the window, or raises LinkTimeout."""
        client = self._client
        if client is None:
            raise LinkTimeout(f"the link of {self.device} is closed")
        window = self._window
        with window.free:
            if not window.free.wait_for(lambda: len(window.sent) < self._size, timeout_s):
                text = f"{self.device}: {len(window.sent)} messages unacknowledged for {timeout_s:.0f} s"
                raise LinkTimeout(text)
            sent = Sent(self.topic(kind), payload, time.monotonic())
            window.sent[client.publish(sent.topic, payload, qos=_QOS).mid] = sent
            self.counts.published += 1

    def wait_acknowledged(self, timeout_s: float) -> None:
        """Wait until the broker has acknowledged everything; raises LinkTimeout."""
        window = self._window
        with window.free:
            if not window.free.wait_for(lambda: not window.sent, timeout_s):
                text = f"{self.device}: {len(window.sent)} messages unacknowledged after {timeout_s:.0f} s"
                raise LinkTimeout(text)

    def close(self) -> None:
        """Disconnect in order: the broker does not send the will."""
        self._end(orderly=True)

    def drop(self) -> None:
        """Break the connection without a word, as a power failure does: the will is sent."""
        self._end(orderly=False)

    def _end(self, *, orderly: bool) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        if orderly:
            client.disconnect()
        elif (socket := client.socket()) is not None:
            socket.close()
        client.loop_stop()
        with self._window.free:
            self._window.sent.clear()
            self._window.free.notify_all()

    def _on_connect(
        self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        if reason.is_failure:
            self.refusal = str(reason)
            return
        self.refusal = ""
        self.counts.connections += 1
        client.subscribe(self.topic("cmd"), qos=_QOS)
        self._events.connected()

    def _on_publish(
        self, _client: mqtt.Client, _data: Any, mid: int, _reason: Any, _properties: Any
    ) -> None:
        with self._window.free:
            sent = self._window.sent.pop(mid, None)
            if sent is None:
                return
            self.counts.acknowledged += 1
            self._window.free.notify_all()
        self._events.acknowledged(sent)

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        self._events.command(bytes(message.payload))
