"""Makes a backup of whatever the settings name."""

import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

import msgspec

from bridge.clock import from_us, to_us
from bridge.records import AlarmEvent, Batch, RollUp
from processor.alarms.journal import Chains
from steam.backup.archive_file import FORMAT, ArchiveWriter, Entry, Head, Manifest
from steam.backup.digest import Digest
from steam.backup.fault import BackupFault
from steam.settings import Settings
from store.archive import Archive

SETTINGS_FILE, PLANT_FILE = "settings/steam.yaml", "settings/plant.yaml"
SIDE_FILES = ("quarantine.sqlite", "outbox.sqlite")
"""Files of the embedded deployment beside its store, and the place of each in a backup."""

_DAY_US = 86_400_000_000
_WINDOWS = 500


class Making:
    """Writes one backup, a day at a time; `days` tells how many there are.

    `heads` are the last alarm events of each boiler when the backup begins: what is recorded
    after them is left out, so that no chain has a gap where Steam goes on meanwhile.
    """

    def __init__(
        self,
        settings: Settings,
        config: Path,
        archive: Archive,
        heads: Mapping[str, AlarmEvent],
    ) -> None:
        self._settings = settings
        self._config = config
        self._archive = archive
        self._heads = heads
        self._digest = Digest()
        self._chains = Chains()

    @property
    def chain_faults(self) -> list[str]:
        """What is wrong with the chains of alarm events in the store, as far as they were read."""
        return self._chains.faults()

    def days(self, now: datetime) -> list[tuple[int, int]]:
        """The UTC days of which anything is stored, as spans; what comes later is left out."""
        span = self._archive.span()
        if span is None:
            return []
        start_us, end_us = span[0], min(span[1], to_us(now + timedelta(minutes=10)))
        first = start_us // _DAY_US
        return [(day * _DAY_US, (day + 1) * _DAY_US) for day in range(first, -(-end_us // _DAY_US))]

    def write(self, path: Path, now: datetime) -> Iterator[str]:
        """Write the backup, naming each day when it is done; the file is there at the end."""
        days = self.days(now)
        with ArchiveWriter.open(path) as file:
            file.add_text(SETTINGS_FILE, self._config.read_bytes())
            file.add_text(PLANT_FILE, self._settings.plant_path.read_bytes())
            # Before the store: what moves from them into it meanwhile is then in both, not in neither.
            self._add_side_files(file)
            for start_us, end_us in days:
                name = from_us(start_us).date().isoformat()
                file.add_day(name, self._entries(start_us, end_us))
                yield name
            file.end(
                Manifest(
                    format=FORMAT,
                    steam=_version(),
                    made_at=now.astimezone(UTC).isoformat(timespec="seconds"),
                    deployment=self._settings.deployment,
                    members=file.members,
                    sums=self._digest.sums(),
                    heads={
                        boiler: Head(n=event.n, hash=event.hash)
                        for boiler, event in self._heads.items()
                    },
                    chain_faults=self.chain_faults,
                )
            )

    def _entries(self, start_us: int, end_us: int) -> Iterator[Entry]:
        for batch in self._archive.records(start_us, end_us):
            known = [event for event in batch.alarm_events if self._was_there(event)]
            if len(known) < len(batch.alarm_events):
                batch = msgspec.structs.replace(batch, alarm_events=known)  # noqa: PLW2901
            yield self._of_batch(batch)
        windows: list[RollUp] = []
        for window in self._archive.windows(start_us, end_us):
            windows.append(window)
            if len(windows) == _WINDOWS:
                yield self._of_windows(windows)
                windows = []
        if windows:
            yield self._of_windows(windows)

    def _was_there(self, event: AlarmEvent) -> bool:
        """Whether an event had been recorded when the backup began."""
        head = self._heads.get(event.boiler)
        return head is not None and event.recorded_at_us <= head.recorded_at_us

    def _of_batch(self, batch: Batch) -> Entry:
        self._digest.add(batch)
        for event in batch.alarm_events:
            self._chains.add(event)
        return Entry(batch=batch)

    def _of_windows(self, windows: list[RollUp]) -> Entry:
        self._digest.add_windows(windows)
        return Entry(windows=windows)

    def _add_side_files(self, file: ArchiveWriter) -> None:
        for name in SIDE_FILES if self._settings.deployment == "embedded" else ():
            path = self._settings.data_path / name
            if path.exists():
                with tempfile.TemporaryDirectory(dir=file.folder) as folder:
                    copy = Path(folder) / name
                    _copy_database(path, copy)
                    file.add_file(f"files/{name}", copy)


def _copy_database(path: Path, copy: Path) -> None:
    """A copy of one moment, taken beside a running Steam."""
    source, target = sqlite3.connect(path), sqlite3.connect(copy)
    try:
        source.backup(target)
    except sqlite3.Error as error:
        raise BackupFault(f"{path} cannot be copied to {copy.parent.parent}: {error}") from None
    finally:
        source.close()
        target.close()


def _version() -> str:
    try:
        return metadata.version("steam-boilers")
    except metadata.PackageNotFoundError:
        return "from sources"
