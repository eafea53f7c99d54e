"""Whether a store that holds other things too holds all of a backup."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

from bridge.clock import to_us
from steam.backup.archive_file import Entry
from steam.backup.digest import hashes, window_hashes
from store.archive import Archive

_AT_ONCE = 500_000
"""So many hashes take some 70 MB; a day with more is gone through several times."""


def missing_of_day(
    day: str, entries: Callable[[], Iterable[Entry]], archive: Archive, at_once: int = _AT_ONCE
) -> list[str]:
    """A sentence for each measurement of which the store lacks records of the day, or has others."""
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    span = (to_us(start), to_us(start + timedelta(days=1)))
    parts = -(-sum(1 for _ in _of_entries(entries())) // at_once)
    lacking: Counter[str] = Counter()
    for part in range(parts):
        wanted = {each for each in _of_entries(entries()) if each[1] % parts == part}
        wanted.difference_update(_of_store(archive, *span))
        lacking.update(name for name, _ in wanted)
    return [
        f"{day}, {name}: {count} records are not there as in the backup"
        for name, count in sorted(lacking.items())
    ]


def _of_entries(entries: Iterable[Entry]) -> Iterator[tuple[str, int]]:
    for entry in entries:
        if entry.batch is not None:
            yield from hashes(entry.batch)
        yield from window_hashes(entry.windows)


def _of_store(archive: Archive, start_us: int, end_us: int) -> Iterator[tuple[str, int]]:
    for batch in archive.records(start_us, end_us):
        yield from hashes(batch)
    yield from window_hashes(archive.windows(start_us, end_us))
