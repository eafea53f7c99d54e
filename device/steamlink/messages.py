"""The messages that a device sends of itself, to UTF-8 JSON bytes.

The text is put together piece by piece, because MicroPython's dict has no order: both
interpreters give the same bytes. ValueError names the argument that breaks the contract.
"""

import json

from . import contract
from .constant import const

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

    def _dumps(value: object) -> str:
        if not isinstance(value, float):
            return json.dumps(value)
        text = _FLOAT.format(value)
        return text if "." in text or "e" in text else text + ".0"

    def _table(rows: object) -> str:
        return json_of(rows)


_INFINITY = float("inf")
_MOST_COLUMNS = const(16)
_SURROGATE = const(0xD800)
_AFTER_SURROGATES = const(0xE000)
_COLUMNS: dict[tuple[str, ...], str] = {}


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
    columns = _columns(tuple(metrics))
    clean = _rows(rows, len(metrics) + 1)
    return message(
        "b",
        u32("boot", boot),
        "n",
        u32("seq", seq),
        "up",
        whole("up_ms", up_ms),
        "t",
        whole("UTC", utc_ms),
        "ts",
        whole("clock", clock, contract.CLOCK_SYNCHRONISED, contract.CLOCK_SET),
        "k",
        columns,
        "r",
        _table(clean),
        "q",
        _quality(quality, len(clean), len(metrics)),
    )


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
    if metrics:
        _columns(tuple([metric[0] for metric in metrics]))
    described = []
    for name, unit, decimals, low, high, period_ms in metrics:
        described.append(
            _object(
                "n",
                json_of(name),
                "u",
                json_of(unit),
                "d",
                whole("decimals", decimals),
                "lo",
                json_of(low),
                "hi",
                json_of(high),
                "per",
                json_of(period_ms),
            )
        )
    return message(
        "id",
        json_of(device),
        "fw",
        json_of(firmware),
        "board",
        json_of(board),
        "boot",
        u32("boot", boot),
        "conn",
        u32("conn", conn),
        "reset",
        json_of(reset),
        "clock",
        whole("clock", clock, contract.CLOCK_SYNCHRONISED),
        "up",
        whole("up_ms", up_ms),
        "t",
        _utc_or_null(utc_ms),
        "oldest",
        _oldest(oldest),
        "metrics",
        "[" + ",".join(described) + "]",
    )


def encode_state(*, state: str, boot: int, conn: int) -> bytes:
    """A `state`: "online", "stopped", or "offline" (the will that the broker sends)."""
    known("state", state, contract.STATES)
    return message("s", json_of(state), "boot", u32("boot", boot), "conn", u32("conn", conn))


def encode_event(
    *, boot: int, seq: int, up_ms: int, utc_ms: int, event: str, details: "Mapping[str, object]"
) -> bytes:
    """An `event` with its details: text, numbers, booleans or None under sorted names."""
    known("event", event, contract.EVENTS)
    for name, value in details.items():
        if isinstance(value, (dict, list, tuple)):
            raise ValueError("detail {!r} of event {} is not a single value".format(name, event))  # noqa: TRY004 - one error type
    return message(
        "b",
        u32("boot", boot),
        "n",
        u32("seq", seq),
        "up",
        whole("up_ms", up_ms),
        "t",
        whole("UTC", utc_ms),
        "ev",
        json_of(event),
        "d",
        json_of(details),
    )


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
    return message(
        "b",
        u32("boot", boot),
        "up",
        whole("up_ms", up_ms),
        "t",
        _utc_or_null(utc_ms),
        "heap",
        json_of(heap),
        "rssi",
        json_of(rssi),
        "backlog",
        whole("backlog", backlog),
        "oldest",
        _oldest(oldest),
        "drops",
        whole("drops", drops),
        "reconnects",
        whole("reconnects", reconnects),
        "counts",
        json_of(counts) if counts else "",
    )


def message(*fields: str) -> bytes:
    """The bytes of version 1 of a message: names of fields and their JSON in turn."""
    payload = _object("v", "1", *fields).encode()
    if len(payload) > contract.MAX_PAYLOAD_BYTES:
        text = "{} bytes; a message holds at most {}: send fewer rows"
        raise ValueError(text.format(len(payload), contract.MAX_PAYLOAD_BYTES))
    return payload


def _object(*fields: str) -> str:
    """A JSON object of names and JSON in turn; what has no JSON is left out."""
    parts = ["{"]
    for index in range(0, len(fields), 2):
        if fields[index + 1]:
            parts += (',"' if index else '"', fields[index], '":', fields[index + 1])
    parts.append("}")
    return "".join(parts)


