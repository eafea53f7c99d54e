"""The quarantine of the embedded deployment, sent again over MQTT."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import paho.mqtt.client as mqtt

from bridge.broker import BrokerUnavailable
from processor.adapters.sqlite_quarantine import SqliteQuarantine
from processor.quarantine import BadMessage, Place
from steam.links import MqttAddress

_CONFIRM_WITHIN_S = 10.0


class EmbeddedDesk:
    """Messages in SQLite, published again over MQTT; implements Desk."""

    def __init__(
        self, quarantine: SqliteQuarantine, broker: MqttAddress, is_running: Callable[[], bool]
    ) -> None:
        self._quarantine = quarantine
        self._broker = broker
        self._is_running = is_running

    def messages(self, limit: int = 1000, place: Place | None = None) -> list[BadMessage]:
        """The messages in quarantine, oldest first: on one machine there is no other place."""
        return self._quarantine.messages(limit) if place in (None, Place.QUARANTINE) else []

    def retry(
        self,
        wanted: Callable[[BadMessage], bool],
        told: Callable[[int], None] = lambda _sent: None,
    ) -> int:
        """Publish the wanted messages again, each removed once the broker has it."""
        messages = [each for each in self._quarantine.numbered(-1) if wanted(each[1])]
        if messages and not self._is_running():
            # An MQTT broker acknowledges what nobody has subscribed, and drops it.
            raise BrokerUnavailable("start `steam run` first: nobody would take the messages in")
        if messages:
            with _connected(self._broker) as client:
                for sent, (number, message) in enumerate(messages, start=1):
                    _publish(client, self._broker, message)
                    self._quarantine.remove(number)
                    told(sent)
        return len(messages)

    def drop(self, identity: str) -> BadMessage | None:
        """Remove a message for good."""
        return self._quarantine.drop(identity)


@contextmanager
def _connected(broker: MqttAddress) -> Iterator[mqtt.Client]:
    client = broker.client()
    try:
        client.connect(broker.host, broker.port, keepalive=20)
        client.loop_start()
        yield client
    except (OSError, ValueError, RuntimeError) as error:
        text = f"{broker}: {error}; what was not sent stays in quarantine"
        raise BrokerUnavailable(text) from None
    finally:
        client.disconnect()
        client.loop_stop()


def _publish(client: mqtt.Client, broker: MqttAddress, message: BadMessage) -> None:
    sent = client.publish(message.routing_key.replace(".", "/"), message.body, qos=1)
    sent.wait_for_publish(_CONFIRM_WITHIN_S)
    if not sent.is_published():
        raise BrokerUnavailable(f"{broker} did not acknowledge; the rest stays in quarantine")
