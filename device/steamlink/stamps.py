"""The times that a message tells: read off its bytes, as messages.py made them."""

from . import contract
from .constant import const

_UP = const(b'"up":')
_UTC = const(b',"t":')
_CLOCK = const(b',"ts":')


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
