"""One SQLite file: its connections, its transactions, and its faults in the port's words."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from store.errors import Misconfigured, Refused, StoreError, Unavailable
from store.sqlite_tables import SCHEMA, SCHEMA_2, SCHEMA_VERSION

_BUSY_TIMEOUT_S = 10.0


class SqliteFile:
    """A SQLite file in WAL mode with synchronous=FULL; each thread has its own connection."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connections: list[tuple[threading.Thread, sqlite3.Connection]] = []
        self._generation = 0

    def close(self) -> None:
        """Close the connections of all threads; no call may be under way."""
        with self._lock:
            self._generation += 1
            for _, connection in self._connections:
                connection.close()
            self._connections.clear()

    def make(self) -> bool:
        """Make the file and its folder where they are not; returns whether it was made."""
        made = not self.path.exists()
        with self.speaking():
            if made:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            sqlite3.connect(self.path).close()
        return made

    def connection(self, *, checked: bool = True) -> sqlite3.Connection:
        """This thread's connection; `checked` asks for tables of this version."""
        generation, known = getattr(self._local, "connection", (-1, None))
        if known is not None and generation == self._generation and self._is_same_file():
            connection: sqlite3.Connection = known
        else:
            with self.speaking():
                connection = self._connect()
            self._keep(connection)
            self._local.connection = (self._generation, connection)
            self._local.file = self._identity()
            self._local.checked = False
        if checked and not self._local.checked:
            self.check_version(connection)
            self._local.checked = True
        return connection

    def _is_same_file(self) -> bool:
        """Whether this thread's connection still is to the file of that name: it may be replaced."""
        same: bool = self._local.file == self._identity()
        return same

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _keep(self, connection: sqlite3.Connection) -> None:
        """Note this thread's connection, and close those of threads that have ended."""
        with self._lock:
            ended = [known for known in self._connections if not known[0].is_alive()]
            for known in ended:
                known[1].close()
                self._connections.remove(known)
            self._connections.append((threading.current_thread(), connection))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,
            # close() may come from another thread; otherwise a connection stays with its own.
            check_same_thread=False,
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def make_tables(self, connection: sqlite3.Connection) -> list[str]:
        """Make the tables that this version knows and the file has not; a sentence where any was made."""
        version = self.version_of(connection)
        if version >= SCHEMA_VERSION:
            self.check_version(connection)
            return []
        for statement in ("" if version else SCHEMA).split(";\n") + SCHEMA_2.split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        return [f"made the tables (version {SCHEMA_VERSION})"]

    def check_version(self, connection: sqlite3.Connection) -> None:
        """Raise Misconfigured where the tables are not there or not of this version."""
        with self.speaking():
            version = self.version_of(connection)
        if version == 0:
            raise Misconfigured(f"{self.path} has no tables; make them with `steam store init`")
        if version < SCHEMA_VERSION:
            raise Misconfigured(
                f"{self.path} has tables of version {version}; `steam store init` brings them to "
                f"version {SCHEMA_VERSION}"
            )
        if version > SCHEMA_VERSION:
            raise Misconfigured(
                f"{self.path} has tables of version {version}, this Steam knows version "
                f"{SCHEMA_VERSION}; use the Steam that made it, or another file"
            )

    def version_of(self, connection: sqlite3.Connection) -> int:
        """The version of the file's tables; 0 where there are none."""
        return int(connection.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection, within one snapshot."""
        connection = self.connection()
        with self.speaking():
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("COMMIT")

    @contextmanager
    def transaction(self, connection: sqlite3.Connection) -> Iterator[None]:
        """A short write: all of it or nothing."""
        with self.speaking():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                connection.execute("COMMIT")
            except BaseException:
                # The fault that led here is the one to tell, not that of the way back.
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Turn SQLite's exceptions into the port's."""
        try:
            yield
        except (sqlite3.IntegrityError, sqlite3.DataError, OverflowError) as error:
            raise Refused(
                f"{self.path} does not take a record: {error}; find it and leave it out",
                str(error),
            ) from error
        except (sqlite3.Error, OSError) as error:
            raise self._translated(error) from error

    def _translated(self, error: sqlite3.Error | OSError) -> StoreError:
        code = getattr(error, "sqlite_errorcode", None)
        kind = None if code is None else code & 0xFF
        if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Unavailable(
                f"{self.path} was locked for {_BUSY_TIMEOUT_S:.0f} s; another program writes "
                "to it for long: end it, or wait"
            )
        if kind == sqlite3.SQLITE_FULL:
            return Unavailable(f"no space left for {self.path}; free space on its disk")
        if kind == sqlite3.SQLITE_CANTOPEN and not self.path.exists():
            return Misconfigured(f"{self.path} is not there; make it with `steam store init`")
        if kind in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_INTERRUPT):
            return Unavailable(f"{self.path} cannot be read or written: {error}; check its disk")
        return Misconfigured(
            f"{self.path} cannot be used: {error}; is it Steam's file, and may this account "
            "write it and its folder?"
        )
