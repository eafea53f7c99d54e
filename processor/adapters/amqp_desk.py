"""The quarantine queue of RabbitMQ as a person looks at it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, ChannelClosedByBroker
from pika.spec import BasicProperties

from bridge.broker import BrokerRefused, BrokerUnavailable
from bridge.messages import Reason
from bridge.topology import MQTT_EXCHANGE
from processor.adapters.amqp_publisher import PERSISTENT
from processor.adapters.amqp_quarantine import (
    AT_HEADER,
    DETAIL_HEADER,
    KEY_HEADER,
    QUARANTINE_QUEUE,
    REASON_HEADER,
)
from processor.quarantine import BadMessage

_PAUSE_S = 1.0


class AmqpDesk:
    """Lists, retries and drops by consuming, and closing without acknowledging the rest.

    A get with requeue would count against the queue's delivery limit on RabbitMQ 4.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def messages(self, limit: int = 1000) -> list[BadMessage]:
        """The messages in quarantine, oldest first."""
        with self._channel() as channel:
            return [message for _, message in _consumed(channel, limit)]

    def retry(self, wanted: Callable[[BadMessage], bool]) -> int:
        """Publish the wanted messages again where devices publish, confirmed, and remove them."""
        sent = 0
        with self._channel() as channel:
            out = channel.connection.channel()
            out.confirm_delivery()
            for tag, message in _consumed(channel, None):
                if wanted(message):
                    out.basic_publish(
                        MQTT_EXCHANGE,
                        message.routing_key,
                        message.body,
                        properties=BasicProperties(delivery_mode=PERSISTENT),
                        mandatory=True,
                    )
                    channel.basic_ack(tag)
                    sent += 1
        return sent

    def drop(self, identity: str) -> BadMessage | None:
        """Remove a message for good."""
        with self._channel() as channel:
            for tag, message in _consumed(channel, None):
                if message.id == identity:
                    channel.basic_ack(tag)
                    return message
        return None

    @contextmanager
    def _channel(self) -> Iterator[BlockingChannel]:
        where = pika.URLParameters(self._url)
        try:
            connection = pika.BlockingConnection(where)
            try:
                yield connection.channel()
            finally:
                connection.close()
        except ChannelClosedByBroker as error:
            text = f"RabbitMQ at {where.host}:{where.port}: {error.reply_text}"
            raise BrokerRefused(
                f"{text}; the quarantine needs the account steam-desk (amqp.desk_url) and a "
                "declared topology"
            ) from None
        except AMQPError as error:
            text = f"RabbitMQ at {where.host}:{where.port}: {error or type(error).__name__}"
            raise BrokerUnavailable(f"{text}; is it up, is the address right?") from None


def _consumed(channel: BlockingChannel, limit: int | None) -> Iterator[tuple[int, BadMessage]]:
    """(delivery tag, message) of what is in the queue, unacknowledged."""
    waiting = channel.queue_declare(QUARANTINE_QUEUE, passive=True).method.message_count
    left = waiting if limit is None else min(waiting, limit)
    if not left:
        return
    for method, properties, body in channel.consume(QUARANTINE_QUEUE, inactivity_timeout=_PAUSE_S):
        if method is None:
            return
        yield method.delivery_tag, _message(properties.headers or {}, body)
        left -= 1
        if not left:
            return


def _message(headers: dict[str, object], body: bytes) -> BadMessage:
    return BadMessage(
        routing_key=str(headers.get(KEY_HEADER, "")),
        body=body,
        reason=Reason(str(headers.get(REASON_HEADER, Reason.MALFORMED.value))),
        detail=str(headers.get(DETAIL_HEADER, "")),
        at_us=int(str(headers.get(AT_HEADER, 0))),
    )
