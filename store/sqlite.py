"""The store in one SQLite file: the embedded deployment."""

import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from bridge.clock import Clock, to_us, utc_now
from bridge.records import AlarmEvent, AlarmState, Batch, BatchSummary, DeviceStatus, RollUp, Rows
from bridge.series import EVENTS, RAW, ROLLUP
from store.port import LATEST_WITHIN_US, BatchMinute, Reading, Retention, Series, minutes_of
from store.sqlite_archive import SqliteArchive
from store.sqlite_batches import write_batch
from store.sqlite_file import SqliteFile
from store.sqlite_range import SqliteRange, layouts_of, places, series_of, write_roll_ups
from store.sqlite_rows import StoredRow
from store.sqlite_tables import columns, record_of
from store.tiers import ranged

_PRUNE_ROWS = 5_000
_TABLES_OF = {
    RAW: ("boiler", "device_status", "insight", "batch"),
    ROLLUP: ("roll_up",),
    EVENTS: ("alarm_event",),
}
_S = TypeVar("_S", bound=msgspec.Struct)


class SqliteStore:
    """The store port over one SQLite file (WAL, synchronous=FULL), for threads and processes.

    Each thread gets a connection of its own; `close` closes them all. Data older than the
    retention goes when `prune` is called, as `init` does.
    """

    def __init__(self, path: Path | str, *, clock: Clock = utc_now) -> None:
        self._file = SqliteFile(Path(path))
        self._clock = clock

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Nothing to get ready: each thread connects when it first asks."""

    def close(self) -> None:
        """Close the connections of all threads; no call may be under way."""
        self._file.close()

    def archive(self) -> SqliteArchive:
        """The store as a backup reads it."""
        return SqliteArchive(self._file)

    def init(self, retention: Retention) -> list[str]:
        """Make the file and its tables, note the retention, and prune what is older."""
        said = [f"made the file {self._file.path}"] if self._file.make() else []
        connection = self._file.connection(checked=False)
        with self._file.transaction(connection):
            said += self._file.make_tables(connection)
            said += _set_retention(connection, retention)
        self.prune(self._clock())
        return said

    def check(self) -> str:
        """Test that the file is there, whole and can be written; returns SQLite's version."""
        connection = self._file.connection()
        with self._file.transaction(connection):
            connection.execute("SELECT count(*) FROM retention").fetchone()
        return f"SQLite {sqlite3.sqlite_version}, {self._file.path}"

    def prune(self, now: datetime) -> int:
        """Delete what is older than its bucket's retention; returns how many records."""
        connection = self._file.connection()
        with self._file.speaking():
            kept = connection.execute("SELECT bucket, days FROM retention").fetchall()
            known = [number for (number,) in connection.execute("SELECT id FROM series")]
        deleted = 0
        for bucket, days in kept:
            if days is None:
                continue
            before_us = to_us(now - timedelta(days=days))
            for table in _TABLES_OF.get(bucket, ()):
                for place in known if table == "boiler" else [None]:
                    deleted += self._prune(connection, table, place, before_us)
        return deleted

    def _prune(
        self, connection: sqlite3.Connection, table: str, series: int | None, before_us: int
    ) -> int:
        """Delete old records of a table in short transactions, so that writers get through."""
        if series is None:
            chosen = f"rowid IN (SELECT rowid FROM {table} WHERE at_us < :before LIMIT :limit)"  # noqa: S608
        else:
            chosen = (
                "series = :series AND at_us < :before AND at_us <= coalesce((SELECT at_us "
                "FROM boiler WHERE series = :series ORDER BY at_us LIMIT 1 OFFSET :limit), :before)"
            )
        values = {"series": series, "before": before_us, "limit": _PRUNE_ROWS}
        deleted = 0
        while True:
            with self._file.transaction(connection):
                gone = connection.execute(f"DELETE FROM {table} WHERE {chosen}", values).rowcount  # noqa: S608
            deleted += gone
            if gone < _PRUNE_ROWS:
                return deleted

    def write(self, batch: Batch) -> None:
        """Store the batch in one transaction, on the disk before this returns."""
        connection = self._file.connection()
        with self._file.transaction(connection):
            write_batch(connection, batch)

    def latest(self, site: str, boiler: str) -> dict[str, Reading]:
        """The newest value of each metric of a boiler (at most a day old)."""
        oldest_us = to_us(self._clock()) - LATEST_WITHIN_US
        found: dict[str, Reading] = {}
        with self._file.reading() as connection:
            layouts = layouts_of(connection)
            for series in series_of(connection, site, boiler):
                for metric, reading in _newest(connection, series, layouts, oldest_us).items():
                    known = found.get(metric)
                    if known is None or reading.at_us > known.at_us or _greater(reading, known):
                        found[metric] = reading
        return found

    def series(
        self,
        site: str,
        boiler: str,
        metrics: list[str],
        start_us: int,
        end_us: int,
        points: int,
    ) -> list[Series]:
        """Each asked metric over the span, with at most `points` points."""
        with self._file.reading() as connection:
            source = SqliteRange(connection, site, boiler)
            return ranged(source, metrics, start_us, end_us, points)

    def roll_up(
        self, width_us: int, start_us: int, end_us: int, place: tuple[str, str] | None = None
    ) -> int:
        """Compute the windows of a tier anew from the rows in the span, and store them."""
        found: list[RollUp] = []
        with self._file.reading() as connection:
            for site, boiler in [place] if place else places(connection):
                found += SqliteRange(connection, site, boiler).rolled_up(width_us, start_us, end_us)
        connection = self._file.connection()
        with self._file.transaction(connection):
            write_roll_ups(connection, found)
        return len(found)

    def newest_roll_up(self, width_us: int) -> int | None:
        """When the newest window of a tier starts (epoch µs); None where there is none."""
        query = "SELECT max(at_us) FROM roll_up WHERE width_us = ?"
        with self._file.reading() as connection:
            found: int | None = connection.execute(query, (width_us,)).fetchone()[0]
            return found

    def retention(self) -> Retention:
        """For how long `prune` leaves each bucket's data."""
        with self._file.reading() as connection:
            kept = dict(connection.execute("SELECT bucket, days FROM retention").fetchall())
        return Retention(
            raw_days=kept.get(RAW), rollup_days=kept.get(ROLLUP), events_days=kept.get(EVENTS)
        )

    def rows(self, site: str, boiler: str, start_us: int, end_us: int) -> list[Rows]:
        """The stored rows of a boiler by time, each as Rows of one row, with boot and seq."""
        with self._file.reading() as connection:
            layouts = layouts_of(connection)
            stored = connection.execute(
                "SELECT device, at_us, layout, boot, seq, packed, quality "
                "FROM series JOIN boiler ON series = id "
                "WHERE site = ? AND boiler = ? AND at_us >= ? AND at_us < ? ORDER BY at_us, device",
                (site, boiler, start_us, end_us),
            )
            return [
                StoredRow.read(layouts[layout], packed, quality).as_rows(
                    site, boiler, device, at_us, boot, seq
                )
                for device, at_us, layout, boot, seq, packed, quality in stored
            ]

    def batches(self, start_us: int, end_us: int) -> list[BatchMinute]:
        """The minutes in which batches were processed within the span, oldest first."""
        query = "WHERE at_us >= ? AND at_us < ?"
        return minutes_of(self._records(BatchSummary, "batch", query, (start_us, end_us)))

    def statuses(self, start_us: int, end_us: int) -> list[DeviceStatus]:
        """What devices said of themselves within the span, oldest first."""
        query = "WHERE at_us >= ? AND at_us < ? ORDER BY at_us, site, device, kind"
        return self._records(DeviceStatus, "device_status", query, (start_us, end_us))

    def alarm_events(
        self, start_us: int, end_us: int, *, boiler: str | None = None, limit: int = 10_000
    ) -> list[AlarmEvent]:
        """Alarm events within the span by `at_us`, newest first, at most `limit`."""
        query = (
            "WHERE at_us >= ? AND at_us < ? AND (?3 IS NULL OR boiler = ?3) "
            "ORDER BY at_us DESC, n DESC LIMIT ?4"
        )
        return self._records(AlarmEvent, "alarm_event", query, (start_us, end_us, boiler, limit))

    def alarm_heads(self) -> dict[str, AlarmEvent]:
        """The event recorded last of each boiler, by boiler."""
        query = "GROUP BY boiler HAVING max(recorded_at_us) IS NOT NULL"
        return {event.boiler: event for event in self._records(AlarmEvent, "alarm_event", query)}

    def open_alarms(self) -> list[AlarmEvent]:
        """The event recorded last, retroactive ones aside, of each alarm that is not NORMAL."""
        query = (
            "WHERE NOT retroactive GROUP BY site, boiler, definition "
            "HAVING max(recorded_at_us) IS NOT NULL"
        )
        newest = self._records(AlarmEvent, "alarm_event", query)
        found = [event for event in newest if event.state is not AlarmState.NORMAL]
        return sorted(found, key=lambda event: (event.at_us, event.boiler, event.definition))

    def _records(
        self, kind: type[_S], table: str, query: str, values: tuple[object, ...] = ()
    ) -> list[_S]:
        with self._file.reading() as connection:
            found = connection.execute(
                f"SELECT {columns(kind)} FROM {table} {query}",  # noqa: S608 - our own words
                values,
            ).fetchall()
        return [record_of(kind, stored) for stored in found]


