"""Files of a backup put back: where there are none, or beside those that are there."""

from pathlib import Path

from steam.backup.archive_file import ArchiveReader
from steam.backup.making import PLANT_FILE, SETTINGS_FILE, SIDE_FILES
from steam.settings import Settings


def restore_settings(reader: ArchiveReader, config: Path) -> None:
    """Put the backup's steam.yaml where there is none; raises OSError."""
    reader.copy(SETTINGS_FILE, config)


def restore_files(reader: ArchiveReader, settings: Settings, config: Path) -> list[str]:
    """Put files where there are none, settings and plant beside those that are; a sentence each."""
    told = []
    for name, path in ((SETTINGS_FILE, config), (PLANT_FILE, settings.plant_path)):
        if reader.holds(name) and not (path.exists() and reader.same(name, path)):
            at = path.with_name(f"{path.name}.restored") if path.exists() else path
            told.append(_put(reader, name, at))
    for each in SIDE_FILES if settings.deployment == "embedded" else ():
        name, path = f"files/{each}", settings.data_path / each
        if reader.holds(name) and path.exists():
            told.append(f"left {path} as it is")
        elif reader.holds(name):
            told.append(_put(reader, name, path))
    return told


def _put(reader: ArchiveReader, name: str, path: Path) -> str:
    """A folder may be read-only, as a ConfigMap is: no reason to fail at the end of a restore."""
    try:
        reader.copy(name, path)
    except OSError as error:
        return f"could not write {path} ({error.strerror}); take it: tar -xOf BACKUP {name}"
    return f"wrote {path}"
