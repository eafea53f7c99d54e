"""The topic grammar `steam/v1/<site>/<device>/<kind>` and its AMQP routing key."""

import re
from enum import StrEnum
from functools import lru_cache

import msgspec

NAME_PATTERN = r"[a-z0-9][a-z0-9_-]{0,31}"
_NAME = re.compile(NAME_PATTERN)
_ROUTING_KEY = re.compile(
    rf"steam\.v1\.({NAME_PATTERN})\.({NAME_PATTERN})\.(birth|state|data|hist|event|diag|cmd|ack)"
)
PREFIX = "steam/v1"


class Kind(StrEnum):
    """What a message is: the last level of its topic."""

    BIRTH = "birth"
    STATE = "state"
    DATA = "data"
    HIST = "hist"
    EVENT = "event"
    DIAG = "diag"
    CMD = "cmd"
    ACK = "ack"


class BadTopic(ValueError):
    """A topic or routing key is outside the grammar."""


class Topic(msgspec.Struct, frozen=True):
    """A parsed topic: who sent what kind of message."""

    site: str
    device: str
    kind: Kind

    @property
    def mqtt(self) -> str:
        """The topic as MQTT writes it, with slashes."""
        return f"{PREFIX}/{self.site}/{self.device}/{self.kind.value}"

    @property
    def routing_key(self) -> str:
        """The topic as AMQP writes it, with dots."""
        return f"steam.v1.{self.site}.{self.device}.{self.kind.value}"


def is_name(text: str) -> bool:
    """Tell whether `text` may name a site, a boiler or a device."""
    return _NAME.fullmatch(text) is not None


@lru_cache(maxsize=16_384)
def parse_routing_key(routing_key: str) -> Topic:
    """Parse `steam.v1.<site>.<device>.<kind>`; raises BadTopic for anything else."""
    match = _ROUTING_KEY.fullmatch(routing_key)
    if match is None:
        message = (
            f"routing key {routing_key[:200]!r} is not steam.v1.<site>.<device>.<kind>; "
            "names are a-z, 0-9, _ and -, at most 32 characters"
        )
        raise BadTopic(message)
    site, device, kind = match.groups()
    return Topic(site, device, Kind(kind))


def routing_key_of(topic: str) -> str:
    """Turn an MQTT topic into the routing key RabbitMQ's MQTT plugin would give it.

    A dot inside a level would cross the border between levels, so such a topic is
    returned with its slashes: it then fails `parse_routing_key` and is quarantined.
    """
    return topic if "." in topic else topic.replace("/", ".")


def device_binding_key(site: str, device: str) -> str:
    """The AMQP binding key that matches every kind of message of one device."""
    return f"steam.v1.{site}.{device}.*"


def telemetry_filter() -> str:
    """The MQTT topic filter of everything that devices send."""
    return f"{PREFIX}/+/+/+"


def command_topic(site: str, device: str) -> str:
    """The MQTT topic on which one device takes commands."""
    return Topic(site, device, Kind.CMD).mqtt
