"""Commands to a device through RabbitMQ, sent where its MQTT subscription is bound."""

import time

import msgspec
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import NackError, UnroutableError

from bridge.broker import BrokerRefused
from bridge.device_commands import ack_of
from bridge.messages import Ack, Cmd
from bridge.rabbitmq.declare import amqp_channel
from bridge.topics import Kind, Topic
from bridge.topology import MQTT_EXCHANGE

_ATTEMPTS = 3
_PAUSE_S = 0.5


class RabbitLine:
    """A line to one registered device; implements DeviceLine. The account is steam-desk's.

    The answer is copied to a queue of this connection's own, which ends with it. An
    unregistered device has no line: that queue would make its answers look routed, and they
    would be missing in quarantine.
    """

    def __init__(self, amqp_url: str, site: str, device: str) -> None:
        self._amqp_url = amqp_url
        self._site = site
        self._device = device

    def ask(self, cmd: Cmd, wait_s: float) -> Ack | None:
        """Send a command and wait for its answer; bound first, so that none is missed."""
        with amqp_channel(self._amqp_url) as channel:
            queue: str = channel.queue_declare("", exclusive=True).method.queue
            channel.queue_bind(queue, MQTT_EXCHANGE, self._key(Kind.ACK))
            self._send(channel, cmd)
            return _awaited(channel, queue, cmd, wait_s)

    def _send(self, channel: BlockingChannel, cmd: Cmd) -> None:
        """Publish; again after a nack, which also a device causes whose queue goes as it leaves.

        One that gets the command twice knows it by its id.
        """
        channel.confirm_delivery()
        body = msgspec.json.encode(cmd)
        for _ in range(_ATTEMPTS):
            try:
                channel.basic_publish(MQTT_EXCHANGE, self._key(Kind.CMD), body, mandatory=True)
            except UnroutableError:
                raise BrokerRefused(
                    f"no queue is bound for {self._device}: run `steam topology declare`"
                ) from None
            except NackError:
                channel.connection.sleep(_PAUSE_S)
            else:
                return
        raise BrokerRefused(
            f"RabbitMQ did not take the command for {self._device}: a queue is full; "
            "`steam doctor` says which"
        )

    def _key(self, kind: Kind) -> str:
        return Topic(self._site, self._device, kind).routing_key


def _awaited(channel: BlockingChannel, queue: str, cmd: Cmd, wait_s: float) -> Ack | None:
    deadline = time.monotonic() + wait_s
    while (left_s := deadline - time.monotonic()) > 0:
        for method, _properties, body in channel.consume(
            queue, auto_ack=True, inactivity_timeout=left_s
        ):
            ack = ack_of(body, cmd) if method is not None else None
            if ack is not None:
                return ack
            break
    return None
