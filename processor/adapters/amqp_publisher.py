"""A connection that publishes with confirms to RabbitMQ (pika), many messages at a time."""

import contextlib
from collections.abc import Callable, Sequence

import msgspec
import pika
from pika import SelectConnection
from pika.adapters.select_connection import IOLoop
from pika.channel import Channel
from pika.exceptions import AMQPError
from pika.frame import Method as Frame
from pika.spec import Basic, BasicProperties

from processor.adapters.amqp_connection import connection_parameters
from processor.results import PublishFailed

PERSISTENT = pika.DeliveryMode.Persistent.value
TRANSIENT = pika.DeliveryMode.Transient.value

_CONNECT_S = 20.0
_CONFIRM_S = 20.0
_CLOSE_S = 2.0


class PublishRefused(PublishFailed):
    """The broker answered that it does not take the message: its queue is full."""


class Outgoing(msgspec.Struct, frozen=True):
    """One message to be published."""

    exchange: str
    routing_key: str
    body: bytes
    properties: BasicProperties


class AmqpPublisher:
    """Publishes on one connection of its own, from one thread; reconnects when used again.

    The messages of one call are sent before the first confirm is waited for: one by one they
    would take a write to the broker's disk each.
    """

    def __init__(self, url: str, *, name: str) -> None:
        self._url = url
        self._name = name
        self._connection: SelectConnection | None = None
        self._channel: Channel | None = None
        self._loop: IOLoop | None = None
        self._is_confirming = False
        self._failure = ""
        self._published = 0
        self._waiting: dict[int, int] = {}
        self._refused: set[int] = set()

    def publish(
        self, exchange: str, routing_key: str, body: bytes, properties: BasicProperties
    ) -> None:
        """Publish one message and wait for the broker's confirm.

        Raises PublishRefused where the broker refuses it, PublishFailed where nothing is known.
        """
        if self.publish_all([Outgoing(exchange, routing_key, body, properties)]):
            target = _target(exchange, routing_key)
            raise PublishRefused(self._fault(f"to {target}: refused, its queue is full"))

    def publish_all(self, messages: Sequence[Outgoing]) -> set[int]:
        """Publish messages and wait for all confirms; the places in the list of those refused.

        Raises PublishFailed where it is not known of each what became of it.
        """
        self._connect()
        self._refused.clear()
        try:
            for place, message in enumerate(messages):
                self._published += 1
                self._waiting[self._published] = place
                self._publish(message, mandatory=True)
        except AMQPError as error:
            self._failure = self._failure or _words(error)
        self._run_until(lambda: not self._waiting, _CONFIRM_S, "no confirm")
        if self._failure:
            failure = self._failure
            self.close()
            target = _target(messages[0].exchange, messages[0].routing_key)
            raise PublishFailed(self._fault(f"to {target}: {failure}"))
        return set(self._refused)

    def send(
        self,
        exchange: str,
        routing_key: str,
        body: bytes,
        properties: BasicProperties | None = None,
    ) -> None:
        """Publish one message without asking for its confirm; raises PublishFailed where it cannot leave."""
        self._connect()
        try:
            # Its confirm comes all the same, and is not waited for.
            self._published += 1
            self._publish(Outgoing(exchange, routing_key, body, properties or BasicProperties()))
        except AMQPError as error:
            self.close()
            target = _target(exchange, routing_key)
            raise PublishFailed(self._fault(f"to {target}: {_words(error)}")) from None
        self._turn()

    def close(self) -> None:
        """Close the connection, if any."""
        connection, loop = self._connection, self._loop
        if connection is not None and loop is not None:
            if not connection.is_closed:
                with contextlib.suppress(AMQPError):
                    connection.close()
            self._work_until(lambda: connection.is_closed, _CLOSE_S)
            loop.deactivate_poller()
            loop.close()
        self._connection = self._channel = self._loop = None
        self._is_confirming = False
        self._waiting.clear()
        self._published = 0

    def _publish(self, message: Outgoing, *, mandatory: bool = False) -> None:
        assert self._channel is not None  # noqa: S101 - set by _connect
        self._channel.basic_publish(
            message.exchange, message.routing_key, message.body, message.properties, mandatory
        )

    def _connect(self) -> None:
        if self._connection is not None:
            self._turn()
        if self._is_confirming and not self._failure:
            return
        self.close()
        self._failure = ""
        self._loop = IOLoop()
        self._loop.activate_poller()
        self._connection = SelectConnection(
            connection_parameters(self._url, self._name),
            on_open_callback=lambda connection: connection.channel(on_open_callback=self._opened),
            on_open_error_callback=lambda _connection, error: self._fail(_words(error)),
            on_close_callback=lambda _connection, error: self._fail(_words(error)),
            custom_ioloop=self._loop,
        )
        self._run_until(lambda: self._is_confirming, _CONNECT_S, "no connection")
        if self._failure:
            failure = self._failure
            self.close()
            raise PublishFailed(self._fault(f": {failure}"))

    def _opened(self, channel: Channel) -> None:
        self._channel = channel
        channel.add_on_close_callback(lambda _channel, error: self._fail(_words(error)))
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm, self._on_confirming)

    def _on_confirming(self, _frame: Frame) -> None:
        self._is_confirming = True

    def _on_confirm(self, frame: Frame) -> None:
        method = frame.method
        tags = [method.delivery_tag]
        if method.multiple:
            tags = [tag for tag in self._waiting if tag <= method.delivery_tag]
        for tag in tags:
            place = self._waiting.pop(tag, None)
            if place is not None and isinstance(method, Basic.Nack):
                self._refused.add(place)

    def _on_return(
        self, _channel: Channel, method: Basic.Return, _properties: BasicProperties, _body: bytes
    ) -> None:
        self._fail(f"{method.reply_text}; is the topology declared?")

    def _fail(self, words: str) -> None:
        self._failure = self._failure or words

    def _turn(self) -> None:
        """Let the connection do what is due, without waiting."""
        is_over = False

        def over() -> None:
            nonlocal is_over
            is_over = True

        assert self._loop is not None  # noqa: S101 - made with the connection
        self._loop.call_later(0, over)
        while not is_over:
            # First what is to be written and read: the timer is due already.
            self._loop.poll()
            self._loop.process_timeouts()

    def _run_until(self, reached: Callable[[], bool], within_s: float, fault: str) -> None:
        """Let the connection work until something is so; it failed with `fault` where that takes too long."""
        if not self._work_until(lambda: reached() or bool(self._failure), within_s):
            self._fail(f"{fault} within {within_s:g} s")

    def _work_until(self, reached: Callable[[], bool], within_s: float) -> bool:
        """Let the connection work until something is so; False where it was not in time."""
        loop, is_late = self._loop, False

        def late() -> None:
            nonlocal is_late
            is_late = True

        assert loop is not None  # noqa: S101 - made with the connection
        timer = loop.call_later(within_s, late)
        while not (reached() or is_late):
            loop.poll()
            loop.process_timeouts()
        loop.remove_timeout(timer)
        return not is_late

    def _fault(self, what: str) -> str:
        where = pika.URLParameters(self._url)
        return f"RabbitMQ at {where.host}:{where.port} did not confirm a message {what}"


def _target(exchange: str, routing_key: str) -> str:
    return f"exchange {exchange!r}" if exchange else f"queue {routing_key!r}"


def _words(error: BaseException) -> str:
    """What went wrong in one line; pika hides the cause in nested reprs."""
    return str(error) or repr(error)
