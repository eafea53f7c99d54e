"""The quarantine of the deployment, as `steam quarantine` works on it."""

from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bridge.broker import BrokerUnavailable
from processor.adapters.sqlite_quarantine import SqliteQuarantine
from processor.quarantine import BadMessage, Desk
from steam.settings import Mqtt, Settings

QUARANTINE_FILE = "quarantine.sqlite"
_CONFIRM_WITHIN_S = 10.0


class EmbeddedDesk:
    """Messages in SQLite, published again over MQTT; a context manager."""

    def __init__(self, quarantine: SqliteQuarantine, settings: Mqtt) -> None:
        self._quarantine = quarantine
        self._mqtt = settings

    def __enter__(self) -> Self:
        self._quarantine.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._quarantine.close()

    def messages(self, limit: int = 1000) -> list[BadMessage]:
        """The messages in quarantine, oldest first."""
        return self._quarantine.messages(limit)

    def retry(self, identity: str) -> BadMessage | None:
        """Publish the message again as it first came, then remove it."""
        for message in self._quarantine.messages(-1):
            if message.id == identity:
                _publish(self._mqtt, message)
                return self._quarantine.drop(identity)
        return None

    def drop(self, identity: str) -> BadMessage | None:
        """Remove a message for good."""
        return self._quarantine.drop(identity)


def _publish(settings: Mqtt, message: BadMessage) -> None:
    where = f"MQTT broker at {settings.host}:{settings.port}"
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
    if settings.username:
        password = settings.password.read("mqtt.password") if settings.password else None
        client.username_pw_set(settings.username, password)
    try:
        client.connect(settings.host, settings.port, keepalive=20)
        client.loop_start()
        sent = client.publish(message.routing_key.replace(".", "/"), message.body, qos=1)
        sent.wait_for_publish(_CONFIRM_WITHIN_S)
        if not sent.is_published():
            raise BrokerUnavailable(f"{where} did not acknowledge; the message stays in quarantine")
    except (OSError, ValueError, RuntimeError) as error:
        raise BrokerUnavailable(f"{where}: {error}; the message stays in quarantine") from None
    finally:
        client.disconnect()
        client.loop_stop()


def desk_of(settings: Settings) -> Desk:
    """The desk of the deployment; raises MissingSecret."""
    if settings.deployment == "server":
        from processor.adapters.amqp_desk import AmqpDesk

        return AmqpDesk(settings.amqp.url.read("amqp.url"))
    quarantine = SqliteQuarantine(settings.data_path / QUARANTINE_FILE)
    return EmbeddedDesk(quarantine, settings.mqtt).__enter__()
