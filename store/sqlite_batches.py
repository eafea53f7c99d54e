"""Batches into the SQLite store."""

import sqlite3
from collections.abc import Sequence

import msgspec

from bridge.records import Batch
from store.sqlite_rows import write_rows
from store.sqlite_tables import cells, upsert


def write_batch(connection: sqlite3.Connection, batch: Batch) -> None:
    """Store a batch within the transaction that is open; raises sqlite3.Error."""
    write_rows(connection, batch.rows, batch.batch_id)
    _write_records(connection, batch.statuses)
    _write_records(connection, batch.alarm_events)
    _write_records(connection, batch.insights)
    if batch.summary is not None:
        _write_records(connection, [batch.summary])


def _write_records(connection: sqlite3.Connection, records: Sequence[msgspec.Struct]) -> None:
    if records:
        connection.executemany(upsert(type(records[0])), map(cells, records))