def _set_retention(connection: sqlite3.Connection, retention: Retention) -> list[str]:
    said = []
    known = dict(connection.execute("SELECT bucket, days FROM retention").fetchall())
    wanted = {RAW: retention.raw_days, ROLLUP: retention.rollup_days, EVENTS: retention.events_days}
    for bucket, days in wanted.items():
        if bucket in known and known[bucket] == days:
            continue
        connection.execute("INSERT OR REPLACE INTO retention VALUES (?, ?)", (bucket, days))
        told = "for ever" if days is None else f"for {days} days"
        said.append(f"{bucket} is kept {told}")
    return said


def _newest(
    connection: sqlite3.Connection, series: int, layouts: dict[int, tuple[str, ...]], since_us: int
) -> dict[str, Reading]:
    """The newest reading of each metric of one series, going back no further than needed."""
    span = "WHERE series = ? AND at_us >= ?"
    used = connection.execute(f"SELECT DISTINCT layout FROM boiler {span}", (series, since_us))  # noqa: S608
    missing = {metric for (layout,) in used for metric in layouts[layout]}
    found: dict[str, Reading] = {}
    stored = connection.execute(
        f"SELECT at_us, layout, packed, quality FROM boiler {span} ORDER BY at_us DESC",  # noqa: S608
        (series, since_us),
    )
    for at_us, layout, packed, quality in stored:
        if not missing:
            break
        if missing.isdisjoint(layouts[layout]):
            continue
        row = StoredRow.read(layouts[layout], packed, quality)
        for metric in missing & row.values.keys():
            found[metric] = Reading(at_us, row.values[metric], row.quality.get(metric, 192))
        missing -= found.keys()
    return found


def _greater(one: Reading, other: Reading) -> bool:
    return one.at_us == other.at_us and one.value > other.value
