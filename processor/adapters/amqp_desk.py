"""RabbitMQ's queues of messages that were not taken in, as a person looks at them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, ChannelClosedByBroker
from pika.spec import Basic, BasicProperties

from bridge.broker import BrokerRefused, BrokerUnavailable
from bridge.clock import to_us
from bridge.messages import Reason
from bridge.topics import BadTopic, parse_routing_key
from bridge.topology import MQTT_EXCHANGE, QueueName
from processor.adapters.amqp_publisher import PERSISTENT, AmqpPublisher, Outgoing
from processor.adapters.amqp_quarantine import (
    AT_HEADER,
    DETAIL_HEADER,
    KEY_HEADER,
    REASON_HEADER,
)
from processor.quarantine import BadMessage, Place
from processor.results import PublishFailed

_PAUSE_S = 1.0
_TOGETHER = 500
_MOST_PAUSES = 20
_SETTLE_S = 1.0
_MOST_PREFETCH = 65_535
_REASONS = frozenset(reason.value for reason in Reason)
_QUEUES = {
    Place.QUARANTINE: QueueName.QUARANTINE.value,
    Place.UNROUTED: QueueName.UNROUTED.value,
    Place.DEAD: QueueName.DEAD.value,
}


class _Kept(NamedTuple):
    """A message in a queue: its channel and delivery tag, what it is, where it first was sent."""

    channel: BlockingChannel
    tag: int
    message: BadMessage
    exchange: str


class AmqpDesk:
    """Lists, retries and drops by consuming, and closing without acknowledging the rest.

    A get with requeue would count against the queue's delivery limit on RabbitMQ 4.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def messages(self, limit: int = 1000, place: Place | None = None) -> list[BadMessage]:
        """The messages in one place or in all, each oldest first, at most `limit` of a place."""
        found = []
        for each in _chosen(place):
            with self._channel() as channel:
                found += [kept.message for kept in _consumed(channel, each, limit)]
        return found

    def retry(
        self,
        wanted: Callable[[BadMessage], bool],
        told: Callable[[int], None] = lambda _sent: None,
    ) -> int:
        """Publish the wanted messages again where and as they first came, and remove them."""
        sent = 0
        publisher = AmqpPublisher(self._url, name="steam desk")
        try:
            for place in Place:
                with self._channel() as channel:
                    kept = (
                        each for each in _consumed(channel, place, None) if wanted(each.message)
                    )
                    for together in _chunks(kept):
                        sent += self._send(publisher, together, sent)
                        told(sent)
                    _let_settle(channel)
        finally:
            publisher.close()
        return sent

    def drop(self, identity: str) -> BadMessage | None:
        """Remove a message for good."""
        for place in Place:
            with self._channel() as channel:
                for kept in _consumed(channel, place, None):
                    if kept.message.id == identity:
                        kept.channel.basic_ack(kept.tag)
                        _let_settle(channel)
                        return kept.message
        return None

    def _send(self, publisher: AmqpPublisher, kept: list[_Kept], before: int) -> int:
        """Send and acknowledge; raises BrokerRefused where the broker does not take all."""
        try:
            refused = publisher.publish_all([_outgoing(each) for each in kept])
        except PublishFailed as error:
            raise BrokerUnavailable(f"{before} were sent again; the rest stays: {error}") from None
        for place, each in enumerate(kept):
            if place not in refused:
                each.channel.basic_ack(each.tag)
        if refused:
            sent = before + len(kept) - len(refused)
            raise BrokerRefused(
                f"{sent} were sent again; the broker refused the next, its queue is full: it and "
                "the rest stay"
            )
        return len(kept)

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


def _chosen(place: Place | None) -> list[Place]:
    return list(Place) if place is None else [place]


def _consumed(channel: BlockingChannel, place: Place, limit: int | None) -> Iterator[_Kept]:
    """What is in a queue, unacknowledged.

    A consumer has at most 65,535 messages unacknowledged (and without a limit of its own a
    quorum queue gives it 2,000): beyond that another channel goes on.
    """
    queue = _QUEUES[place]
    waiting = channel.queue_declare(queue, passive=True).method.message_count
    left = waiting if limit is None else min(waiting, limit)
    while left:
        most = min(left, _MOST_PREFETCH)
        taken = 0
        for kept in _of_channel(channel, place, most):
            taken += 1
            yield kept
        left -= taken
        if taken < most:
            return  # Somebody else took the rest meanwhile.
        # What came in the place of acknowledged messages goes back, for the next channel.
        channel.cancel()
        channel = channel.connection.channel()


