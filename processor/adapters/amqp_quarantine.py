"""The quarantine as a queue of RabbitMQ."""

from pika.spec import BasicProperties

from processor.adapters.amqp_publisher import PERSISTENT, AmqpPublisher, Outgoing
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
        """Publish the messages and wait for their confirms; the places of those refused."""
        try:
            return self._publisher.publish_all([_outgoing(message) for message in messages])
        finally:
            self._publisher.close()

    def close(self) -> None:
        """Leave."""
        self._publisher.close()


def _outgoing(message: BadMessage) -> Outgoing:
    headers = {
        REASON_HEADER: message.reason.value,
        DETAIL_HEADER: message.detail[:1000],
        KEY_HEADER: message.routing_key[:1000],
        AT_HEADER: message.at_us,
    }
    properties = BasicProperties(delivery_mode=PERSISTENT, headers=headers)
    return Outgoing("", QUARANTINE_QUEUE, message.body, properties)
