"""The quarantine as a queue of RabbitMQ."""

from pika.spec import BasicProperties

from processor.adapters.amqp_publisher import PERSISTENT, AmqpPublisher, PublishRefused
from processor.quarantine import BadMessage

QUARANTINE_QUEUE = "steam.quarantine"
REASON_HEADER = "steam-reason"
DETAIL_HEADER = "steam-detail"
KEY_HEADER = "steam-routing-key"
AT_HEADER = "steam-at-us"


class AmqpQuarantine:
    """Publishes bad messages, whole, with the reason in headers; connects for each put.

    Bad messages are rare: a connection of its own would idle and miss heartbeats.
    """

    def __init__(self, publisher: AmqpPublisher) -> None:
        self._publisher = publisher

    def open(self) -> None:
        """Nothing to do: each put connects."""

    def put(self, messages: list[BadMessage]) -> set[int]:
        """Publish each message and wait for its confirm; the places of those refused."""
        refused = set()
        try:
            for place, message in enumerate(messages):
                headers = {
                    REASON_HEADER: message.reason.value,
                    DETAIL_HEADER: message.detail[:1000],
                    KEY_HEADER: message.routing_key[:1000],
                    AT_HEADER: message.at_us,
                }
                properties = BasicProperties(delivery_mode=PERSISTENT, headers=headers)
                try:
                    self._publisher.publish("", QUARANTINE_QUEUE, message.body, properties)
                except PublishRefused:
                    refused.add(place)
        finally:
            self._publisher.close()
        return refused

    def close(self) -> None:
        """Leave."""
        self._publisher.close()
