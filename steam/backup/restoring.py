"""Brings a backup back: checked whole before anything is written, compared afterwards."""

from collections.abc import Iterator

import msgspec

from bridge.records import Batch
from processor.alarms.journal import Chains
from steam.backup.archive_file import ArchiveReader
from steam.backup.comparing import missing_of_day
from steam.backup.digest import Digest, differences
from steam.backup.fault import BackupFault
from steam.backup.oldest import Oldest
from steam.backup.pending import Pending, records_in
from store.archive import Archive


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: records by measurement, those too old to be kept, files, what differs.

    `refused` are the words of a store that did not take a record; `chain_faults` were in the
    store that was backed up.
    """

    records: dict[str, int]
    left_out: int
    files: list[str]
    differences: list[str]
    refused: list[str] = []
    chain_faults: list[str] = []


class Restoring:
    """One backup on its way into one store."""

    def __init__(self, reader: ArchiveReader) -> None:
        self._reader = reader
        self._written = Digest()
        self._left_out = 0
        self._refused: list[str] = []

    @property
    def days(self) -> int:
        """How many days there are."""
        return len(self._reader.days)

    def check(self) -> Iterator[str]:
        """Check every member, every record and the alarm chain; names what it is at.

        Raises BackupFault with all that is wrong; nothing has been written then.
        """
        yield from self._reader.check()
        manifest, digest, chains = self._reader.manifest, Digest(), Chains()
        for name in self._reader.days:
            for entry in self._reader.entries(name):
                digest.add_windows(entry.windows)
                if entry.batch is not None:
                    digest.add(entry.batch)
                    for event in entry.batch.alarm_events:
                        chains.add(event)
            yield name
        faults = differences(manifest.sums, digest.sums())
        # What was wrong in the store is so in its backup: no reason to refuse the rest.
        faults += [each for each in chains.faults() if each not in manifest.chain_faults]
        for boiler, head in manifest.heads.items():
            if not chains.holds(boiler, head.n, head.hash):
                faults.append(f"{boiler}: the chain of alarm events ends before event {head.n}")
        if faults:
            raise BackupFault("; ".join(faults))

    def write(self, archive: Archive, oldest: Oldest) -> Iterator[str]:
        """Write every day, naming it when it is done; what the store would not keep is left out."""
        for name in self._reader.days:
            pending = Pending(archive)
            for entry in self._reader.entries(name):
                windows = oldest.of_windows(entry.windows)
                self._left_out += len(entry.windows) - len(windows)
                self._written.add_windows(windows)
                pending.add_windows(windows)
                if entry.batch is not None:
                    self._take(oldest.of_batch(entry.batch), entry.batch, pending)
            pending.flush()
            self._refused += pending.refused
            yield name

    def _take(self, kept: Batch, given: Batch, pending: Pending) -> None:
        size = records_in(kept)
        self._left_out += records_in(given) - size
        if size:
            self._written.add(kept)
            pending.add(kept)

    def compare(self, archive: Archive, start_us: int, end_us: int) -> list[str]:
        """Read back what was written; a sentence for each measurement that is not the same."""
        found = Digest()
        for batch in archive.records(start_us, end_us):
            found.add(batch)
        found.add_windows(archive.windows(start_us, end_us))
        return differences(self._written.sums(), found.sums())

    def missing(self, archive: Archive, oldest: Oldest) -> Iterator[list[str]]:
        """For each day what of it the store does not hold as the backup does, a sentence each.

        For a store that holds other things too.
        """
        for name in self._reader.days:
            kept = lambda name=name: oldest.of_entries(self._reader.entries(name))  # noqa: E731
            yield missing_of_day(name.removeprefix("data/").removesuffix(".gz"), kept, archive)

    def result(self, files: list[str], differing: list[str]) -> Restored:
        """What came of it."""
        records = {name: each.count for name, each in self._written.sums().items()}
        return Restored(
            records=records,
            left_out=self._left_out,
            files=files,
            differences=differing,
            refused=self._refused,
            chain_faults=self._reader.manifest.chain_faults,
        )
