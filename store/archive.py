"""What a store gives to a backup, and what it takes back besides batches."""

from collections.abc import Iterator
from typing import Protocol

from bridge.records import Batch, RollUp


class Archive(Protocol):
    """Everything that a store holds, in spans of time; raises StoreError as the store does.

    What `write` and `write_windows` take may be written again, and changes nothing then.
    """

    def span(self) -> tuple[int, int] | None:
        """The first moment of which something is stored, and the one after the last (epoch µs)."""

    def records(self, start_us: int, end_us: int) -> Iterator[Batch]:
        """Rows, statuses, insights, summaries and alarm events of a span, with their batch_id."""

    def windows(self, start_us: int, end_us: int) -> Iterator[RollUp]:
        """The windows of every tier that start in a span."""

    def write(self, batches: list[Batch]) -> None:
        """Store several batches at once, each as `Store.write` does: one flush to the disk."""

    def write_windows(self, windows: list[RollUp]) -> None:
        """Store windows, each over the one that was there."""
