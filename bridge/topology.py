"""Exchanges, queues, bindings and policies of RabbitMQ as data, for a given plant.

What cannot be changed on a living queue (its type, single active consumer) is a queue
argument; everything else is a policy. Each queue has a policy of its own with the
queue's name, so that what holds for a queue is read in one place.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

import msgspec

from bridge.plant import Plant
from bridge.topics import device_binding_key

MQTT_EXCHANGE = "amq.topic"
"""Where RabbitMQ's MQTT plugin publishes (`mqtt.exchange`)."""

LIVE_EXCHANGE = "steam.live"
COMMANDS_EXCHANGE = "steam.commands"
UNROUTED_EXCHANGE = "steam.unrouted"
DEAD_EXCHANGE = "steam.dead"

DELIVERY_LIMIT = 1_000_000
"""How often a message may come back before it is dead-lettered: as good as never.

RabbitMQ ≥ 4.0 has a default of 20 and counts a whole prefetch window for each crash of a
consumer, so innocent messages would go. 3.10 has no default and takes no -1
(measured: "-1 is not a valid delivery limit"), so one high number serves both.
"""

POLICY_PRIORITY = 100


class QueueName(StrEnum):
    """The queues of Steam."""

    RECORD = "steam.record"
    EVALUATE = "steam.evaluate"
    UNROUTED = "steam.unrouted"
    RESULTS = "steam.results"
    ALARMS = "steam.alarms"
    QUARANTINE = "steam.quarantine"
    DEAD = "steam.dead"


MiB = 1024 * 1024
MAX_BYTES: Mapping[QueueName, int] = {
    QueueName.RECORD: 2048 * MiB,
    QueueName.EVALUATE: 2048 * MiB,
    QueueName.UNROUTED: 256 * MiB,
    QueueName.RESULTS: 256 * MiB,
    QueueName.ALARMS: 64 * MiB,
    QueueName.QUARANTINE: 1024 * MiB,
    QueueName.DEAD: 1024 * MiB,
}
"""The most that each queue holds, in bytes of message bodies; then publishers are refused."""

_SINGLE_ACTIVE_CONSUMER = {QueueName.EVALUATE, QueueName.ALARMS}
_DEAD_LETTERING = {
    QueueName.RECORD,
    QueueName.EVALUATE,
    QueueName.RESULTS,
}

Argument = str | int | bool


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A durable exchange."""

    name: str
    type: Literal["topic", "direct", "fanout"]


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A durable quorum queue."""

    name: str
    single_active_consumer: bool = False

    @property
    def arguments(self) -> dict[str, Argument]:
        """The queue's arguments: what can never be changed while the queue lives."""
        arguments: dict[str, Argument] = {"x-queue-type": "quorum"}
        if self.single_active_consumer:
            arguments["x-single-active-consumer"] = True
        return arguments


class Binding(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """From an exchange to a queue, for the routing keys that `binding_key` matches."""

    exchange: str
    queue: str
    binding_key: str


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for the names that `pattern` matches; `apply_to` is queues, exchanges or all."""

    name: str
    pattern: str
    apply_to: str
    definition: dict[str, Argument]
    priority: int = POLICY_PRIORITY


class Topology(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that must exist in the broker for a plant."""

    exchanges: tuple[Exchange, ...] = ()
    queues: tuple[Queue, ...] = ()
    bindings: tuple[Binding, ...] = ()
    policies: tuple[Policy, ...] = ()


def topology(plant: Plant, max_bytes: Mapping[QueueName, int] = MAX_BYTES) -> Topology:
    """The topology of a plant.

    A device's binding key `steam.v1.<site>.<device>.*` also matches its `cmd`, so what the
    processor sends to a device reaches steam.record and steam.evaluate too. That is
    meant: two bindings a device instead of fourteen, and a command to an absent device
    is not taken for a message of an unknown one. Consumers acknowledge kind `cmd`
    and store nothing.
    """
    return Topology(
        exchanges=(
            Exchange(name=LIVE_EXCHANGE, type="topic"),
            Exchange(name=COMMANDS_EXCHANGE, type="topic"),
            Exchange(name=UNROUTED_EXCHANGE, type="fanout"),
            Exchange(name=DEAD_EXCHANGE, type="fanout"),
        ),
        queues=tuple(
            Queue(name=name.value, single_active_consumer=name in _SINGLE_ACTIVE_CONSUMER)
            for name in QueueName
        ),
        bindings=(*_own_bindings(), *_plant_bindings(plant)),
        policies=(
            *(_queue_policy(name, max_bytes[name]) for name in QueueName),
            _alternate_exchange_policy(),
            _subscription_policy(),
        ),
    )


def device_bindings(site: str, device: str) -> tuple[Binding, Binding]:
    """The two bindings by which a registered device's messages reach their queues."""
    key = device_binding_key(site, device)
    return (
        Binding(exchange=MQTT_EXCHANGE, queue=QueueName.RECORD.value, binding_key=key),
        Binding(exchange=MQTT_EXCHANGE, queue=QueueName.EVALUATE.value, binding_key=key),
    )


def _own_bindings() -> tuple[Binding, ...]:
    return (
        Binding(exchange=UNROUTED_EXCHANGE, queue=QueueName.UNROUTED.value, binding_key=""),
        Binding(exchange=DEAD_EXCHANGE, queue=QueueName.DEAD.value, binding_key=""),
        Binding(exchange=COMMANDS_EXCHANGE, queue=QueueName.EVALUATE.value, binding_key="#"),
    )


def _plant_bindings(plant: Plant) -> tuple[Binding, ...]:
    return tuple(
        binding
        for device in plant.file.devices
        for binding in device_bindings(device.site, device.name)
    )


def _queue_policy(name: QueueName, max_bytes: int) -> Policy:
    """Bounded, refusing the publisher when full; what a consumer rejects goes to steam.dead.

    The places where a message ends up last dead-letter nowhere, nor does steam.alarms, in which
    heartbeats that nobody took expire: those are no dead messages.
    """
    definition: dict[str, Argument] = {
        "max-length-bytes": max_bytes,
        "overflow": "reject-publish",
        "delivery-limit": DELIVERY_LIMIT,
    }
    if name in _DEAD_LETTERING:
        definition |= {
            "dead-letter-exchange": DEAD_EXCHANGE,
            "dead-letter-strategy": "at-least-once",
        }
    pattern = f"^{_literal(name.value)}$"
    return Policy(name=name.value, pattern=pattern, apply_to="queues", definition=definition)


def _alternate_exchange_policy() -> Policy:
    """What matches no binding is kept in steam.unrouted instead of being lost."""
    return Policy(
        name="steam.alternate-exchange",
        pattern=f"^{_literal(MQTT_EXCHANGE)}$",
        apply_to="exchanges",
        definition={"alternate-exchange": UNROUTED_EXCHANGE},
    )


def _subscription_policy() -> Policy:
    """The queue of a device's MQTT subscription: 1 MiB of commands, then the sender is refused."""
    return Policy(
        name="steam.mqtt-subscription",
        pattern="^mqtt-subscription-",
        apply_to="queues",
        definition={"max-length-bytes": MiB, "overflow": "reject-publish"},
    )


def _literal(name: str) -> str:
    """`name` as a regular expression of Erlang's and Python's common kind."""
    return name.replace(".", r"\.")
