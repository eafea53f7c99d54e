"""Live values and commands over the topics of the embedded deployment's MQTT broker."""

from typing import Any, Self

import msgspec
import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import CallbackAPIVersion

from bridge.live import (
    COMMANDS_TOPIC,
    LIVE_TOPIC_PREFIX,
    AcknowledgeAlarm,
    decode_live,
    encode_command,
)
from panel_app.data.commands import CommandFailed
from panel_app.data.hub import LiveHub

log = structlog.get_logger(__name__)

CONFIRM_WITHIN_S = 5.0


class MqttLive:
    """LiveFeed and Commands on one MQTT connection, which reconnects by itself (1 to 30 s)."""

    def __init__(
        self,
        hub: LiveHub,
        host: str,
        port: int = 1883,
        *,
        username: str | None = None,
        password: str | None = None,
        client_id: str = "",
    ) -> None:
        self._hub = hub
        self._host = host
        self._port = port
        self._address = f"{host}:{port}"
        self._login = (username, password)
        self._client_id = client_id
        self._client: mqtt.Client | None = None
        self._bad = False

    def open(self) -> None:
        """Begin to connect; live values come into the hub from the client's own thread."""
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=self._client_id, clean_session=True
        )
        username, password = self._login
        if username is not None:
            client.username_pw_set(username, password)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.reconnect_delay_set(1, 30)
        client.connect_async(self._host, self._port, keepalive=20)
        client.loop_start()
        self._client = client

    def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def acknowledge(self, command: AcknowledgeAlarm) -> None:
        """Publish the command (QoS 1) and wait for its PUBACK; raises CommandFailed."""
        client = self._client
        if client is None or not client.is_connected():
            raise CommandFailed(f"no connection to the MQTT broker at {self._address}")
        sent = client.publish(COMMANDS_TOPIC, encode_command(command), qos=1)
        try:
            sent.wait_for_publish(CONFIRM_WITHIN_S)
        except (RuntimeError, ValueError) as error:
            raise CommandFailed(f"the MQTT client cannot send: {error}") from None
        if not sent.is_published():
            text = f"the MQTT broker at {self._address} did not confirm in {CONFIRM_WITHIN_S:g} s"
            raise CommandFailed(text)

    def _on_connect(
        self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        if reason.is_failure:
            log.warning("live feed refused", broker=self._address, reason=str(reason))
            return
        client.subscribe(f"{LIVE_TOPIC_PREFIX}/#", qos=0)
        log.info("live feed connected", broker=self._address)
        self._hub.link(connected=True, address=self._address)

    def _on_disconnect(
        self, _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any
    ) -> None:
        if self._client is not None and self._hub.snapshot().link.connected:
            log.warning("live feed lost", broker=self._address, reason=str(reason))
        self._hub.link(connected=False, address=self._address)

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        try:
            live = decode_live(bytes(message.payload))
        except msgspec.MsgspecError as error:
            if not self._bad:
                log.warning("unreadable live values", topic=message.topic, error=str(error))
            self._bad = True
            return
        self._bad = False
        self._hub.put(live)
