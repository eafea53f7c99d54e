"""Brings a backup back: checked whole before anything is written, compared afterwards."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from bridge.clock import to_us
from bridge.records import AlarmEvent, Batch, RollUp
from processor.alarms.journal import verify
from steam.backup.archive_file import ArchiveReader, BackupFault
from steam.backup.digest import Digest, differences
from steam.backup.making import PLANT_FILE, SETTINGS_FILE, SIDE_FILES
from steam.settings import Settings
from store.archive import Archive
from store.port import Retention, Store

_TOGETHER = 2_000


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: records by measurement, those too old to be kept, files, what differs."""

    records: dict[str, int]
    left_out: int
    files: list[str]
    differences: list[str]


class Restoring:
    """One backup on its way into one store."""

    def __init__(self, reader: ArchiveReader) -> None:
        self._reader = reader
        self._written = Digest()
        self._left_out = 0

    def check(self) -> Iterator[str]:
        """Check every member, every record and the alarm chain; names what it is at.

        Raises BackupFault for the first fault; nothing has been written then.
        """
        yield from self._reader.check()
        digest, events = Digest(), list[AlarmEvent]()
        for name in self._reader.days:
            for entry in self._reader.entries(name):
                digest.add_windows(entry.windows)
                if entry.batch is not None:
                    digest.add(entry.batch)
                    events += entry.batch.alarm_events
            yield name
        faults = differences(self._reader.manifest.sums, digest.sums())
        faults += verify(events)
        newest = {event.boiler: event for event in sorted(events, key=lambda event: event.n)}
        for boiler, head in self._reader.manifest.heads.items():
            found = newest.get(boiler)
            if found is None or found.n < head.n:
                faults.append(f"{boiler}: the chain of alarm events ends before event {head.n}")
        if faults:
            raise BackupFault("; ".join(faults))

    def write(
        self, store: Store, archive: Archive, retention: Retention, now: datetime
    ) -> Iterator[str]:
        """Write every day, naming it when it is done; what the store would not keep is left out."""
        oldest = _Oldest(retention, now)
        for name in self._reader.days:
            pending = _Pending(store, archive)
            for entry in self._reader.entries(name):
                if entry.batch is not None:
                    self._take(oldest.of_batch(entry.batch), entry.batch, pending)
                windows = [each for each in entry.windows if each.start_us >= oldest.rollup_us]
                self._left_out += len(entry.windows) - len(windows)
                self._written.add_windows(windows)
                pending.add_windows(windows)
            pending.flush()
            yield name

    def _take(self, kept: Batch, given: Batch, pending: "_Pending") -> None:
        self._left_out += _size(given) - _size(kept)
        self._written.add(kept)
        pending.add(kept)

    def compare(self, archive: Archive, start_us: int, end_us: int) -> list[str]:
        """Read back what was written; a sentence for each measurement that is not the same."""
        found = Digest()
        for batch in archive.records(start_us, end_us):
            found.add(batch)
        found.add_windows(archive.windows(start_us, end_us))
        return differences(self._written.sums(), found.sums())

    def restore_files(self, settings: Settings, config: Path) -> list[str]:
        """Put files where there are none; settings and plant beside those that are there."""
        wanted = [(SETTINGS_FILE, config), (PLANT_FILE, settings.plant_path)]
        if settings.deployment == "embedded":
            wanted += [(f"files/{name}", settings.data_path / name) for name in SIDE_FILES]
        told = []
        for name, path in wanted:
            content = self._reader.text(name)
            if content is None or (path.exists() and path.read_bytes() == content):
                continue
            at = path.with_name(f"{path.name}.restored") if path.exists() else path
            at.write_bytes(content)
            told.append(str(at))
        return told

    def result(self, files: list[str], differing: list[str]) -> Restored:
        """What came of it."""
        records = {name: each.count for name, each in self._written.sums().items()}
        return Restored(
            records=records, left_out=self._left_out, files=files, differences=differing
        )


class _Oldest:
    """From when on the store keeps what is written, by bucket (epoch µs)."""

    def __init__(self, retention: Retention, now: datetime) -> None:
        def since(days: int | None) -> int:
            return 0 if days is None else to_us(now - timedelta(days=days))

        self._raw_us = since(retention.raw_days)
        self.rollup_us = since(retention.rollup_days)
        self._events_us = since(retention.events_days)

    def of_batch(self, batch: Batch) -> Batch:
        """The batch without what is older."""
        raw_us = self._raw_us
        summary = batch.summary
        return msgspec.structs.replace(
            batch,
            rows=[each for each in batch.rows if each.times_us[0] >= raw_us],
            statuses=[each for each in batch.statuses if each.at_us >= raw_us],
            insights=[each for each in batch.insights if each.at_us >= raw_us],
            alarm_events=[each for each in batch.alarm_events if each.at_us >= self._events_us],
            summary=summary if summary is not None and summary.at_us >= raw_us else None,
        )


class _Pending:
    """Gathers small batches of one batch_id into larger ones: a write to the disk each."""

    def __init__(self, store: Store, archive: Archive) -> None:
        self._store = store
        self._archive = archive
        self._batch = Batch(batch_id="")
        self._windows: list[RollUp] = []

    def add(self, batch: Batch) -> None:
        """Take a batch, and write those before it where it cannot join them."""
        mine = self._batch
        if batch.batch_id != mine.batch_id or mine.summary is not None or _size(mine) >= _TOGETHER:
            self._write()
            mine = Batch(batch_id=batch.batch_id)
        self._batch = msgspec.structs.replace(
            mine,
            rows=mine.rows + batch.rows,
            statuses=mine.statuses + batch.statuses,
            insights=mine.insights + batch.insights,
            alarm_events=mine.alarm_events + batch.alarm_events,
            summary=batch.summary,
        )

    def add_windows(self, windows: list[RollUp]) -> None:
        """Take windows."""
        self._windows += windows
        if len(self._windows) >= _TOGETHER:
            self._archive.write_windows(self._windows)
            self._windows = []

    def flush(self) -> None:
        """Write what waits."""
        self._write()
        self._archive.write_windows(self._windows)
        self._windows = []

    def _write(self) -> None:
        if _size(self._batch):
            self._store.write(self._batch)
        self._batch = Batch(batch_id="")


def _size(batch: Batch) -> int:
    return (
        sum(len(rows.times_us) for rows in batch.rows)
        + len(batch.statuses)
        + len(batch.insights)
        + len(batch.alarm_events)
        + (batch.summary is not None)
    )
