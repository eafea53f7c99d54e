"""The interpreter's clock as UTC ms: epochs differ between ports, and an unset clock shows."""

import time

# An unset clock says 2000-01-01 (ESP32) or 2021-01-01 (RP2); this code is younger.
EARLIEST_MS = 1672531200000  # 2023-01-01
LATEST_MS = 4102444800000  # 2100-01-01

_NS = 1000000
_EPOCH_2000_MS = 946684800000


def plausible_ms(ns: int, epoch_year: int) -> int | None:
    """UTC ms of `ns` nanoseconds since 1 January of `epoch_year` (1970 or 2000), None if absurd."""
    ms = ns // _NS + _start_ms(epoch_year)
    return ms if EARLIEST_MS <= ms < LATEST_MS else None


def since(utc_ms: int, epoch_year: int) -> int:
    """Ms since 1 January of `epoch_year`."""
    return utc_ms - _start_ms(epoch_year)


def utc_ms() -> int | None:
    """The interpreter's clock, None while it cannot be right."""
    # The epoch is the port's: docs.micropython.org/en/latest/library/time.html
    return plausible_ms(time.time_ns(), time.gmtime(0)[0])


def fields(utc_ms: int) -> "tuple[int, ...]":
    """Year, month, day, hour, minute, second, weekday (0 Monday), day of the year, in UTC."""
    return tuple(time.gmtime(since(utc_ms, time.gmtime(0)[0]) // 1000)[:8])


def _start_ms(epoch_year: int) -> int:
    return _EPOCH_2000_MS if epoch_year == 2000 else 0  # noqa: PLR2004 - a year
