"""Proves that what the broker acknowledged is stored: the publisher's book beside the store's."""

import threading
import time
from collections.abc import Iterable

from bridge.plant import Plant
from bridge.records import Batch
from store.port import Store

Identity = tuple[str, int, int]
"""(device, boot, seq)"""

ALL_TIME_US = (0, 9_000_000_000_000_000)
"""From 1970 to 2255, in epoch µs."""

_NUMBERED = ("data", "hist")


class Ledger:
    """What was acknowledged, when it was published, and when the store had it.

    `acknowledged` is called by the links, `stored` by the recorder's writer; from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._published_at: dict[Identity, float] = {}
        self._stored_at: dict[Identity, float] = {}

    def acknowledged(
        self, topic: str, _payload: bytes, boot: int | None, seq: int | None, published_at: float
    ) -> None:
        """Note a PUBACK of a data message."""
        _, _, _, device, kind = topic.split("/")
        if boot is not None and seq is not None and kind in _NUMBERED:
            with self._lock:
                self._published_at.setdefault((device, boot, seq), published_at)

    def stored(self, batch: Batch, at: float) -> None:
        """Note what a successful write held (epoch seconds)."""
        with self._lock:
            for rows in batch.rows:
                self._stored_at.setdefault((rows.device, rows.boot, rows.seq), at)

    def missing(self, store: Store, plant: Plant) -> set[Identity]:
        """The acknowledged messages of which the store itself, asked anew, has no row."""
        found = {
            (rows.device, rows.boot, rows.seq)
            for boiler in plant.file.boilers
            for rows in store.rows(boiler.site, boiler.name, *ALL_TIME_US)
        }
        with self._lock:
            return set(self._published_at) - found

    def publish_to_stored_p95_ms(self) -> float | None:
        """The 95th percentile of the time from publishing to stored; None without data."""
        with self._lock:
            both = self._published_at.keys() & self._stored_at.keys()
            return _p95([self._stored_at[each] - self._published_at[each] for each in both])


def _p95(seconds: Iterable[float]) -> float | None:
    ordered = sorted(seconds)
    return round(ordered[int(0.95 * (len(ordered) - 1))] * 1000, 1) if ordered else None


class LedgerStore:
    """A store that tells the ledger of each successful write, and is else the store it wraps."""

    def __init__(self, store: Store, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger

    def write(self, batch: Batch) -> None:
        """Write, then tell the ledger."""
        self._store.write(batch)
        self._ledger.stored(batch, time.time())

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)
