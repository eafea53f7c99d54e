"""Compares what a broker has with the topology that a plant needs, in words for people."""

import re
from collections.abc import Iterator
from enum import StrEnum

import msgspec

from bridge.topics import PREFIX, Kind
from bridge.topology import (
    MQTT_EXCHANGE,
    Argument,
    Binding,
    Policy,
    QueueName,
    Topology,
)


class Difference(StrEnum):
    """How the broker differs from what it should have."""

    MISSING = "missing"
    EXTRA = "extra"
    DIFFERENT = "different"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One difference, a sentence that says what it means, and whether it was put right."""

    difference: Difference
    what: str
    name: str
    text: str
    repaired: bool = False

    def __str__(self) -> str:
        return f"{self.text} {'Repaired.' if self.repaired else ''}".rstrip()


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a broker has: types by exchange, arguments by queue, bindings, policies by name.

    `exchange_bindings` lead to another exchange, named in `queue`.
    """

    exchanges: dict[str, str]
    queues: dict[str, dict[str, Argument]]
    bindings: frozenset[Binding]
    exchange_bindings: frozenset[Binding] = frozenset()
    policies: dict[str, Policy]


def compare(wanted: Topology, found: Found) -> list[Finding]:
    """Every difference that matters between `wanted` and `found`, worst kind first."""
    return [
        *_exchange_findings(wanted, found),
        *_queue_findings(wanted, found),
        *_policy_findings(wanted, found),
        *_missing_binding_findings(wanted, found),
        *_extra_binding_findings(wanted, found),
        *_listener_findings(wanted, found),
    ]


def missing(wanted: Topology, found: Found) -> Topology:
    """The part of `wanted` that has to be declared for the broker to have all of it."""
    return Topology(
        exchanges=tuple(e for e in wanted.exchanges if e.name not in found.exchanges),
        queues=tuple(q for q in wanted.queues if q.name not in found.queues),
        bindings=tuple(b for b in wanted.bindings if b not in found.bindings),
        policies=tuple(p for p in wanted.policies if found.policies.get(p.name) != p),
    )


def surplus(wanted: Topology, found: Found) -> tuple[Binding, ...]:
    """Bindings to our queues that the plant does not ask for."""
    own = {queue.name for queue in wanted.queues}
    extra = found.bindings - frozenset(wanted.bindings)
    return tuple(sorted(binding for binding in extra if binding.queue in own))


def overlap(one: str, other: str) -> bool:
    """Tell whether some routing key matches both binding keys (`*` a word, `#` any words)."""
    return _overlap(tuple(one.split(".")), tuple(other.split(".")))


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """A row of the table of pairs of suffixes at a time, so that `#.#.#...` costs no more."""
    below = [False] * (len(other) + 1)
    for i in range(len(one), -1, -1):
        row = [False] * (len(other) + 1)
        for j in range(len(other), -1, -1):
            if i == len(one) and j == len(other):
                row[j] = True
            elif i < len(one) and one[i] == "#":
                row[j] = below[j] or (j < len(other) and row[j + 1])
            elif j < len(other) and other[j] == "#":
                row[j] = row[j + 1] or (i < len(one) and below[j])
            elif i < len(one) and j < len(other):
                row[j] = (one[i] == other[j] or "*" in (one[i], other[j])) and below[j + 1]
        below = row
    return below[0]


_TELEMETRY = tuple(
    f"{PREFIX.replace('/', '.')}.*.*.{kind.value}" for kind in Kind if kind is not Kind.CMD
)


def _takes_telemetry(binding_key: str) -> bool:
    return any(overlap(binding_key, key) for key in _TELEMETRY)


def _exchange_findings(wanted: Topology, found: Found) -> Iterator[Finding]:
    for exchange in wanted.exchanges:
        actual = found.exchanges.get(exchange.name)
        if actual is None:
            yield Finding(
                difference=Difference.MISSING,
                what="exchange",
                name=exchange.name,
                text=f"The exchange {exchange.name} did not exist.",
            )
        elif actual != exchange.type:
            yield Finding(
                difference=Difference.DIFFERENT,
                what="exchange",
                name=exchange.name,
                text=f"The exchange {exchange.name} is of type {actual}, not {exchange.type}; "
                "delete it and declare the topology again.",
            )


