"""Live values and commands over RabbitMQ's exchanges steam.live and steam.commands."""

import random
import threading
from typing import Self

import msgspec
import pika
import structlog
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError, NackError, UnroutableError
from pika.spec import Basic, BasicProperties

from bridge.live import AcknowledgeAlarm, decode_live, encode_command
from bridge.topology import COMMANDS_EXCHANGE, LIVE_EXCHANGE
from panel_app.data.commands import CommandFailed
from panel_app.data.hub import LiveHub

log = structlog.get_logger(__name__)

ACKNOWLEDGE_KEY = "acknowledge"
FEED_NAME = "steam dashboard"
"""What RabbitMQ's management shows the feed's connection as."""

LONGEST_WAIT_S = 30.0
# The queue is the session's own; a dashboard that cannot keep up loses old values, not memory.
QUEUE_ARGUMENTS = {"x-max-length": 200, "x-overflow": "drop-head"}


class AmqpLive:
    """LiveFeed and Commands on RabbitMQ; `url` is amqp(s)://user:password@host:port/vhost."""

    def __init__(self, hub: LiveHub, url: str, *, binding_key: str = "#") -> None:
        self._hub = hub
        self._url = url
        self._binding_key = binding_key
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._bad = False
        self._cancelled = False

    def open(self) -> None:
        """Begin to connect; live values come into the hub from a thread of its own."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="live-amqp", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Disconnect; returns when the thread has ended."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10)
            self._thread = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def acknowledge(self, command: AcknowledgeAlarm) -> None:
        """Publish the command, mandatory and confirmed; raises CommandFailed.

        It takes a connection of its own: acknowledgements are rare, and the feed's
        connection belongs to the feed's thread.
        """
        parameters = self._parameters()
        parameters.blocked_connection_timeout = 5
        try:
            with pika.BlockingConnection(parameters) as connection:
                channel = connection.channel()
                channel.confirm_delivery()
                channel.basic_publish(
                    COMMANDS_EXCHANGE,
                    ACKNOWLEDGE_KEY,
                    encode_command(command),
                    BasicProperties(
                        content_type="application/json", delivery_mode=2, message_id=command.id
                    ),
                    mandatory=True,
                )
        except UnroutableError:
            text = f"no queue is bound to {COMMANDS_EXCHANGE}; run `steam topology declare`"
            raise CommandFailed(text) from None
        except NackError:
            raise CommandFailed("RabbitMQ refused the command (queue full?)") from None
        except (AMQPError, OSError) as error:
            text = f"cannot reach RabbitMQ at {self._address(parameters)}: {_words(error)}"
            raise CommandFailed(text) from None

    def _parameters(self) -> pika.URLParameters:
        parameters = pika.URLParameters(self._url)
        parameters.socket_timeout = 5
        parameters.stack_timeout = 10
        parameters.connection_attempts = 1
        if parameters.heartbeat is None:
            parameters.heartbeat = 20
        return parameters

    def _run(self) -> None:
        wait_s, said = 1.0, ""
        while not self._stop.is_set():
            parameters = self._parameters()
            parameters.client_properties = {"connection_name": FEED_NAME}
            address = self._address(parameters)
            try:
                with pika.BlockingConnection(parameters) as connection:
                    self._subscribe(connection.channel())
                    log.info("live feed connected", broker=address)
                    self._hub.link(connected=True, address=address)
                    wait_s, said = 1.0, ""
                    while not self._stop.is_set() and not self._cancelled:
                        connection.process_data_events(time_limit=0.2)
            except (AMQPError, OSError) as error:
                if _words(error) != said:
                    said = _words(error)
                    log.warning("live feed lost", broker=address, reason=said)
            self._hub.link(connected=False, address=address)
            self._stop.wait(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    def _subscribe(self, channel: BlockingChannel) -> None:
        declared = channel.queue_declare(
            "", exclusive=True, auto_delete=True, arguments=QUEUE_ARGUMENTS
        )
        queue = declared.method.queue
        self._cancelled = False
        channel.add_on_cancel_callback(self._on_cancel)
        channel.queue_bind(queue, LIVE_EXCHANGE, self._binding_key)
        channel.basic_consume(queue, self._on_message, auto_ack=True)

    def _on_cancel(self, _frame: object) -> None:
        """RabbitMQ ended the subscription (its queue was deleted): begin anew."""
        self._cancelled = True

    def _on_message(
        self,
        _channel: BlockingChannel,
        method: Basic.Deliver,
        _properties: BasicProperties,
        body: bytes,
    ) -> None:
        try:
            live = decode_live(body)
        except msgspec.MsgspecError as error:
            if not self._bad:
                log.warning("unreadable live values", key=method.routing_key, error=str(error))
            self._bad = True
            return
        self._bad = False
        self._hub.put(live)

    @staticmethod
    def _address(parameters: pika.URLParameters) -> str:
        return f"{parameters.host}:{parameters.port}"


def _words(error: Exception) -> str:
    """What an AMQP or socket error says; pika's often print as nothing."""
    return str(error) or type(error).__name__
