"""Live values and device commands over MQTT: the embedded deployment."""

from typing import Any

import msgspec
import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bridge.live import LiveSite, encode_live, live_topic
from bridge.messages import Cmd
from bridge.topics import command_topic

log = structlog.get_logger(__name__)


class MqttLiveOut:
    """Publishes live values with QoS 0 and commands with QoS 1; implements LiveOut."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        client_id: str,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        self._host = host
        self._port = port
        self._client_id = client_id
        self._credentials = (username, password)
        self._client: mqtt.Client | None = None
        self._shown: dict[str, bytes] = {}

    def open(self) -> None:
        """Connect in the background, and again whenever the connection is lost."""
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        username, password = self._credentials
        if username is not None:
            client.username_pw_set(username, password)
        client.on_connect = self._on_connect
        client.reconnect_delay_set(1, 30)
        self._client = client
        client.connect_async(self._host, self._port, keepalive=30)
        client.loop_start()

    def show(self, live: LiveSite) -> None:
        """Publish the latest values of a site; kept and shown again after a reconnection."""
        body = encode_live(live)
        self._shown[live.site] = body
        if self._client is not None and self._client.is_connected():
            self._client.publish(live_topic(live.site), body, qos=0)

    def command(self, site: str, device: str, cmd: Cmd) -> None:
        """Publish a command to a device."""
        if self._client is not None and self._client.is_connected():
            self._client.publish(command_topic(site, device), msgspec.json.encode(cmd), qos=1)
        else:
            log.debug("command not sent, no broker", device=device, op=cmd.op)

    def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _on_connect(
        self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        if not reason.is_failure:
            for site, body in list(self._shown.items()):
                client.publish(live_topic(site), body, qos=0)
