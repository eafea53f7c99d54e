"""The notifier's ledger in SQLite: no target is told twice after a restart."""

import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path

from bridge.clock import Clock, to_us, utc_now
from processor.notifier.source import LedgerFailed, Outcome
from processor.sqlite_durable import open_durable

KEPT_US = 31 * 86_400 * 1_000_000
"""How long an outcome is remembered: longer than a transition can wait in its source."""

_FORGET_EVERY_US = 86_400 * 1_000_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS alarm_told (
    id TEXT NOT NULL,
    target TEXT NOT NULL,
    outcome TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    PRIMARY KEY (id, target)
) WITHOUT ROWID
"""


class SqliteLedger:
    """Outcomes in one file, which may be the outbox's; implements Ledger."""

    def __init__(self, path: Path, clock: Clock = utc_now) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._forgot_at_us = 0

    def open(self) -> None:
        """Open the file, making it where it is new; forget what is older than a month."""
        self._connection = open_durable(self._path, _SCHEMA)
        self._forget()

    def settled(self, event_id: str) -> set[str]:
        """The targets that are settled for a transition; raises LedgerFailed."""
        try:
            with self._lock:
                query = "SELECT target FROM alarm_told WHERE id = ?"
                return {row[0] for row in self._open().execute(query, (event_id,))}
        except sqlite3.Error as error:
            raise LedgerFailed(f"ledger {self._path} cannot be read: {error}") from None

    def note(self, event_ids: Iterable[str], target: str, outcome: Outcome, at_us: int) -> None:
        """Remember an outcome durably; raises LedgerFailed."""
        rows = [(event_id, target, outcome.value, at_us) for event_id in event_ids]
        if at_us - self._forgot_at_us > _FORGET_EVERY_US:
            self._forget()
        try:
            with self._lock, self._open() as connection:
                connection.executemany("INSERT OR IGNORE INTO alarm_told VALUES (?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise LedgerFailed(f"ledger {self._path} cannot be written: {error}") from None

    def given_up(self) -> list[tuple[str, str, int]]:
        """(transition id, target, epoch µs) of every notification that was given up."""
        query = "SELECT id, target, at_us FROM alarm_told WHERE outcome = ? ORDER BY at_us"
        with self._lock:
            return self._open().execute(query, (Outcome.GIVEN_UP.value,)).fetchall()

    def _forget(self) -> None:
        self._forgot_at_us = to_us(self._clock())
        with self._lock, self._open() as connection:
            oldest = self._forgot_at_us - KEPT_US
            connection.execute("DELETE FROM alarm_told WHERE at_us < ?", (oldest,))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise LedgerFailed(f"ledger {self._path} is not open")
        return self._connection
