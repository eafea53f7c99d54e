"""Declares a topology in RabbitMQ: exchanges, queues and bindings by AMQP, policies by HTTP."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import (
    AMQPError,
    ChannelClosedByBroker,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
)

from bridge.broker import BrokerRefused, BrokerUnavailable, TopologyConflict
from bridge.rabbitmq.management import Management
from bridge.topology import Binding, Policy, Queue, Topology

_ACCESS_REFUSED, _NOT_FOUND, _PRECONDITION_FAILED = 403, 404, 406


@contextmanager
def amqp_channel(amqp_url: str) -> Iterator[BlockingChannel]:
    """A channel on a connection of its own, closed at the end.

    Raises BrokerUnavailable, BrokerRefused or TopologyConflict instead of pika's errors,
    also for what happens inside the block.
    """
    parameters = pika.URLParameters(amqp_url)
    where = f"RabbitMQ at {parameters.host}:{parameters.port} (virtual host {parameters.virtual_host!r})"
    try:
        connection = pika.BlockingConnection(parameters)
        try:
            yield connection.channel()
        finally:
            if connection.is_open:
                connection.close()
    except (ProbableAuthenticationError, ProbableAccessDeniedError) as error:
        raise BrokerRefused(
            f"{where} refused the account {parameters.credentials.username!r}: {error}; "
            "check its password and its permissions on the virtual host"
        ) from None
    except ChannelClosedByBroker as error:
        raise _explained(error, where) from None
    except (AMQPError, OSError) as error:
        raise BrokerUnavailable(
            f"cannot work with {where}: {_words(error)}; is the broker up, is the address right?"
        ) from None


def _words(error: BaseException) -> str:
    """What went wrong; pika wraps a refused connection in errors without words."""
    inner = error.args[0] if error.args else None
    cause = getattr(inner, "exception", None)
    return str(cause or error) or type(error).__name__


def _explained(error: ChannelClosedByBroker, where: str) -> BrokerRefused:
    text = error.reply_text
    if error.reply_code == _PRECONDITION_FAILED:
        return TopologyConflict(
            f"{where}: {text}. What exists has other properties, and they cannot be changed while it "
            "lives: let the processors empty the queue, delete it (rabbitmqctl delete_queue NAME), "
            "then declare the topology again"
        )
    if error.reply_code == _ACCESS_REFUSED:
        return BrokerRefused(f"{where}: {text}; give the account that permission")
    return BrokerRefused(f"{where} refused ({error.reply_code}): {text}")


def declare(channel: BlockingChannel, management: Management, topology: Topology) -> None:
    """Declare a topology, in the order in which nothing can be lost; again is harmless.

    Device bindings come last: until they are there, and once the policies are, a message
    waits in steam.unrouted. Measured on 3.10.8 with 3,000 bindings: 5 s the first time,
    2 s again (nowait 4.2 s, an upload of definitions 3.6 s, but only as administrator).
    """
    for exchange in topology.exchanges:
        channel.exchange_declare(exchange.name, exchange_type=exchange.type, durable=True)
    for queue in topology.queues:
        declare_queue(channel, queue)
    set_policies(management, topology.policies)
    bind(channel, topology.bindings)


def declare_queue(channel: BlockingChannel, queue: Queue) -> None:
    """Declare one queue; one that exists with other arguments closes the channel."""
    channel.queue_declare(queue.name, durable=True, arguments=queue.arguments)


def bind(channel: BlockingChannel, bindings: Iterable[Binding]) -> None:
    """Bind queues to exchanges; a binding that exists stays."""
    for binding in bindings:
        channel.queue_bind(binding.queue, binding.exchange, binding.binding_key)


def unbind(channel: BlockingChannel, bindings: Iterable[Binding]) -> None:
    """Remove bindings; one that does not exist is fine."""
    for binding in bindings:
        channel.queue_unbind(binding.queue, binding.exchange, binding.binding_key)


def set_policies(management: Management, policies: Iterable[Policy]) -> None:
    """Make or replace policies."""
    for policy in policies:
        body = {
            "pattern": policy.pattern,
            "apply-to": policy.apply_to,
            "priority": policy.priority,
            "definition": policy.definition,
        }
        management.put("policies", management.vhost, policy.name, body=body)
