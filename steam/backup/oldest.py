"""What a store would not keep: records older than its retention; pure."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import msgspec

from bridge.clock import to_us
from bridge.records import Batch, RollUp
from steam.backup.archive_file import Entry
from store.port import Retention

_MARGIN = timedelta(hours=1)
"""What expires while a restore runs would be refused, or missing when it is compared."""


class Oldest:
    """From when on a store keeps what is written, by bucket."""

    def __init__(self, retention: Retention, now: datetime) -> None:
        def since(days: int | None) -> int | None:
            return None if days is None else to_us(now - timedelta(days=days) + _MARGIN)

        self._raw_us = since(retention.raw_days)
        self._rollup_us = since(retention.rollup_days)
        self._events_us = since(retention.events_days)

    def of_batch(self, batch: Batch) -> Batch:
        """The batch without what is older."""
        raw_us, summary = self._raw_us, batch.summary
        if raw_us is not None:
            batch = msgspec.structs.replace(
                batch,
                rows=[each for each in batch.rows if each.times_us[0] >= raw_us],
                statuses=[each for each in batch.statuses if each.at_us >= raw_us],
                insights=[each for each in batch.insights if each.at_us >= raw_us],
                summary=summary if summary is not None and summary.at_us >= raw_us else None,
            )
        if self._events_us is not None:
            events = [each for each in batch.alarm_events if each.at_us >= self._events_us]
            batch = msgspec.structs.replace(batch, alarm_events=events)
        return batch

    def of_windows(self, windows: list[RollUp]) -> list[RollUp]:
        """The windows without those that are older."""
        oldest_us = self._rollup_us
        if oldest_us is None:
            return windows
        return [each for each in windows if each.start_us >= oldest_us]

    def of_entries(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The entries without what is older."""
        for each in entries:
            batch = None if each.batch is None else self.of_batch(each.batch)
            yield Entry(batch=batch, windows=self.of_windows(each.windows))
