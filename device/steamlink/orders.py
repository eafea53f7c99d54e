"""Commands and their acknowledgements, from and to UTF-8 JSON bytes; loaded with the first one."""

import json

from . import contract
from .messages import is_whole, json_of, known, message, whole

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Mapping


class Command:
    """A decoded command: `id`, `op`, `args`, and `expires_ms` (UTC ms)."""

    def __init__(self, id_: str, op: str, args: dict[str, object], expires_ms: int) -> None:
        self.id = id_
        self.op = op
        self.args = args
        self.expires_ms = expires_ms


def encode_cmd(*, id: str, op: str, args: "Mapping[str, object]", exp: int) -> bytes:  # noqa: A002 - wire name
    """A `cmd` to a device, refused by it after `exp` (UTC ms)."""
    known("op", op, contract.OPS)
    return message(
        "id", _command_id(id), "op", json_of(op), "args", json_of(args), "exp", whole("UTC", exp)
    )


def encode_ack(
    *,
    id: str,  # noqa: A002 - wire name
    ok: bool,
    err: str | None = None,
    res: "Mapping[str, object] | None" = None,
) -> bytes:
    """An `ack`: the answer to the command `id`, with what went wrong or what came of it."""
    return message(
        "id",
        _command_id(id),
        "ok",
        "true" if ok else "false",
        "err",
        json_of(err),
        "res",
        json_of(res),
    )


def decode_cmd(payload: bytes) -> Command:
    """Decode a command; ValueError says what is wrong. Unknown ops pass: the device answers."""
    if len(payload) > contract.MAX_PAYLOAD_BYTES:
        raise ValueError(
            "command of {} bytes; at most {}".format(len(payload), contract.MAX_PAYLOAD_BYTES)
        )
    try:
        message = json.loads(bytes(payload).decode())
    except (ValueError, RuntimeError):  # RuntimeError: nested too deeply
        raise ValueError("command is not JSON in UTF-8") from None
    if not isinstance(message, dict):
        raise ValueError("command is not a JSON object")  # noqa: TRY004 - one error type
    version = message.get("v")
    if not is_whole(version) or version != contract.VERSION:
        raise ValueError("command has version {!r}; this device knows 1".format(version))
    _command_id(message.get("id"))
    op, args, expires_ms = message.get("op"), message.get("args", {}), message.get("exp")
    if not isinstance(op, str) or not isinstance(args, dict) or not isinstance(expires_ms, int):
        raise ValueError("command needs op (text), args (object) and exp (UTC ms)")  # noqa: TRY004 - one error type
    return Command(message["id"], op, args, expires_ms)


def _command_id(text: object) -> str:
    if not isinstance(text, str) or not 1 <= len(text) <= contract.MAX_COMMAND_ID:
        raise ValueError("a command's id: text of 1 to {}".format(contract.MAX_COMMAND_ID))
    if not all(" " < letter <= "~" for letter in text):
        raise ValueError("a command's id: printable ASCII, no spaces")
    return json_of(text)
