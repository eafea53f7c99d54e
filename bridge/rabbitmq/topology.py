"""Keeps a RabbitMQ broker as the plant's topology asks: declares, audits, repairs."""

from collections.abc import Callable
from typing import Any

import msgspec
from pika.adapters.blocking_connection import BlockingChannel

from bridge.audit import Finding, Found, compare, missing, surplus
from bridge.broker import BrokerRefused
from bridge.rabbitmq.declare import amqp_channel, bind, declare, unbind
from bridge.rabbitmq.management import Management
from bridge.topology import Binding, Policy, Topology, device_bindings


class QueueDepth(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages a queue holds, unacknowledged ones included, and the bytes of their bodies."""

    queue: str
    messages: int
    bytes: int


class RabbitTopology:
    """The exchanges, queues, bindings and policies of one virtual host.

    Every method opens a connection of its own and closes it, and raises BrokerUnavailable,
    BrokerRefused or TopologyConflict. Nothing is shared: safe from any thread.
    """

    def __init__(self, amqp_url: str, management: Management) -> None:
        self._amqp_url = amqp_url
        self._management = management

    def declare(self, topology: Topology) -> None:
        """Declare everything; what is there already stays."""
        with amqp_channel(self._amqp_url) as channel:
            declare(channel, self._management, topology)

    def audit(
        self, topology: Topology, *, repair: bool = True, prune: bool = False
    ) -> list[Finding]:
        """Compare the broker with `topology`, put right what can be, tell everything.

        Only what is missing is declared again, so a minute without a finding costs the broker
        four listings. `prune` also removes bindings to our queues that `topology` does not
        ask for; a service whose plant.yaml may be older than another's leaves them.
        """
        found = self.found()
        findings = compare(topology, found)
        if not findings or not (repair or prune):
            return findings
        with amqp_channel(self._amqp_url) as channel:
            if repair:
                declare(channel, self._management, missing(topology, found))
            if prune:
                unbind(channel, surplus(topology, found))
        left = {(finding.difference, finding.name) for finding in compare(topology, self.found())}
        return [
            msgspec.structs.replace(
                finding, repaired=(finding.difference, finding.name) not in left
            )
            for finding in findings
        ]

    def found(self) -> Found:
        """What the broker has now."""
        vhost = self._management.vhost
        bindings = self._listed("bindings", "source,destination,destination_type,routing_key")
        return Found(
            exchanges={
                entry["name"]: entry["type"] for entry in self._listed("exchanges", "name,type")
            },
            queues={
                entry["name"]: entry["arguments"]
                for entry in self._listed("queues", "name,arguments")
            },
            bindings=_bindings(bindings, "queue"),
            exchange_bindings=_bindings(bindings, "exchange"),
            policies={
                entry["name"]: _policy(entry)
                for entry in self._management.get("policies", vhost) or []
            },
        )

    def depths(self) -> list[QueueDepth]:
        """How full each queue of the virtual host is, as of the broker's last statistics (5 s)."""
        listed = self._listed("queues", "name,messages,message_bytes")
        return [
            QueueDepth(
                queue=entry["name"],
                messages=entry.get("messages", 0),
                bytes=entry.get("message_bytes", 0),
            )
            for entry in listed
        ]

    def bind_device(self, site: str, device: str) -> None:
        """Let the messages of one device reach their queues."""
        self._with_channel(bind, device_bindings(site, device))

    def unbind_device(self, site: str, device: str) -> None:
        """Send the messages of one device to steam.unrouted from now on."""
        self._with_channel(unbind, device_bindings(site, device))

    def _with_channel(
        self,
        act: Callable[[BlockingChannel, tuple[Binding, ...]], None],
        bindings: tuple[Binding, ...],
    ) -> None:
        with amqp_channel(self._amqp_url) as channel:
            act(channel, bindings)

    def _listed(self, kind: str, columns: str) -> list[dict[str, Any]]:
        vhost = self._management.vhost
        listed = self._management.get(kind, vhost, query={"columns": columns})
        if listed is None:
            raise BrokerRefused(f"RabbitMQ has no virtual host {vhost!r}; make it or name another")
        return list(listed)


def _bindings(entries: list[dict[str, Any]], destination_type: str) -> frozenset[Binding]:
    """The bindings to one type of destination, without the default exchange's own."""
    return frozenset(
        Binding(
            exchange=entry["source"],
            queue=entry["destination"],
            binding_key=entry["routing_key"],
        )
        for entry in entries
        if entry["destination_type"] == destination_type and entry["source"]
    )


def _policy(entry: dict[str, Any]) -> Policy:
    return Policy(
        name=entry["name"],
        pattern=entry["pattern"],
        apply_to=entry["apply-to"],
        priority=entry["priority"],
        definition=entry["definition"],
    )
