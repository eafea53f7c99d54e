"""A subscriber that keeps everything a broker hands out, for tests of the device side."""

import json
import threading
import time
from collections.abc import Callable
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion


class Listener:
    """Listens to all Steam topics of a broker; `messages` holds (topic, payload) in order."""

    def __init__(self, port: int, topic_filter: str = "steam/v1/#") -> None:
        self.messages: list[tuple[str, bytes]] = []
        self._ready = threading.Event()
        self._filter = topic_filter
        self._port = port
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="listener")
        self._client.on_connect = lambda client, *_: client.subscribe(self._filter, qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _, __, m: self.messages.append((m.topic, m.payload))

    def __enter__(self) -> Self:
        """Connect and wait for the subscription."""
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._ready.wait(10), "no SUBACK"
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, message: dict, *, retain: bool = False) -> None:
        """Publish a command, QoS 1."""
        payload = json.dumps(message).encode()
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(10)

    def of(self, kind: str, device: str | None = None) -> list[dict]:
        """The decoded messages of a kind, in order of arrival."""
        return [
            json.loads(payload)
            for topic, payload in list(self.messages)
            if topic.endswith(f"/{kind}") and (device is None or f"/{device}/" in topic)
        ]


def eventually(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Poll until the condition holds; fails after `timeout_s`."""
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "did not come true in time"
        time.sleep(0.01)
