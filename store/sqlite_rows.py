"""Rows of readings into and out of the SQLite store."""

import sqlite3
from dataclasses import dataclass
from math import isnan
from typing import Self

import msgspec

from bridge.records import Rows
from store.sqlite_tables import pack, unpack

_Cells = tuple[int, int, int, str, int, int, bytes, str | None]
_INSERT = "INSERT OR IGNORE INTO boiler VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_SELECT = "SELECT layout, packed, quality FROM boiler WHERE series = ? AND at_us = ?"
_UPDATE = (
    "UPDATE boiler SET layout = ?, batch_id = ?, boot = ?, seq = ?, packed = ?, quality = ? "
    "WHERE series = ? AND at_us = ?"
)


@dataclass(slots=True)
class StoredRow:
    """The values and the quality codes of one stored row, by metric."""

    values: dict[str, float]
    quality: dict[str, int]

    @classmethod
    def read(cls, metrics: tuple[str, ...], packed: bytes, quality: str | None) -> Self:
        """Read a record of the table; a NaN is no value."""
        cells = zip(metrics, unpack(packed), strict=True)
        return cls(
            values={metric: value for metric, value in cells if not isnan(value)},
            quality=msgspec.json.decode(quality, type=dict[str, int]) if quality else {},
        )

    def as_rows(self, site: str, boiler: str, device: str, at_us: int, boot: int, seq: int) -> Rows:
        """The row as the port gives it."""
        metrics = tuple(sorted(self.values.keys() | self.quality.keys()))
        codes = ((column, self.quality.get(metric)) for column, metric in enumerate(metrics))
        return Rows(
            site=site,
            boiler=boiler,
            device=device,
            boot=boot,
            seq=seq,
            metrics=metrics,
            times_us=[at_us],
            values=[[self.values.get(metric) for metric in metrics]],
            quality={(0, column): code for column, code in codes if code is not None},
        )


def write_rows(connection: sqlite3.Connection, messages: list[Rows], batch_id: str) -> None:
    """Store rows; where a row is there already, unite both, the new one's values over the old."""
    numbers = Numbers(connection)
    records = [record for rows in messages for record in _records_of(rows, numbers, batch_id)]
    if not records:
        return
    inserted = connection.executemany(_INSERT, records).rowcount
    if inserted < len(records):
        for record in records:
            _unite(connection, numbers, record)


def _records_of(rows: Rows, numbers: "Numbers", batch_id: str) -> list[_Cells]:
    series = numbers.series(rows.site, rows.boiler, rows.device)
    layout = numbers.layout(rows.metrics)
    boot, seq = rows.boot, rows.seq
    return [
        (
            series,
            at_us,
            layout,
            batch_id,
            boot,
            seq,
            pack(values),
            _codes(rows, index) if rows.quality else None,
        )
        for index, (at_us, values) in enumerate(zip(rows.times_us, rows.values, strict=True))
    ]


def _codes(rows: Rows, index: int) -> str | None:
    codes = {
        rows.metrics[column]: code for (row, column), code in rows.quality.items() if row == index
    }
    return msgspec.json.encode(codes).decode() if codes else None


def _unite(connection: sqlite3.Connection, numbers: "Numbers", record: _Cells) -> None:
    """Write a row over the one with its identity; a field that it lacks stays as it is."""
    series, at_us, layout, batch_id, boot, seq, packed, quality = record
    place = series, at_us
    known_layout, known_packed, known_quality = connection.execute(_SELECT, place).fetchone()
    if (known_layout, known_packed, known_quality) != (layout, packed, quality):
        row = StoredRow.read(numbers.metrics(known_layout), known_packed, known_quality)
        newer = StoredRow.read(numbers.metrics(layout), packed, quality)
        row.values.update(newer.values)
        row.quality.update(newer.quality)
        metrics = tuple(sorted(row.values))
        layout = numbers.layout(metrics)
        packed = pack([row.values[metric] for metric in metrics])
        quality = msgspec.json.encode(row.quality).decode() if row.quality else None
    connection.execute(_UPDATE, (layout, batch_id, boot, seq, packed, quality, *place))


class Numbers:
    """The numbers by which rows name their series and their layout; made where new.

    Remembered for one transaction only: what a transaction made is gone if it fails.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._series: dict[tuple[str, str, str], int] = {}
        self._layouts: dict[tuple[str, ...], int] = {}

    def series(self, site: str, boiler: str, device: str) -> int:
        """The number of a series."""
        place = site, boiler, device
        number = self._series.get(place)
        if number is None:
            number = self._number(
                "SELECT id FROM series WHERE site = ? AND boiler = ? AND device = ?",
                "INSERT INTO series (site, boiler, device) VALUES (?, ?, ?)",
                place,
            )
            self._series[place] = number
        return number

    def layout(self, metrics: tuple[str, ...]) -> int:
        """The number of an order of metrics."""
        number = self._layouts.get(metrics)
        if number is None:
            number = self._number(
                "SELECT id FROM layout WHERE metrics = ?",
                "INSERT INTO layout (metrics) VALUES (?)",
                (",".join(metrics),),
            )
            self._layouts[metrics] = number
        return number

    def metrics(self, layout: int) -> tuple[str, ...]:
        """The metrics of a layout."""
        query = "SELECT metrics FROM layout WHERE id = ?"
        metrics: str = self._connection.execute(query, (layout,)).fetchone()[0]
        return tuple(metrics.split(",")) if metrics else ()

    def _number(self, select: str, insert: str, values: tuple[str, ...]) -> int:
        found = self._connection.execute(select, values).fetchone()
        if found is not None:
            return int(found[0])
        number = self._connection.execute(insert, values).lastrowid
        if number is None:
            raise sqlite3.DatabaseError(f"no number was given for {values}")
        return number
