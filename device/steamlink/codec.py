"""Every message of the contract to UTF-8 JSON bytes, and commands back: all of them in one place.

A device does without this file: it loads `orders` only when a command comes.
"""

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
)