def _queue_findings(wanted: Topology, found: Found) -> Iterator[Finding]:
    for queue in wanted.queues:
        actual = found.queues.get(queue.name)
        if actual is None:
            yield Finding(
                difference=Difference.MISSING,
                what="queue",
                name=queue.name,
                text=f"The queue {queue.name} did not exist.",
            )
        elif actual != queue.arguments:
            yield Finding(
                difference=Difference.DIFFERENT,
                what="queue",
                name=queue.name,
                text=f"The queue {queue.name} has {_listed(actual)}, not {_listed(queue.arguments)}, "
                "and that cannot be changed while it lives: let the processors empty it, delete it, "
                "then declare the topology again.",
            )


def _policy_findings(wanted: Topology, found: Found) -> Iterator[Finding]:
    for policy in wanted.policies:
        actual = found.policies.get(policy.name)
        if actual is None or actual != policy:
            yield Finding(
                difference=Difference.MISSING if actual is None else Difference.DIFFERENT,
                what="policy",
                name=policy.name,
                text=f"The policy {policy.name} "
                + (
                    "did not exist."
                    if actual is None
                    else f"said {_listed(actual.definition)} for {actual.pattern}."
                ),
            )
    own = {policy.name for policy in wanted.policies}
    names = {
        "queues": [queue.name for queue in wanted.queues],
        "exchanges": [MQTT_EXCHANGE],
    }
    for other in found.policies.values():
        if other.name not in own:
            yield from _shadow_findings(other, names, wanted.policies)


def _shadow_findings(
    other: Policy, names: dict[str, list[str]], policies: tuple[Policy, ...]
) -> Iterator[Finding]:
    """RabbitMQ applies one policy to a name: the one of the highest priority."""
    kinds = ["exchanges"] if other.apply_to == "exchanges" else ["queues"]
    for kind in ["exchanges", "queues"] if other.apply_to == "all" else kinds:
        for name in names[kind]:
            ours = [p for p in policies if p.apply_to == kind and re.search(p.pattern, name)]
            if ours and _matches(other.pattern, name) and other.priority >= ours[0].priority:
                yield Finding(
                    difference=Difference.EXTRA,
                    what="policy",
                    name=other.name,
                    text=f"The policy {other.name} (priority {other.priority}) holds for {name} instead "
                    f"of {ours[0].name}, because only the one of the highest priority does; give it a "
                    f"priority below {ours[0].priority} or a pattern that leaves {name} out.",
                )


def _matches(pattern: str, name: str) -> bool:
    """Whether a stranger's pattern matches; one that Python cannot read counts as matching."""
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return True


def _missing_binding_findings(wanted: Topology, found: Found) -> Iterator[Finding]:
    for binding in wanted.bindings:
        if binding not in found.bindings:
            yield Finding(
                difference=Difference.MISSING,
                what="binding",
                name=_binding_name(binding),
                text=f"{binding.queue} got nothing of {binding.binding_key or 'all'} from "
                f"{binding.exchange}: the binding was missing.",
            )


def _extra_binding_findings(wanted: Topology, found: Found) -> Iterator[Finding]:
    for binding in surplus(wanted, found):
        yield Finding(
            difference=Difference.EXTRA,
            what="binding",
            name=_binding_name(binding),
            text=f"{binding.queue} takes {binding.binding_key or 'all'} from {binding.exchange}, which "
            "plant.yaml does not ask for; register the device, or remove the binding with "
            "`steam topology audit --prune`.",
        )


def _listener_findings(wanted: Topology, found: Found) -> Iterator[Finding]:
    own = {queue.name for queue in wanted.queues}
    for kind, bindings in (("queue", found.bindings), ("exchange", found.exchange_bindings)):
        for binding in sorted(bindings):
            if binding.exchange != MQTT_EXCHANGE or (kind == "queue" and binding.queue in own):
                continue
            if _takes_telemetry(binding.binding_key):
                yield Finding(
                    difference=Difference.EXTRA,
                    what="binding",
                    name=_binding_name(binding),
                    text=f"The {kind} {binding.queue} listens to telemetry ({binding.binding_key}) on "
                    f"{MQTT_EXCHANGE}: what an unknown device sends then counts as delivered and is "
                    f"not kept in {QueueName.UNROUTED}. Remove that binding; live values are on "
                    "steam.live.",
                )


def _binding_name(binding: Binding) -> str:
    return f"{binding.exchange} -> {binding.queue} ({binding.binding_key})"


def _listed(arguments: dict[str, Argument]) -> str:
    return ", ".join(f"{key} {value}" for key, value in sorted(arguments.items())) or "no arguments"
