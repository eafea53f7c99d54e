"""Every message of the contract to UTF-8 JSON bytes, and commands back.

The text is put together piece by piece, because MicroPython's dict has no order: both
interpreters give the same bytes. ValueError names the argument that breaks the contract.
"""

import json

from . import contract

TYPE_CHECKING = False  # MicroPython has no typing
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

if hasattr(json, "JSONEncoder"):
    _dumps = _table = json.JSONEncoder(
        separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode
else:  # MicroPython: UTF-8 as it is; numbers are checked before they come here
    # As many digits as the board's floats are good for: its own json writes 8.37 as
    # 8.369999999999999, twice the bytes and another text than CPython's.
    _FLOAT = "{:.10g}" if 1.0 + 1e-8 > 1.0 else "{:.7g}"

    def _dumps(o: object) -> str:
        return json.dumps(o, separators=(",", ":"))

    def _table(rows: object) -> str:
        return "[" + ",".join([_row(row) for row in rows]) + "]"

    def _row(row: object) -> str:
        return "[" + ",".join([_text(value) for value in row]) + "]"

    def _text(value: object) -> str:
        if not isinstance(value, float):
            return "null" if value is None else str(value)
        text = _FLOAT.format(value)
        return text if "." in text or "e" in text else text + ".0"


_INFINITY = float("inf")
_MOST_COLUMNS = 16
_SURROGATE, _AFTER_SURROGATES = 0xD800, 0xE000
_COLUMNS: dict[tuple[str, ...], str] = {}


class Command:
    """A decoded command: `id`, `op`, `args`, and `expires_ms` (UTC ms)."""

    def __init__(self, id_: str, op: str, args: dict[str, object], expires_ms: int) -> None:
        self.id = id_
        self.op = op
        self.args = args
        self.expires_ms = expires_ms


def encode_data(
    *,
    boot: int,
    seq: int,
    up_ms: int,
    utc_ms: int,
    clock: int,
    metrics: "Sequence[str]",
    rows: "Sequence[Sequence[float | None]]",
    quality: "Sequence[tuple[int, int, int]]" = (),
) -> bytes:
    """A `data` or `hist` message; each row is `[dt_ms, value...]` with None for no value.

    `quality` lists (row, column, OPC code), zero-based; good readings are left out.
    NaN and infinite values become null.
    """
    _check_clock(clock, 1)
    columns = _columns(tuple(metrics))
    clean = _rows(rows, len(metrics) + 1)
    parts = [
        '{"v":1,"b":',
        _u32("boot", boot),
        ',"n":',
        _u32("seq", seq),
        ',"up":',
        _natural("up_ms", up_ms),
        ',"t":',
        _utc(utc_ms),
        ',"ts":',
        str(clock),
        ',"k":',
        columns,
        ',"r":',
        _table(clean),
        _quality(quality, len(clean), len(metrics)),
        "}",
    ]
    return _finish(parts)


def encode_birth(  # noqa: PLR0913 - the fields of the message
    *,
    device: str,
    firmware: str,
    board: str,
    boot: int,
    conn: int,
    reset: str,
    clock: int,
    up_ms: int,
    utc_ms: int | None,
    oldest: tuple[int, int] | None,
    metrics: "Sequence[tuple[str, str, int, float | None, float | None, int | None]]",
) -> bytes:
    """A `birth`: who the device is; `metrics` are (name, unit, decimals, low, high, period_ms).

    There may be none: a device in safe mode, or before it has sensors.
    """
    if not contract.is_name(device):
        raise ValueError("device {!r} is no name".format(device))
    _check_clock(clock, 0)
    if metrics:
        _columns(tuple([metric[0] for metric in metrics]))
    described = []
    for name, unit, decimals, low, high, period_ms in metrics:
        described.append(
            '{"n":'
            + _dumps(name)
            + ',"u":'
            + _json(unit)
            + ',"d":'
            + _natural("decimals", decimals)
            + ',"lo":'
            + _json(low)
            + ',"hi":'
            + _json(high)
            + ',"per":'
            + _json(period_ms)
            + "}"
        )
    parts = [
        '{"v":1,"id":',
        _dumps(device),
        ',"fw":',
        _json(firmware),
        ',"board":',
        _json(board),
        ',"boot":',
        _u32("boot", boot),
        ',"conn":',
        _u32("conn", conn),
        ',"reset":',
        _json(reset),
        ',"clock":',
        str(clock),
        ',"up":',
        _natural("up_ms", up_ms),
        ',"t":',
        _utc_or_null(utc_ms),
        ',"oldest":',
        _oldest(oldest),
        ',"metrics":[',
        ",".join(described),
        "]}",
    ]
    return _finish(parts)


def encode_state(*, state: str, boot: int, conn: int) -> bytes:
    """A `state`: "online", "stopped", or "offline" (the will that the broker sends)."""
    if state not in contract.STATES:
        raise ValueError("state {!r}; known: {}".format(state, ", ".join(contract.STATES)))
    return _finish(
        [
            '{"v":1,"s":"',
            state,
            '","boot":',
            _u32("boot", boot),
            ',"conn":',
            _u32("conn", conn),
            "}",
        ]
    )


def encode_event(
    *, boot: int, seq: int, up_ms: int, utc_ms: int, event: str, details: "Mapping[str, object]"
) -> bytes:
    """An `event` with its details: text, numbers, booleans or None under sorted names."""
    if event not in contract.EVENTS:
        raise ValueError("event {!r}; known: {}".format(event, ", ".join(contract.EVENTS)))
    for name, value in details.items():
        if isinstance(value, (dict, list, tuple)):
            raise ValueError("detail {!r} of event {} is not a single value".format(name, event))  # noqa: TRY004 - one error type
    parts = [
        '{"v":1,"b":',
        _u32("boot", boot),
        ',"n":',
        _u32("seq", seq),
        ',"up":',
        _natural("up_ms", up_ms),
        ',"t":',
        _utc(utc_ms),
        ',"ev":"',
        event,
        '","d":',
        _json(details),
        "}",
    ]
    return _finish(parts)


def encode_diag(  # noqa: PLR0913 - the fields of the message
    *,
    boot: int,
    up_ms: int,
    utc_ms: int | None,
    heap: int | None,
    rssi: int | None,
    backlog: int,
    oldest: tuple[int, int] | None,
    drops: int,
    reconnects: int,
    counts: "Mapping[str, int] | None" = None,
) -> bytes:
    """A `diag`: free memory in bytes, radio in dBm, messages waiting, lost, connections again.

    `counts` says by name how often something was refused, failed or tried again.
    """
    parts = [
        '{"v":1,"b":',
        _u32("boot", boot),
        ',"up":',
        _natural("up_ms", up_ms),
        ',"t":',
        _utc_or_null(utc_ms),
        ',"heap":',
        _json(heap),
        ',"rssi":',
        _json(rssi),
        ',"backlog":',
        _natural("backlog", backlog),
        ',"oldest":',
        _oldest(oldest),
        ',"drops":',
        _natural("drops", drops),
        ',"reconnects":',
        _natural("reconnects", reconnects),
        ',"counts":' + _json(counts) if counts else "",
        "}",
    ]
    return _finish(parts)


def encode_cmd(*, id: str, op: str, args: "Mapping[str, object]", exp: int) -> bytes:  # noqa: A002 - wire name
    """A `cmd` to a device, refused by it after `exp` (UTC ms)."""
    _check_command_id(id)
    if op not in contract.OPS:
        raise ValueError("op {!r}; known: {}".format(op, ", ".join(contract.OPS)))
    return _finish(
        [
            '{"v":1,"id":',
            _dumps(id),
            ',"op":"',
            op,
            '","args":',
            _json(args),
            ',"exp":',
            _utc(exp),
            "}",
        ]
    )


def encode_ack(
    *,
    id: str,  # noqa: A002 - wire name
    ok: bool,
    err: str | None = None,
    res: "Mapping[str, object] | None" = None,
) -> bytes:
    """An `ack`: the answer to the command `id`, with what went wrong or what came of it."""
    _check_command_id(id)
    return _finish(
        [
            '{"v":1,"id":',
            _dumps(id),
            ',"ok":',
            "true" if ok else "false",
            ',"err":',
            _json(err),
            ',"res":',
            _json(res),
            "}",
        ]
    )


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
    if not _is_int(version) or version != contract.VERSION:
        raise ValueError("command has version {!r}; this device knows 1".format(version))
    _check_command_id(message.get("id"))
    op, args, expires_ms = message.get("op"), message.get("args", {}), message.get("exp")
    if not isinstance(op, str) or not isinstance(args, dict) or not isinstance(expires_ms, int):
        raise ValueError("command needs op (text), args (object) and exp (UTC ms)")  # noqa: TRY004 - one error type
    return Command(message["id"], op, args, expires_ms)


def _is_int(value: object) -> bool:
    # A bool is an int in CPython but not in MicroPython.
    return isinstance(value, int) and value is not True and value is not False


def _value(value: object) -> object:
    """A reading as JSON has it: booleans as 0 and 1, NaN and infinity as None."""
    if value is None or _is_int(value):
        return value
    if value is True or value is False:
        return 1 if value else 0
    if not isinstance(value, float):
        raise ValueError("{!r} is no reading: a number or None".format(value))  # noqa: TRY004 - one error type
    # Written so that NaN, for which every comparison is false, becomes None too.
    return value if -_INFINITY < value < _INFINITY else None


def _rows(rows: "Sequence[Sequence[float | None]]", width: int) -> list[list[object]]:
    if not 1 <= len(rows) <= contract.MAX_ROWS:
        raise ValueError("{} rows; a message holds 1 to {}".format(len(rows), contract.MAX_ROWS))
    clean = []
    previous = -contract.MAX_DT_MS - 1.0
    for row in rows:
        dt_ms = row[0] if len(row) == width else None
        if dt_ms is None or not _is_int(dt_ms) or not previous < dt_ms <= contract.MAX_DT_MS:
            raise ValueError(
                "row {!r}: {} values with dt_ms first, whole, strictly increasing, "
                "within 7 days".format(row, width)
            )
        previous = dt_ms
        clean.append([_value(value) for value in row])
    return clean


def _columns(names: tuple[str, ...]) -> str:
    """The JSON of the column names; checked once, because each message repeats them."""
    known = _COLUMNS.get(names)
    if known is not None:
        return known
    if not 1 <= len(names) <= contract.MAX_METRICS:
        raise ValueError(
            "{} metrics; a message has 1 to {}".format(len(names), contract.MAX_METRICS)
        )
    for name in names:
        if not contract.is_metric_name(name):
            raise ValueError("{!r} is no metric name: a-z, 0-9, _, not ending in _q".format(name))
    if len(set(names)) != len(names):
        raise ValueError("a metric is named twice")
    if len(_COLUMNS) >= _MOST_COLUMNS:
        _COLUMNS.clear()
    _COLUMNS[names] = _dumps(list(names))
    return _COLUMNS[names]


def _check_clock(clock: int, lowest: int) -> None:
    if not _is_int(clock) or not lowest <= clock <= contract.CLOCK_SYNCHRONISED:
        raise ValueError("clock {!r}; {} to 2".format(clock, lowest))


def _check_command_id(text: object) -> None:
    if not isinstance(text, str) or not 1 <= len(text) <= contract.MAX_COMMAND_ID:
        raise ValueError(
            "a command's id is text of 1 to {} characters".format(contract.MAX_COMMAND_ID)
        )
    if not all(" " < letter <= "~" for letter in text):
        raise ValueError("a command's id is printable ASCII without spaces")


def _natural(what: str, value: int) -> str:
    if not _is_int(value) or value < 0:
        raise ValueError("{} {!r}; a whole number from 0".format(what, value))
    return str(value)


def _u32(what: str, value: int) -> str:
    if not _is_int(value) or not 0 <= value <= contract.MAX_U32:
        raise ValueError("{} {!r}; 0 to {}".format(what, value, contract.MAX_U32))
    return str(value)


def _utc(utc_ms: int) -> str:
    if not _is_int(utc_ms) or not 0 <= utc_ms < contract.MAX_UTC_MS:
        raise ValueError("{!r} is no UTC time in milliseconds".format(utc_ms))
    return str(utc_ms)


def _utc_or_null(utc_ms: int | None) -> str:
    return "null" if utc_ms is None else _utc(utc_ms)


def _oldest(oldest: tuple[int, int] | None) -> str:
    if oldest is None:
        return "null"
    return "[" + _u32("boot", oldest[0]) + "," + _u32("seq", oldest[1]) + "]"


def _quality(quality: "Sequence[tuple[int, int, int]]", rows: int, columns: int) -> str:
    pieces = []
    for row, column, code in sorted(quality):
        if not 0 <= row < rows or not 0 <= column < columns or not 0 <= code <= contract.GOOD:
            raise ValueError(
                "quality ({}, {}, {}) is outside the message".format(row, column, code)
            )
        if code != contract.GOOD:
            pieces.append('"{},{}":{}'.format(row, column, code))
    return ',"q":{' + ",".join(pieces) + "}" if pieces else ""


def _json(value: object) -> str:
    """JSON of nested values: names sorted, control characters as spaces, NaN as null."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return _dumps("".join([_letter(letter) for letter in value]))
    if isinstance(value, dict):
        return "{" + ",".join([_json(str(k)) + ":" + _json(value[k]) for k in sorted(value)]) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([_json(item) for item in value]) + "]"
    return _dumps(_value(value))


def _letter(letter: str) -> str:
    """A letter that UTF-8 can carry and a terminal bears: else a space or a question mark."""
    if letter < " ":
        return " "
    # Compared, because MicroPython walks through a range.
    return "?" if _SURROGATE <= ord(letter) < _AFTER_SURROGATES else letter


def _finish(parts: list[str]) -> bytes:
    payload = "".join(parts).encode()
    if len(payload) > contract.MAX_PAYLOAD_BYTES:
        raise ValueError(
            "{} bytes; a message holds at most {}: send fewer rows".format(
                len(payload), contract.MAX_PAYLOAD_BYTES
            )
        )
    return payload
