"""Small batches gathered into large writes: each is a flush to the disk or a request."""

from bridge.records import Batch, RollUp
from store.archive import Archive
from store.errors import Refused, TooLarge

_TOGETHER = 5_000
_BYTES_OF_ONE = 300
_WORDS = 10


class Pending:
    """Writes batches and windows some 1.5 MB at a time; what a store refuses is told, not fatal.

    `refused` are the store's words, the first ten of them.
    """

    def __init__(self, archive: Archive) -> None:
        self.refused: list[str] = []
        self._archive = archive
        self._batches: list[Batch] = []
        self._weight = 0
        self._windows: list[RollUp] = []

    def add(self, batch: Batch) -> None:
        """Take a batch, and write where enough has been gathered."""
        self._batches.append(batch)
        bodies = sum(len(status.body) for status in batch.statuses)
        self._weight += records_in(batch) + bodies // _BYTES_OF_ONE
        if self._weight >= _TOGETHER:
            self._write()

    def add_windows(self, windows: list[RollUp]) -> None:
        """Take windows, and write where enough have been gathered."""
        self._windows += windows
        if len(self._windows) >= _TOGETHER:
            self._write_windows()

    def flush(self) -> None:
        """Write what waits."""
        self._write()
        self._write_windows()

    def _write(self) -> None:
        if self._batches:
            self._halving(self._batches)
        self._batches, self._weight = [], 0

    def _write_windows(self) -> None:
        if self._windows:
            self._archive.write_windows(self._windows)
        self._windows = []

    def _halving(self, batches: list[Batch]) -> None:
        try:
            self._archive.write(batches)
        except (Refused, TooLarge) as error:
            if len(batches) > 1:
                middle = len(batches) // 2
                self._halving(batches[:middle])
                self._halving(batches[middle:])
            elif isinstance(error, TooLarge):
                raise
            elif len(self.refused) < _WORDS:
                self.refused.append(str(error))


def records_in(batch: Batch) -> int:
    """How many records a batch holds."""
    return (
        sum(len(rows.times_us) for rows in batch.rows)
        + len(batch.statuses)
        + len(batch.insights)
        + len(batch.alarm_events)
        + (batch.summary is not None)
    )
