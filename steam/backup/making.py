"""Makes a backup of whatever the settings name."""

import sqlite3
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

from bridge.clock import from_us, to_us
from bridge.records import Batch, RollUp
from steam.backup.archive_file import FORMAT, ArchiveWriter, Entry, Head, Manifest
from steam.backup.digest import Digest
from steam.settings import Settings
from store.archive import Archive

SETTINGS_FILE, PLANT_FILE = "settings/steam.yaml", "settings/plant.yaml"
SIDE_FILES = ("quarantine.sqlite", "outbox.sqlite")
"""Files of the embedded deployment beside its store, and the place of each in a backup."""

_DAY_US = 86_400_000_000
_WINDOWS = 500


class Making:
    """Writes one backup, a day at a time; `days` tells how many there are."""

    def __init__(
        self, settings: Settings, config: Path, archive: Archive, heads: dict[str, Head]
    ) -> None:
        self._settings = settings
        self._config = config
        self._archive = archive
        self._heads = heads
        self._digest = Digest()

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
            for start_us, end_us in days:
                name = from_us(start_us).date().isoformat()
                file.add_day(name, self._entries(start_us, end_us))
                yield name
            self._add_side_files(file)
            file.end(
                Manifest(
                    format=FORMAT,
                    steam=_version(),
                    made_at=now.astimezone(UTC).isoformat(timespec="seconds"),
                    deployment=self._settings.deployment,
                    members=file.members,
                    sums=self._digest.sums(),
                    heads=self._heads,
                )
            )

    def _entries(self, start_us: int, end_us: int) -> Iterator[Entry]:
        for batch in self._archive.records(start_us, end_us):
            yield self._of_batch(batch)
        windows: list[RollUp] = []
        for window in self._archive.windows(start_us, end_us):
            windows.append(window)
            if len(windows) == _WINDOWS:
                yield self._of_windows(windows)
                windows = []
        if windows:
            yield self._of_windows(windows)

    def _of_batch(self, batch: Batch) -> Entry:
        self._digest.add(batch)
        return Entry(batch=batch)

    def _of_windows(self, windows: list[RollUp]) -> Entry:
        self._digest.add_windows(windows)
        return Entry(windows=windows)

    def _add_side_files(self, file: ArchiveWriter) -> None:
        for name in SIDE_FILES if self._settings.deployment == "embedded" else ():
            path = self._settings.data_path / name
            if path.exists():
                with tempfile.TemporaryDirectory() as folder:
                    copy = Path(folder) / name
                    _copy_database(path, copy)
                    file.add_file(f"files/{name}", copy)


def _copy_database(path: Path, copy: Path) -> None:
    """A copy of one moment, taken beside a running Steam."""
    source, target = sqlite3.connect(path), sqlite3.connect(copy)
    try:
        source.backup(target)
    finally:
        source.close()
        target.close()


def _version() -> str:
    try:
        return metadata.version("steam-boilers")
    except metadata.PackageNotFoundError:
        return "from sources"
