"""The time of messages that were made before the clock was known; pure, times in int ms.

Such a message carries `"t":0`. Its time comes later from an anchor: utc = up + offset. The bytes
are cut and joined as codec.py made them, so the same arguments give the same bytes for ever.
"""

import json

from . import contract

_UP = b'"up":'
_UTC = b',"t":'
_CLOCK = b',"ts":'
_ROWS = b',"r":'
_QUALITY = b',"q":'


def up_ms(payload: bytes) -> "int | None":
    """The `up` of a data or event message, or None where there is none."""
    return _number(payload, _UP)


def utc_ms(payload: bytes) -> "int | None":
    """The `t` of a message; 0 means that it waits for its time."""
    return _number(payload, _UTC)


def start_utc_ms(payload: bytes) -> "int | None":
    """When the boot of a dated message started: its offset, utc - up."""
    up = up_ms(payload)
    utc = utc_ms(payload)
    return utc - up if up is not None and utc else None


def clock_state(payload: bytes) -> int:
    """The `ts` of a data message; an event has none and counts as set."""
    state = _number(payload, _CLOCK)
    return contract.CLOCK_SET if state is None else state


def last_up_ms(payload: bytes) -> "int | None":
    """The uptime at the last row of a data message, or at an event."""
    up = up_ms(payload)
    start = payload.find(_ROWS)
    if up is None or start < 0:
        return up
    # Names and quality hold no bracket, so the last one opens the last row.
    last = payload.rfind(b"[") + 1
    return up + int(payload[last : payload.find(b",", last)])


def estimate(last_up: int, next_start_utc_ms: int) -> int:
    """The offset of a boot that never knew the time: it ended 1 ms before the next one began."""
    return next_start_utc_ms - 1 - last_up


def date(kind: str, payload: bytes, offset_ms: int, ts: int, estimated: bool) -> bytes:
    """The message with t = up + offset and clock state `ts`; `kind` is "data" or "event".

    An estimated time makes every good reading uncertain (OPC 10000-8 A.4.3.3). ValueError for a
    message that codec.py did not make undated, or whose time or length leaves the contract.
    """
    up = up_ms(payload)
    if up is None or utc_ms(payload) != 0:
        raise ValueError("message does not wait for its time: no up, or t is not 0")
    utc = up + offset_ms
    if not 0 < utc < contract.MAX_UTC_MS:
        raise ValueError("{} is no UTC time in milliseconds".format(utc))
    at = payload.find(_UTC) + len(_UTC)
    rest = payload[at + 1 :]
    if kind == "data":
        if not rest.startswith(_CLOCK):
            raise ValueError("data message has no ts after its t")
        rest = _CLOCK + str(ts).encode() + rest[len(_CLOCK) + 1 :]
        if estimated:
            rest = _uncertain(rest)
    dated = payload[:at] + str(utc).encode() + rest
    if len(dated) > contract.MAX_PAYLOAD_BYTES:
        raise ValueError("{} bytes once dated; a message holds fewer".format(len(dated)))
    return dated


def _number(payload: bytes, mark: bytes) -> "int | None":
    # All numbers stand before the first text of a message, so the first find is the right one.
    start = payload.find(mark)
    if start < 0:
        return None
    start += len(mark)
    end = payload.find(b",", start)
    try:
        return int(payload[start:end])
    except ValueError:
        return None


def _uncertain(rest: bytes) -> bytes:
    start = rest.find(_ROWS) + len(_ROWS)
    end = rest.rfind(b"]") + 1
    quality = rest.find(_QUALITY, end)
    told = {} if quality < 0 else json.loads(rest[quality + len(_QUALITY) : -1])
    pieces = []
    for row, values in enumerate(json.loads(rest[start:end])):
        for column in range(len(values) - 1):
            place = "{},{}".format(row, column)
            code = told.get(place)
            if code is None and values[column + 1] is not None:
                code = contract.UNCERTAIN
            if code is not None:
                pieces.append('"{}":{}'.format(place, code))
    marks = _QUALITY + b"{" + ",".join(pieces).encode() + b"}" if pieces else b""
    return rest[:end] + marks + b"}"
