"""Commands to one device and its answers, and the port to whatever carries them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol, get_args
from uuid import uuid4

import msgspec

from bridge.clock import Clock, to_us
from bridge.messages import Ack, Cmd, Refused, decode
from bridge.topics import Kind

OPS: tuple[str, ...] = get_args(
    next(field.type for field in msgspec.structs.fields(Cmd) if field.name == "op")
)
"""What a device can be asked for."""

ANSWER_WITHIN_S = 10.0
MOST_BYTES = 8_192 - 128
"""How long a command may be: a device takes packets of 8 KiB, its topic with it."""

_LIFE_AFTER_WAITING = timedelta(seconds=5)


class DeviceFault(Exception):
    """Something with a device cannot be done; the text says why and what to do."""


class NoAnswer(DeviceFault):
    """A device said nothing within the time: it is away, or it has not heard."""


class CommandRefused(DeviceFault):
    """A device answered that it does not do what it was asked for."""


class DeviceLine(Protocol):
    """Takes a command to one device and brings back its answer."""

    def ask(self, cmd: Cmd, wait_s: float) -> Ack | None:
        """The device's answer, None where none came within `wait_s`; raises BrokerError."""


class Commander:
    """Commands one device over a line; the device refuses what reaches it too late."""

    def __init__(
        self, device: str, line: DeviceLine, clock: Clock, wait_s: float = ANSWER_WITHIN_S
    ) -> None:
        self.device = device
        self._line = line
        self._clock = clock
        self._wait_s = wait_s

    def do(self, op: str, args: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What came of a command; raises NoAnswer, CommandRefused or BrokerError."""
        wait_s = self._wait_s
        expires = self._clock() + timedelta(seconds=wait_s) + _LIFE_AFTER_WAITING
        body = {"v": 1, "id": uuid4().hex, "op": op, "exp": to_us(expires) // 1000}
        try:
            cmd = msgspec.convert(body | {"args": dict(args or {})}, Cmd)
        except msgspec.ValidationError:
            text = f"no command {op!r}; a device knows {', '.join(OPS)}"
            raise CommandRefused(text) from None
        size = len(msgspec.json.encode(cmd))
        if size > MOST_BYTES:
            raise CommandRefused(
                f"{op} of {size} bytes: a device takes {MOST_BYTES}; send less at once. "
                "Nothing was sent"
            )
        ack = self._line.ask(cmd, wait_s)
        if ack is None:
            raise NoAnswer(
                f"{self.device} did not answer within {wait_s:g} s: it is away, or its firmware "
                "does not know commands; docs/guides/device.md says where to look"
            )
        if not ack.ok:
            why = visible(ack.err or "it did not say why")
            raise CommandRefused(f"{self.device} refused {op}: {why}")
        return ack.res or {}


def visible(text: str) -> str:
    """A line from outside as a terminal may show it: control characters as escapes."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def ack_of(body: bytes, cmd: Cmd) -> Ack | None:
    """The answer to `cmd` in a message of kind `ack`; None for another's, or for nonsense."""
    try:
        message = decode(Kind.ACK, body)
    except Refused:
        return None
    return message if isinstance(message, Ack) and message.id == cmd.id else None