def is_whole(value: object) -> bool:
    """Tell a whole number: a bool, which is an int in CPython but not in MicroPython, is none."""
    return isinstance(value, int) and value is not True and value is not False


def whole(what: str, value: int, most: int = contract.MAX_UTC_MS - 1, least: int = 0) -> str:
    """The JSON of a whole number within bounds."""
    if not is_whole(value) or not least <= value <= most:
        raise ValueError("{} {!r}; a whole number, {} to {}".format(what, value, least, most))
    return str(value)


def u32(what: str, value: int) -> str:
    """The JSON of a whole number of 32 bits."""
    return whole(what, value, contract.MAX_U32)


def known(what: str, word: str, words: "Sequence[str]") -> None:
    """Refuse a word that the contract does not have."""
    if word not in words:
        raise ValueError("{} {!r}; known: {}".format(what, word, ", ".join(words)))


def _utc_or_null(utc_ms: int | None) -> str:
    return "null" if utc_ms is None else whole("UTC", utc_ms)


def _oldest(oldest: tuple[int, int] | None) -> str:
    if oldest is None:
        return "null"
    return "[" + u32("boot", oldest[0]) + "," + u32("seq", oldest[1]) + "]"


def _value(value: object) -> object:
    """A reading as JSON has it: booleans as 0 and 1, NaN and infinity as None."""
    if value is None or is_whole(value):
        return value
    if value is True or value is False:
        return 1 if value else 0
    if not isinstance(value, float):
        raise ValueError("{!r} is no reading: a number or None".format(value))  # noqa: TRY004 - one error type
    # Written so that NaN, for which every comparison is false, becomes None too.
    return value if -_INFINITY < value < _INFINITY else None


def _rows(rows: "Sequence[Sequence[float | None]]", width: int) -> list[list[object]]:
    if not 1 <= len(rows) <= contract.MAX_ROWS:
        raise ValueError("{} rows; 1 to {}".format(len(rows), contract.MAX_ROWS))
    clean = []
    previous = -contract.MAX_DT_MS - 1.0
    for row in rows:
        dt_ms = row[0] if len(row) == width else None
        if dt_ms is None or not is_whole(dt_ms) or not previous < dt_ms <= contract.MAX_DT_MS:
            text = "row {!r}: {} values, dt_ms first, whole, strictly increasing, within 7 days"
            raise ValueError(text.format(row, width))
        previous = dt_ms
        clean.append([_value(value) for value in row])
    return clean


def _columns(names: tuple[str, ...]) -> str:
    """The JSON of the column names; checked once, because each message repeats them."""
    known = _COLUMNS.get(names)
    if known is not None:
        return known
    if not 1 <= len(names) <= contract.MAX_METRICS:
        raise ValueError("{} metrics; 1 to {}".format(len(names), contract.MAX_METRICS))
    for name in names:
        if not contract.is_metric_name(name):
            raise ValueError("{!r} is no metric name: a-z, 0-9, _, not ending in _q".format(name))
    if len(set(names)) != len(names):
        raise ValueError("a metric is named twice")
    if len(_COLUMNS) >= _MOST_COLUMNS:
        _COLUMNS.clear()
    _COLUMNS[names] = json_of(list(names))
    return _COLUMNS[names]


def _quality(quality: "Sequence[tuple[int, int, int]]", rows: int, columns: int) -> str:
    pieces = []
    for row, column, code in sorted(quality):
        if not 0 <= row < rows or not 0 <= column < columns or not 0 <= code <= contract.GOOD:
            raise ValueError(
                "quality ({}, {}, {}) is outside the message".format(row, column, code)
            )
        if code != contract.GOOD:
            pieces.append('"{},{}":{}'.format(row, column, code))
    return "{" + ",".join(pieces) + "}" if pieces else ""


def json_of(value: object) -> str:
    """JSON of nested values: names sorted, control characters as spaces, NaN as null."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        return _dumps("".join([_letter(letter) for letter in value]))
    if isinstance(value, dict):
        return (
            "{" + ",".join([json_of(str(k)) + ":" + json_of(value[k]) for k in sorted(value)]) + "}"
        )
    if isinstance(value, (list, tuple)):
        return "[" + ",".join([json_of(item) for item in value]) + "]"
    return _dumps(_value(value))


def _letter(letter: str) -> str:
    """A letter that UTF-8 can carry and a terminal bears: else a space or a question mark."""
    if letter < " ":
        return " "
    # Compared, because MicroPython walks through a range.
    return "?" if _SURROGATE <= ord(letter) < _AFTER_SURROGATES else letter