def _of_channel(channel: BlockingChannel, place: Place, most: int) -> Iterator[_Kept]:
    """The next `most` messages of a queue on one channel; fewer where the queue has no more."""
    queue, left, pauses = _QUEUES[place], most, 0
    channel.basic_qos(prefetch_count=most)
    for method, properties, body in channel.consume(queue, inactivity_timeout=_PAUSE_S):
        if method is not None:
            pauses = 0
            yield _READERS[place](channel, method, properties, body)
            left -= 1
            if not left:
                return
            continue
        pauses += 1
        if not channel.queue_declare(queue, passive=True).method.message_count:
            return
        if pauses == _MOST_PAUSES:
            raise BrokerUnavailable(
                f"{left} of {most} messages in {queue} were not delivered within "
                f"{_MOST_PAUSES * _PAUSE_S:.0f} s; nothing of these was looked at: try again"
            )


def _let_settle(channel: BlockingChannel) -> None:
    """Give a quorum queue time to take acknowledgements in: those under way when a channel closes are lost.

    Such a message would stay, and be sent once more by the next retry.
    """
    channel.connection.process_data_events(time_limit=_SETTLE_S)


def _quarantined(
    channel: BlockingChannel, method: Basic.Deliver, properties: BasicProperties, body: bytes
) -> _Kept:
    headers = properties.headers or {}
    key, detail = str(headers.get(KEY_HEADER, "")), str(headers.get(DETAIL_HEADER, ""))
    told, at_us = str(headers.get(REASON_HEADER, "")), headers.get(AT_HEADER, 0)
    if told not in _REASONS:
        # Of another version of Steam, or of another program.
        told, detail = Reason.UNEXPECTED.value, f"{told or 'no reason given'}: {detail}"
    message = BadMessage(
        routing_key=key,
        body=body,
        reason=Reason(told),
        detail=detail,
        at_us=at_us if isinstance(at_us, int) else 0,
    )
    # What the evaluator made came through the default exchange, by the queue's name.
    exchange = "" if key == QueueName.RESULTS else MQTT_EXCHANGE
    return _Kept(channel, method.delivery_tag, message, exchange)


def _unrouted(
    channel: BlockingChannel, method: Basic.Deliver, _properties: BasicProperties, body: bytes
) -> _Kept:
    key = str(method.routing_key or "")
    try:
        topic = parse_routing_key(key)
        hint = f"`steam device adopt {topic.site} {topic.device} --boiler NAME` takes it in"
    except BadTopic:
        hint = "its topic is none of Steam's"
    message = BadMessage(
        routing_key=key,
        body=body,
        reason=Reason.UNKNOWN_DEVICE,
        detail=f"no queue was bound for it; {hint}",
        at_us=0,
        place=Place.UNROUTED,
    )
    return _Kept(channel, method.delivery_tag, message, MQTT_EXCHANGE)


def _dead(
    channel: BlockingChannel, method: Basic.Deliver, properties: BasicProperties, body: bytes
) -> _Kept:
    """A dead letter, as its first `x-death` header tells of it."""
    deaths = (properties.headers or {}).get("x-death") or [{}]
    death = deaths[0]
    at = death.get("time")
    message = BadMessage(
        routing_key=str(next(iter(death.get("routing-keys", [])), method.routing_key or "")),
        body=body,
        reason=Reason.DEAD_LETTER,
        detail=f"{death.get('queue', 'a queue')} gave it up: {death.get('reason', 'unknown')}, "
        f"{death.get('count', 1)} times",
        at_us=to_us(at.replace(tzinfo=UTC)) if isinstance(at, datetime) else 0,
        place=Place.DEAD,
    )
    return _Kept(channel, method.delivery_tag, message, str(death.get("exchange", MQTT_EXCHANGE)))


_READERS = {Place.QUARANTINE: _quarantined, Place.UNROUTED: _unrouted, Place.DEAD: _dead}


def _outgoing(kept: _Kept) -> Outgoing:
    properties = BasicProperties(delivery_mode=PERSISTENT)
    message = kept.message
    return Outgoing(kept.exchange, message.routing_key, message.body, properties)


def _chunks(kept: Iterator[_Kept]) -> Iterator[list[_Kept]]:
    together: list[_Kept] = []
    for each in kept:
        together.append(each)
        if len(together) == _TOGETHER:
            yield together
            together = []
    if together:
        yield together
