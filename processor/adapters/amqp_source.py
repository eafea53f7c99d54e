"""Deliveries from RabbitMQ's queues over AMQP 0.9.1 (pika)."""

import contextlib
import time
from typing import NamedTuple

import pika
import structlog
from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection
from pika.exceptions import AMQPError
from pika.frame import Method as Frame

from bridge.topology import COMMANDS_EXCHANGE
from processor.adapters.amqp_connection import connection_parameters
from processor.adapters.amqp_frames import delivering
from processor.backoff import Backoff
from processor.delivery import Delivery, Origin

log = structlog.get_logger(__name__)

_ORIGINS = {COMMANDS_EXCHANGE: Origin.OPERATOR, "": Origin.PROCESSOR}
"""By exchange: accounts of devices may publish to amq.topic alone, not to the default exchange."""

_LOOK_EVERY_S = 10.0
"""How often the queues are looked at: one that is not empty and delivers nothing is subscribed again."""

_PATIENT_LOOKS = 6

_CHUNK = 200
"""How many deliveries one `fetch` hands over at most: a read from the socket holds ten."""


class _Look(NamedTuple):
    """What a look at a queue found: delivered so far, ready there, and how often it was so."""

    delivered: int
    ready: int
    times: int


class AmqpSource:
    """Consumes queues on one connection; implements processor.delivery.Source.

    `single_active` says that of the queues' consumers only one is given anything.
    Delivery tags count from 1 on each channel, so a delivery's tag is its number less the
    number at which the channel began; numbers of an earlier channel cannot be acknowledged.
    """

    def __init__(
        self,
        url: str,
        queues: list[str],
        *,
        prefetch_count: int,
        backoff: Backoff,
        name: str,
        single_active: bool = False,
    ) -> None:
        self._url = url
        self._queues = queues
        self._prefetch_count = prefetch_count
        self._backoff = backoff
        self._name = name
        self._single_active = single_active
        self._connection: BlockingConnection | None = None
        self._channel: BlockingChannel | None = None
        self._number = 0
        self._channel_began = 0
        self._arrived: list[Delivery] = []
        self._fault = ""
        self._retry_at = 0.0
        self._connections = 0
        self._cancelled = ""
        self._acknowledged = 0
        self._delivered: dict[str, int] = {}
        self._alone: set[int] = set()
        self._looks: dict[str, _Look] = {}
        self._look_at = 0.0
        self._stalls = 0

    @property
    def connected(self) -> bool:
        """Whether the connection stands."""
        return self._connection is not None and self._connection.is_open

    @property
    def connections(self) -> int:
        """How often a connection was made."""
        return self._connections

    @property
    def stalls(self) -> int:
        """How often a queue was subscribed anew because it delivered nothing."""
        return self._stalls

    @property
    def fault(self) -> str:
        """Why there is no connection, or ""."""
        return self._fault

    def open(self) -> None:
        """Connect, or leave it to `fetch` where the broker is away."""
        self._connect()

    def fetch(self, timeout_s: float) -> list[Delivery]:
        """Read what the broker sends within `timeout_s`; reconnects with backoff."""
        connection = self._connection
        if connection is None:
            self._wait_and_connect(timeout_s)
            return []
        try:
            connection.process_data_events(time_limit=0 if self._arrived else timeout_s)
            before = 0
            while before < len(self._arrived) < _CHUNK:
                before = len(self._arrived)
                connection.process_data_events(time_limit=0)
            self._check_channel()
            if time.monotonic() >= self._look_at:
                self._look()
        except (AMQPError, OSError) as error:
            self._lose(_words(error))
        arrived, self._arrived = self._arrived[:_CHUNK], self._arrived[_CHUNK:]
        return arrived

    def attend(self, timeout_s: float) -> None:
        """Answer heartbeats; pika keeps what the broker sends, at most the prefetch."""
        connection = self._connection
        if connection is None:
            self._wait_and_connect(timeout_s)
            return
        try:
            connection.process_data_events(time_limit=timeout_s)
            self._check_channel()
        except (AMQPError, OSError) as error:
            self._lose(_words(error))

    def acknowledge(self, number: int) -> None:
        """One multiple acknowledgement for every delivery up to `number`."""
        if self._channel is None or number <= self._channel_began:
            return
        try:
            self._channel.basic_ack(number - self._channel_began, multiple=True)
        except (AMQPError, OSError) as error:
            self._lose(_words(error))
            return
        self._acknowledged = number
        if self._alone:
            self._alone = {alone for alone in self._alone if alone > number}

    def acknowledge_one(self, number: int) -> None:
        """Acknowledge a single delivery, out of order."""
        if self._channel is None or number <= self._channel_began:
            return
        try:
            self._channel.basic_ack(number - self._channel_began)
        except (AMQPError, OSError) as error:
            self._lose(_words(error))
            return
        self._alone.add(number)
        while self._acknowledged + 1 in self._alone:
            self._acknowledged += 1
            self._alone.remove(self._acknowledged)

    def hand_back(self) -> None:
        """Close the channel: the broker requeues every unacknowledged delivery."""
        self._disconnect()

    def wake(self) -> None:
        """Make a waiting `fetch` return."""
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(AMQPError):
                connection.add_callback_threadsafe(lambda: None)

    def close(self) -> None:
        """Close the connection; sent acknowledgements are flushed first."""
        self._disconnect()

    def _check_channel(self) -> None:
        if self._channel is None or self._channel.is_closed:
            self._lose("the broker closed the channel")
        elif self._cancelled:
            self._lose(f"the broker ended the subscription to {self._cancelled}; was it deleted?")

    def _look(self) -> None:
        """Subscribe anew where a queue has messages ready and gives none from look to look.

        Seen once on RabbitMQ 3.10.8, after queues of the same names had been deleted and
        declared again. A consumer with all its prefetch unacknowledged is rightly given none,
        and so is one that waits for its turn: that is doubted only after a minute in which
        the queue did not get shorter.
        """
        self._look_at = time.monotonic() + _LOOK_EVERY_S
        if self._channel is None or self._unacknowledged >= self._prefetch_count:
            self._looks = {}
            return
        for queue in self._queues:
            delivered = self._delivered[queue]
            ready = self._channel.queue_declare(queue, passive=True).method.message_count
            before = self._looks.get(queue)
            if not ready or delivered != self._delivered[queue]:
                self._looks.pop(queue, None)
            elif before is None or before.delivered != delivered or ready < before.ready:
                self._looks[queue] = _Look(delivered, ready, 1)
            else:
                self._looks[queue] = _Look(delivered, ready, before.times + 1)
                is_waiting = self._single_active and not delivered
                if before.times >= (_PATIENT_LOOKS if is_waiting else 1):
                    self._stalls += 1
                    self._lose(f"{queue} has {ready} messages and delivers none")
                    return

    @property
    def _unacknowledged(self) -> int:
        return self._number - self._acknowledged - len(self._alone)

    def _wait_and_connect(self, timeout_s: float) -> None:
        wait_s = min(timeout_s, max(0.0, self._retry_at - time.monotonic()))
        if wait_s > 0:
            time.sleep(wait_s)
        if time.monotonic() >= self._retry_at:
            self._connect()

    def _connect(self) -> None:
        self._cancelled, self._looks = "", {}
        self._alone.clear()
        self._look_at = time.monotonic() + _LOOK_EVERY_S
        try:
            # Kept at once: what fails below must close it, or it would go on consuming.
            self._connection = BlockingConnection(
                connection_parameters(self._url, self._name), _impl_class=delivering(self._take)
            )
            channel = self._connection.channel()
            channel.basic_qos(prefetch_count=self._prefetch_count)
            channel.add_on_cancel_callback(self._on_cancel)
            self._channel_began = self._acknowledged = self._number
            self._delivered = dict.fromkeys(self._queues, 0)
            for queue in self._queues:
                # The tag names the queue, so that a delivery and a cancellation tell whose they are.
                channel.basic_consume(queue, _not_called, consumer_tag=queue)
        except (AMQPError, OSError) as error:
            self._lose(_words(error))
            return
        self._channel = channel
        self._connections += 1
        self._backoff.reset()
        if self._fault:
            log.info("consuming again", queues=self._queues)
        self._fault = ""

    def _take(
        self,
        consumer_tag: str,
        _delivery_tag: int,
        redelivered: bool,
        exchange: str,
        routing_key: bytes,
        body: bytes,
    ) -> None:
        if self._connection is None:
            return  # It is being closed: the broker hands this over again.
        if not self._arrived:
            self.wake()
        self._number += 1
        self._delivered[consumer_tag] += 1
        key = routing_key.decode("utf-8", "backslashreplace")
        origin = _ORIGINS.get(exchange, Origin.DEVICE)
        self._arrived.append(Delivery(self._number, key, body, redelivered, origin))

    def _on_cancel(self, method: Frame) -> None:
        self._cancelled = method.method.consumer_tag

    def _lose(self, words: str) -> None:
        self._disconnect()
        wait_s = self._backoff.next_s()
        self._retry_at = time.monotonic() + wait_s
        text = f"no deliveries from {self._place()}: {words}; is the broker up, is the topology declared?"
        if text != self._fault:
            self._fault = text
            log.warning("source lost, trying again", reason=text)

    def _disconnect(self) -> None:
        """Leave the connection; what was not handed over will come again under the same numbers."""
        self._number -= len(self._arrived)
        self._arrived = []
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(AMQPError, OSError):
                connection.close()

    def _place(self) -> str:
        parameters = pika.URLParameters(self._url)
        return f"RabbitMQ at {parameters.host}:{parameters.port}"


def _not_called(*_: object) -> None:
    """Deliveries go to `_take`; pika asks for somebody all the same."""


def _words(error: Exception) -> str:
    """What went wrong in one line; pika hides the cause in nested reprs."""
    return str(error) or repr(error) or type(error).__name__
