"""What a store gives to a backup, and what it takes back besides batches."""

from collections.abc import Iterator
from typing import Protocol

from bridge.records import Batch, RollUp

SLICE_US = 600_000_000
"""A backup asks for ten minutes at a time: 50 boilers at 1 Hz are 30,000 rows."""


class Archive(Protocol):
    """Everything that a store holds, in spans of time; raises StoreError as the store does.

    `Store.write` takes the batches of `records` back; writing them again changes nothing.
    """

    def span(self) -> tuple[int, int] | None:
        """The first moment of which something is stored, and the one after the last (epoch µs)."""

    def records(self, start_us: int, end_us: int) -> Iterator[Batch]:
        """Rows, statuses, insights, summaries and alarm events of a span, with their batch_id."""

    def windows(self, start_us: int, end_us: int) -> Iterator[RollUp]:
        """The windows of every tier that start in a span."""

    def write_windows(self, windows: list[RollUp]) -> None:
        """Store windows, each over the one that was there."""


def slices(start_us: int, end_us: int) -> Iterator[tuple[int, int]]:
    """A span in slices of at most SLICE_US, on its whole multiples."""
    low = start_us
    while low < end_us:
        high = min((low // SLICE_US + 1) * SLICE_US, end_us)
        yield low, high
        low = high
