"""A connection that publishes with confirms to RabbitMQ (pika)."""

import contextlib

import pika
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import AMQPError, NackError
from pika.spec import BasicProperties

from processor.adapters.amqp_connection import connection_parameters
from processor.results import PublishFailed

PERSISTENT = pika.DeliveryMode.Persistent.value
TRANSIENT = pika.DeliveryMode.Transient.value


class PublishRefused(PublishFailed):
    """The broker answered that it does not take the message: its queue is full."""


class AmqpPublisher:
    """Publishes on one connection of its own, from one thread; reconnects when used again."""

    def __init__(self, url: str, *, name: str) -> None:
        self._url = url
        self._name = name
        self._connection: BlockingConnection | None = None
        self._confirming: BlockingChannel | None = None
        self._plain: BlockingChannel | None = None

    def publish(
        self, exchange: str, routing_key: str, body: bytes, properties: BasicProperties
    ) -> None:
        """Publish one message and wait for the broker's confirm.

        Raises PublishRefused where the broker refuses it, PublishFailed where nothing is known.
        """
        try:
            self._connect()
            assert self._confirming is not None  # noqa: S101 - set by _connect
            self._confirming.basic_publish(
                exchange, routing_key, body, properties=properties, mandatory=True
            )
        except NackError as error:
            raise PublishRefused(self._fault(exchange, routing_key, error)) from None
        except (AMQPError, OSError) as error:
            self.close()
            raise PublishFailed(self._fault(exchange, routing_key, error)) from None

    def send(self, exchange: str, routing_key: str, body: bytes) -> None:
        """Publish one message without waiting; raises PublishFailed where it cannot leave."""
        try:
            self._connect()
            assert self._plain is not None  # noqa: S101 - set by _connect
            self._plain.basic_publish(exchange, routing_key, body)
        except (AMQPError, OSError) as error:
            self.close()
            raise PublishFailed(self._fault(exchange, routing_key, error)) from None

    def close(self) -> None:
        """Close the connection, if any."""
        connection, self._connection = self._connection, None
        self._confirming = self._plain = None
        if connection is not None:
            with contextlib.suppress(AMQPError, OSError):
                connection.close()

    def _connect(self) -> None:
        if self._connection is not None and self._connection.is_open:
            return
        self._connection = BlockingConnection(connection_parameters(self._url, self._name))
        self._confirming = self._connection.channel()
        self._confirming.confirm_delivery()
        self._plain = self._connection.channel()

    def _fault(self, exchange: str, routing_key: str, error: Exception) -> str:
        where = pika.URLParameters(self._url)
        target = f"exchange {exchange!r}" if exchange else f"queue {routing_key!r}"
        words = str(error) or repr(error)
        return (
            f"RabbitMQ at {where.host}:{where.port} did not confirm a message to {target}: {words}"
        )
