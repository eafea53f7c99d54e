"""The tables of the SQLite store: schema, statements, and rows packed into them.

A row is one record of its values as packed doubles (NaN for no value), because that was
measured, with 12 metrics a row, against one record per value: 5,000 rows written in 23
instead of 207 ms, a day of 1 Hz read and summed up in 0.3 instead of 0.6 s, 152 instead of
330 bytes a row.
"""

import math
from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from struct import Struct
from typing import TypeVar

import msgspec

from bridge.records import AlarmEvent, BatchSummary, DeviceStatus, Insight
from bridge.series import clean_text, finite

SCHEMA_VERSION = 2
SCHEMA = """
CREATE TABLE series (
  id INTEGER PRIMARY KEY, site TEXT NOT NULL, boiler TEXT NOT NULL, device TEXT NOT NULL,
  UNIQUE (site, boiler, device)
);
CREATE TABLE layout (id INTEGER PRIMARY KEY, metrics TEXT NOT NULL UNIQUE);
CREATE TABLE boiler (
  series INTEGER NOT NULL, at_us INTEGER NOT NULL, layout INTEGER NOT NULL,
  batch_id TEXT NOT NULL, boot INTEGER NOT NULL, seq INTEGER NOT NULL,
  packed BLOB NOT NULL, quality TEXT,
  PRIMARY KEY (series, at_us)
) WITHOUT ROWID;
CREATE TABLE device_status (
  site TEXT, device TEXT, kind TEXT, at_us INTEGER,
  boot INTEGER, conn INTEGER, seq INTEGER, state TEXT, body TEXT NOT NULL,
  PRIMARY KEY (site, device, kind, at_us)
);
CREATE INDEX device_status_at ON device_status (at_us);
CREATE TABLE insight (
  site TEXT, boiler TEXT, name TEXT, at_us INTEGER, value REAL, unit TEXT NOT NULL,
  PRIMARY KEY (site, boiler, name, at_us)
);
CREATE INDEX insight_at ON insight (at_us);
CREATE TABLE batch (
  recorder TEXT, at_us INTEGER, batch_id TEXT NOT NULL, rows INTEGER NOT NULL,
  messages INTEGER NOT NULL, bytes INTEGER NOT NULL, quarantined INTEGER NOT NULL,
  lag_ms INTEGER NOT NULL, first_at_us INTEGER NOT NULL, last_at_us INTEGER NOT NULL,
  PRIMARY KEY (recorder, at_us)
);
CREATE INDEX batch_at ON batch (at_us);
CREATE TABLE alarm_event (
  site TEXT, boiler TEXT, definition TEXT, state TEXT, at_us INTEGER,
  id TEXT NOT NULL, type TEXT NOT NULL, metric TEXT NOT NULL, previous TEXT NOT NULL,
  priority INTEGER NOT NULL, recorded_at_us INTEGER NOT NULL, value REAL, setpoint REAL,
  retroactive INTEGER NOT NULL, "by" TEXT NOT NULL, note TEXT NOT NULL, n INTEGER NOT NULL,
  prev TEXT NOT NULL, hash TEXT NOT NULL,
  PRIMARY KEY (site, boiler, definition, state, at_us)
);
CREATE INDEX alarm_event_at ON alarm_event (at_us, n);
CREATE INDEX alarm_event_n ON alarm_event (boiler, n);
CREATE TABLE retention (bucket TEXT PRIMARY KEY, days INTEGER);
"""
SCHEMA_2 = """
CREATE TABLE roll_up (
  id INTEGER PRIMARY KEY, width_us INTEGER NOT NULL, site TEXT NOT NULL, boiler TEXT NOT NULL,
  at_us INTEGER NOT NULL, layout INTEGER NOT NULL, packed BLOB NOT NULL,
  UNIQUE (width_us, site, boiler, at_us)
);
CREATE INDEX roll_up_at ON roll_up (at_us);
"""
"""What version 2 added: windows of roll-ups, each metric's statistics as packed doubles."""

_IDENTITY: dict[type[msgspec.Struct], tuple[str, ...]] = {
    DeviceStatus: ("site", "device", "kind", "at_us"),
    AlarmEvent: ("site", "boiler", "definition", "state", "at_us"),
    Insight: ("site", "boiler", "name", "at_us"),
    BatchSummary: ("recorder", "at_us"),
}
_TABLE: dict[type[msgspec.Struct], str] = {
    DeviceStatus: "device_status",
    AlarmEvent: "alarm_event",
    Insight: "insight",
    BatchSummary: "batch",
}
_NAN = math.nan
_R = TypeVar("_R", bound=msgspec.Struct)


@lru_cache(maxsize=8)
def upsert(kind: type[msgspec.Struct]) -> str:
    """The statement that stores records of a kind; NULL leaves what is stored of a field."""
    table, names, identity = _TABLE[kind], kind.__struct_fields__, _IDENTITY[kind]
    changes = ", ".join(
        f'"{name}" = coalesce(excluded."{name}", "{name}")'
        for name in names
        if name not in identity
    )
    return (
        f"INSERT INTO {table} ({columns(kind)}) VALUES ({', '.join('?' * len(names))}) "  # noqa: S608 - names of our own
        f"ON CONFLICT ({', '.join(identity)}) DO UPDATE SET {changes}"
    )


@lru_cache(maxsize=8)
def columns(kind: type[msgspec.Struct]) -> str:
    """The quoted columns of a kind of record, in the order of its struct's fields."""
    return ", ".join(f'"{name}"' for name in kind.__struct_fields__)


def cells(record: msgspec.Struct) -> list[object]:
    """A record's fields as SQLite stores them."""
    found: list[object] = []
    for value in msgspec.structs.astuple(record):
        if isinstance(value, str):
            found.append(value if value.isascii() else clean_text(value))
        elif isinstance(value, float):
            found.append(finite(value))
        else:
            found.append(value)
    return found


def record_of(kind: type[_R], stored: Sequence[object]) -> _R:
    """A record from `columns(kind)` of its table."""
    return msgspec.convert(
        dict(zip(kind.__struct_fields__, stored, strict=True)), kind, strict=False
    )


def pack(values: Sequence[float | None]) -> bytes:
    """A row's values as little-endian doubles; None and what is not finite become NaN."""
    try:
        if math.isfinite(sum(values)):  # type: ignore[arg-type]
            return doubles(len(values)).pack(*values)
    except TypeError:
        pass  # A None cannot be added: the slow way below takes it.
    present = (finite(value) for value in values)
    return doubles(len(values)).pack(*(_NAN if value is None else value for value in present))


def unpack(packed: bytes) -> tuple[float, ...]:
    """A row's values; NaN is no value."""
    return doubles(len(packed) // 8).unpack(packed)


@lru_cache(maxsize=128)
def doubles(count: int) -> Struct:
    """The packing of `count` values."""
    return Struct(f"<{count}d")


def column_values(packed_rows: Iterable[bytes], width: int) -> list["array[float]"]:
    """The values of packed rows of one layout, column by column."""
    flat = array("d")
    flat.frombytes(b"".join(packed_rows))
    if _BIG_ENDIAN:
        flat.byteswap()
    return [flat[column::width] for column in range(width)]


_BIG_ENDIAN = array("H", [1]).tobytes() == b"\x00\x01"
