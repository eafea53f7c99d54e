"""A SQLite store as a backup reads it."""

import sqlite3
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from bridge.records import AlarmEvent, Batch, BatchSummary, DeviceStatus, Insight, RollUp, Rows
from store.sqlite_batches import write_batch
from store.sqlite_file import SqliteFile
from store.sqlite_range import layouts_of, window_of, write_roll_ups
from store.sqlite_rows import StoredRow
from store.sqlite_tables import columns, record_of

_TABLES = ("boiler", "device_status", "insight", "batch", "alarm_event", "roll_up")
_ROWS_A_BATCH = 1_000
_ROWS = (
    "SELECT batch_id, site, boiler, device, at_us, layout, boot, seq, packed, quality "
    "FROM series JOIN boiler ON series = id WHERE at_us >= ? AND at_us < ? AND series = ? "
    "ORDER BY at_us"
)
_WINDOWS = (
    "SELECT width_us, site, boiler, at_us, layout, packed FROM roll_up "
    "WHERE at_us >= ? AND at_us < ? ORDER BY at_us"
)
_S = TypeVar("_S", bound=msgspec.Struct)


class SqliteArchive:
    """Implements Archive over one SQLite file."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def span(self) -> tuple[int, int] | None:
        """The first moment of which something is stored, and the one after the last."""
        found: list[int] = []
        with self._file.reading() as connection:
            for table in _TABLES:
                ends = connection.execute(f"SELECT min(at_us), max(at_us) FROM {table}")  # noqa: S608
                found += [at_us for at_us in ends.fetchone() if at_us is not None]
        return (min(found), max(found) + 1) if found else None

    def records(self, start_us: int, end_us: int) -> Iterator[Batch]:
        """Rows by their batch_id, then all else, each in batches of its own."""
        with self._file.reading() as connection:
            yield from self._rows(connection, start_us, end_us)
            span = (start_us, end_us)
            for event in _found(connection, AlarmEvent, "alarm_event", span):
                yield Batch(batch_id="", alarm_events=[event])
            for status in _found(connection, DeviceStatus, "device_status", span):
                yield Batch(batch_id="", statuses=[status])
            for insight in _found(connection, Insight, "insight", span):
                yield Batch(batch_id="", insights=[insight])
            for summary in _found(connection, BatchSummary, "batch", span):
                yield Batch(batch_id=summary.batch_id, summary=summary)

    def windows(self, start_us: int, end_us: int) -> Iterator[RollUp]:
        """The windows of every tier that start in a span."""
        with self._file.reading() as connection:
            layouts = layouts_of(connection)
            for width_us, site, boiler, at_us, layout, packed in connection.execute(
                _WINDOWS, (start_us, end_us)
            ):
                yield window_of(site, boiler, width_us, at_us, layouts[layout], packed)

    def write(self, batches: list[Batch]) -> None:
        """Store several batches in one transaction."""
        connection = self._file.connection()
        with self._file.transaction(connection):
            for batch in batches:
                write_batch(connection, batch)

    def write_windows(self, windows: list[RollUp]) -> None:
        """Store windows, each over the one that was there."""
        connection = self._file.connection()
        with self._file.transaction(connection):
            write_roll_ups(connection, windows)

    def _rows(self, connection: sqlite3.Connection, start_us: int, end_us: int) -> Iterator[Batch]:
        layouts = layouts_of(connection)
        for (series,) in connection.execute("SELECT id FROM series ORDER BY id").fetchall():
            batch_id, rows = "", list[Rows]()
            for (
                found,
                site,
                boiler,
                device,
                at_us,
                layout,
                boot,
                seq,
                packed,
                quality,
            ) in connection.execute(_ROWS, (start_us, end_us, series)):
                if rows and (found != batch_id or len(rows) == _ROWS_A_BATCH):
                    yield Batch(batch_id=batch_id, rows=rows)
                    rows = []
                row = StoredRow.read(layouts[layout], packed, quality)
                batch_id = found
                rows.append(row.as_rows(site, boiler, device, at_us, boot, seq))
            if rows:
                yield Batch(batch_id=batch_id, rows=rows)


def _found(
    connection: sqlite3.Connection, kind: type[_S], table: str, span: tuple[int, int]
) -> Iterator[_S]:
    query = f"SELECT {columns(kind)} FROM {table} WHERE at_us >= ? AND at_us < ?"  # noqa: S608
    for stored in connection.execute(query, span):
        yield record_of(kind, stored)
