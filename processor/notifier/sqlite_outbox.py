"""Transitions on their way to the notifier, in SQLite: the embedded deployment."""

import sqlite3
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Self

import msgspec
import structlog

from bridge.clock import Clock, to_us, utc_now
from bridge.records import AlarmEvent
from processor.notifier.source import Taken
from processor.results import PublishFailed
from processor.sqlite_durable import open_durable

log = structlog.get_logger(__name__)

KEPT_US = 30 * 86_400 * 1_000_000
"""How long a transition that is done stays, so that its id is known if it comes again."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS alarm_outbox (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    event BLOB NOT NULL,
    put_at_us INTEGER NOT NULL,
    done_at_us INTEGER
);
CREATE INDEX IF NOT EXISTS alarm_outbox_waiting ON alarm_outbox (n) WHERE done_at_us IS NULL;
"""
_PUT = "INSERT OR IGNORE INTO alarm_outbox (id, event, put_at_us) VALUES (?, ?, ?)"
_NEXT = "SELECT n, event FROM alarm_outbox WHERE done_at_us IS NULL AND n > ? ORDER BY n LIMIT ?"
_DONE = "UPDATE alarm_outbox SET done_at_us = ? WHERE n = ?"
_FORGET = "DELETE FROM alarm_outbox WHERE done_at_us < ?"
_FETCH_LIMIT = 500
_LOOK_EVERY_S = 0.5
_EVENT = msgspec.json.Decoder(AlarmEvent)


class SqliteOutbox:
    """Both ends of the outbox: `put` for the evaluator, TransitionSource for the notifier.

    The ends may be one object in one process, or two on the same file. A token is the
    row's number; `put` wakes a `fetch` of the same object, another's looks twice a second.
    """

    def __init__(self, path: Path, clock: Clock = utc_now) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._connection: sqlite3.Connection | None = None
        self._users = 0
        self._handed_over = 0
        self._done: list[int] = []
        self.fault = ""

    def open(self) -> None:
        """Open the file, making it where it is new; both ends may, each closing once."""
        with self._lock:
            self._users += 1
            if self._connection is not None:
                return
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = open_durable(self._path, _SCHEMA)
            with connection:
                connection.execute(_FORGET, (to_us(self._clock()) - KEPT_US,))
            self._connection = connection
            self._handed_over = 0

    def put(self, events: list[AlarmEvent]) -> None:
        """Keep the events durably; an id put before changes nothing; raises PublishFailed."""
        now_us = to_us(self._clock())
        rows = [(event.id, msgspec.json.encode(event), now_us) for event in events]
        try:
            with self._lock, self._open() as connection:
                connection.executemany(_PUT, rows)
        except sqlite3.Error as error:
            raise PublishFailed(f"outbox {self._path} cannot be written: {error}") from None
        self._news.set()

    def fetch(self, timeout_s: float) -> list[Taken]:
        """What was put and not yet handed over, oldest first."""
        until = time.monotonic() + timeout_s
        while True:
            self._news.clear()
            taken = self._next()
            left_s = until - time.monotonic()
            if taken or left_s <= 0:
                return taken
            self._news.wait(min(left_s, _LOOK_EVERY_S))

    def done(self, token: int) -> None:
        """Mark a transition done; where the file cannot be written, with the next fetch."""
        self._done.append(token)

    def prune(self, now: datetime) -> int:
        """Forget what was done more than 30 days ago; returns how many went."""
        with self._lock, self._open() as connection:
            return connection.execute(_FORGET, (to_us(now) - KEPT_US,)).rowcount

    def waiting(self) -> int:
        """How many transitions are not done."""
        with self._lock:
            query = "SELECT count(*) FROM alarm_outbox WHERE done_at_us IS NULL"
            return int(self._open().execute(query).fetchone()[0])

    def close(self) -> None:
        """Write what is done, and close the file once every end that opened it is closed."""
        if self._connection is None:
            return
        self._write_done()
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._connection.close()
                self._connection = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _next(self) -> list[Taken]:
        self._write_done()
        try:
            with self._lock:
                limits = (self._handed_over, _FETCH_LIMIT)
                rows = self._open().execute(_NEXT, limits).fetchall()
        except sqlite3.Error as error:
            self._tell(f"outbox {self._path} cannot be read: {error}")
            return []
        if rows:
            self._handed_over = rows[-1][0]
        return [Taken(number, _EVENT.decode(body)) for number, body in rows]

    def _write_done(self) -> None:
        if not self._done:
            return
        now_us = to_us(self._clock())
        try:
            with self._lock, self._open() as connection:
                connection.executemany(_DONE, [(now_us, number) for number in self._done])
        except sqlite3.Error as error:
            self._tell(f"outbox {self._path} cannot be written: {error}; is the disk full?")
            return
        self._done.clear()
        self._tell("")

    def _tell(self, fault: str) -> None:
        if fault and fault != self.fault:
            log.warning("outbox fails, trying again", reason=fault)
        self.fault = fault

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise PublishFailed(f"outbox {self._path} is not open")
        return self._connection
