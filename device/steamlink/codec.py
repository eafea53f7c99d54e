"""Every message of the contract to UTF-8 JSON bytes, commands and topics back: all in one place.

A device does without this file: it loads `orders` only when a command comes.
"""

from . import contract
from .messages import encode_birth, encode_data, encode_diag, encode_event, encode_state
from .orders import Command, decode_cmd, encode_ack, encode_cmd

ENCODERS = {
    "birth": encode_birth,
    "state": encode_state,
    "data": encode_data,
    "hist": encode_data,
    "event": encode_event,
    "diag": encode_diag,
    "cmd": encode_cmd,
    "ack": encode_ack,
}

__all__ = (
    "ENCODERS",
    "Command",
    "decode_cmd",
    "encode_ack",
    "encode_birth",
    "encode_cmd",
    "encode_data",
    "encode_diag",
    "encode_event",
    "encode_state",
    "parse_topic",
    "routing_key",
)


def parse_topic(text: str) -> tuple[str, str, str]:
    """Split a topic into (site, device, kind); ValueError for anything outside the grammar."""
    parts = text.split("/")
    if len(parts) != 5 or not text.startswith(contract.PREFIX + "/"):  # noqa: PLR2004 - the grammar's levels
        raise ValueError("topic {!r} is not steam/v1/<site>/<device>/<kind>".format(text[:200]))
    contract.topic(parts[2], parts[3], parts[4])
    return parts[2], parts[3], parts[4]


def routing_key(text: str) -> str:
    """The AMQP routing key that RabbitMQ gives a topic of the contract: dots for slashes."""
    parse_topic(text)
    return text.replace("/", ".")
