"""A SQLite file of which every committed transaction is on the disk."""

import sqlite3
from pathlib import Path

_BUSY_TIMEOUT_S = 10.0


def open_durable(path: Path, schema: str) -> sqlite3.Connection:
    """Open the file, making it and its tables where they are new; for use under one lock.

    `schema` may be repeated without harm (CREATE ... IF NOT EXISTS). Raises sqlite3.Error
    and OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    with connection:
        connection.executescript(schema)
    return connection
