"""An MQTT 3.1.1 client for tests: each call waits for the broker's answer."""

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

PATIENCE_S = 15.0


def wait_for(fact: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    """Poll until `fact` holds; returns whether it did in time."""
    deadline = time.monotonic() + patience_s
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class MqttClient:
    """One session; `answer` of the broker to the connection is "Success" where it was let in."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        username: str,
        password: str,
        client_id: str = "",
        clean_session: bool = True,
        will_topic: str = "",
        manual_ack: bool = False,
    ) -> None:
        self.answer = ""
        self.closed = False
        self.messages: list[mqtt.MQTTMessage] = []
        self._acknowledged: set[int] = set()
        self._granted: dict[int, bool] = {}
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id or username,
            clean_session=clean_session,
            protocol=MQTTProtocolVersion.MQTTv311,
            manual_ack=manual_ack,
            reconnect_on_failure=False,
        )
        client.username_pw_set(username, password)
        if will_topic:
            client.will_set(will_topic, b"{}", qos=1)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.max_inflight_messages_set(2_000)
        self._client = client
        client.connect(host, port)
        client.loop_start()
        assert wait_for(lambda: bool(self.answer) or self.closed), "no answer to the connection"

    @property
    def topics(self) -> list[str]:
        """The topics of what arrived."""
        return [message.topic for message in self.messages]

    def publish(self, topic: str, body: bytes = b"{}") -> bool:
        """Publish with QoS 1; returns whether it was acknowledged and the connection stands."""
        sent = self._client.publish(topic, body, qos=1).mid
        wait_for(lambda: sent in self._acknowledged or self.closed)
        return sent in self._acknowledged and not self.closed

    def publish_all(self, topic: str, bodies: list[bytes]) -> int:
        """Publish with QoS 1, all at once; returns how many were acknowledged."""
        sent = {self._client.publish(topic, body, qos=1).mid for body in bodies}
        wait_for(lambda: sent <= self._acknowledged or self.closed)
        return len(sent & self._acknowledged)

    def subscribe(self, topic_filter: str) -> bool:
        """Subscribe with QoS 1; returns whether the broker granted it."""
        _, asked = self._client.subscribe(topic_filter, qos=1)
        wait_for(lambda: asked in self._granted or self.closed)
        return self._granted.get(asked or 0, False)

    def break_off(self) -> None:
        """End the connection as a power cut does, so that the broker sends the will."""
        link = self._client.socket()
        assert link is not None
        with contextlib.suppress(OSError):
            link.shutdown(socket.SHUT_RDWR)
        wait_for(lambda: self.closed)

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _on_connect(self, _client, _data, _flags, reason, _properties):
        self.answer = str(reason)

    def _on_disconnect(self, _client, _data, _flags, _reason, _properties):
        self.closed = True

    def _on_message(self, _client, _data, message):
        self.messages.append(message)

    def _on_publish(self, _client, _data, mid, _reason, _properties):
        self._acknowledged.add(mid)

    def _on_subscribe(self, _client, _data, mid, reasons, _properties):
        self._granted[mid] = not any(reason.is_failure for reason in reasons)
