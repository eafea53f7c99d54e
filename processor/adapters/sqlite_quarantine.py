"""The quarantine as a table in SQLite: the embedded deployment."""

import sqlite3
import threading
from pathlib import Path

from bridge.messages import Reason
from processor.quarantine import BadMessage
from processor.results import PublishFailed
from processor.sqlite_durable import open_durable

_SCHEMA = """
CREATE TABLE IF NOT EXISTS quarantine (
    id INTEGER PRIMARY KEY,
    routing_key TEXT NOT NULL,
    body BLOB NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    at_us INTEGER NOT NULL
)
"""
_MOST_BYTES = 1_000_000_000
_COLUMNS = "routing_key, body, reason, detail, at_us"


class SqliteQuarantine:
    """Bad messages in one file; implements Quarantine and what a desk needs."""

    def __init__(self, path: Path, *, most_bytes: int = _MOST_BYTES) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file, making it where it is new."""
        self._connection = open_durable(self._path, _SCHEMA)

    def put(self, messages: list[BadMessage]) -> set[int]:
        """Keep the messages durably, all of them or, where the file is full, none."""
        rows = [(m.routing_key, m.body, m.reason.value, m.detail, m.at_us) for m in messages]
        statement = f"INSERT INTO quarantine ({_COLUMNS}) VALUES (?, ?, ?, ?, ?)"  # noqa: S608
        try:
            with self._lock, self._open() as connection:
                if _used_bytes(connection) >= self._most_bytes:
                    return set(range(len(messages)))
                connection.executemany(statement, rows)
        except sqlite3.Error as error:
            raise PublishFailed(f"quarantine {self._path} cannot be written: {error}") from None
        return set()

    def messages(self, limit: int = 1000) -> list[BadMessage]:
        """The messages in quarantine, oldest first."""
        return [message for _, message in self.numbered(limit)]

    def drop(self, identity: str) -> BadMessage | None:
        """Remove a message for good; None: no such id."""
        for number, message in self.numbered(-1):
            if message.id == identity:
                self.remove(number)
                return message
        return None

    def remove(self, number: int) -> None:
        """Remove the message of a number for good."""
        with self._lock, self._open() as connection:
            connection.execute("DELETE FROM quarantine WHERE id = ?", (number,))

    def numbered(self, limit: int) -> list[tuple[int, BadMessage]]:
        """The messages with the numbers by which they can be removed, oldest first."""
        query = f"SELECT id, {_COLUMNS} FROM quarantine ORDER BY id LIMIT ?"  # noqa: S608
        with self._lock:
            rows = self._open().execute(query, (limit,)).fetchall()
        return [
            (
                number,
                BadMessage(
                    routing_key=key, body=body, reason=Reason(reason), detail=detail, at_us=at_us
                ),
            )
            for number, key, body, reason, detail, at_us in rows
        ]

    def count(self) -> int:
        """How many messages are in quarantine."""
        with self._lock:
            return int(self._open().execute("SELECT count(*) FROM quarantine").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise PublishFailed(f"quarantine {self._path} is not open")
        return self._connection


def _used_bytes(connection: sqlite3.Connection) -> int:
    """How much of the file holds something."""
    (size, pages, free) = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_size", "page_count", "freelist_count")
    )
    return size * (pages - free)
