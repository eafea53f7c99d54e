"""An InfluxDB as a backup reads it."""

from collections.abc import Callable, Iterator
from itertools import groupby

from bridge.records import AlarmEvent, Batch, BatchSummary, DeviceStatus, Insight, RollUp
from bridge.series import (
    ALARM_EVENT,
    BATCH,
    BATCH_ID_FIELD,
    BOILER,
    DEVICE_STATUS,
    EVENTS,
    INSIGHT,
    RAW,
    ROLL_UPS,
    ROLLUP,
    encode_roll_ups,
)
from store import influx_select as select
from store.archive import slices
from store.influx_answers import Row

Query = Callable[[str, str, dict[str, object]], list[list[Row]]]
"""Asks a retention policy statements with their params."""

_PLACES = (
    (RAW, BOILER),
    (RAW, DEVICE_STATUS),
    (RAW, INSIGHT),
    (RAW, BATCH),
    (EVENTS, ALARM_EVENT),
    *((ROLLUP, measurement) for measurement in ROLL_UPS.values()),
)
_ROWS_A_BATCH = 1_000


class InfluxArchive:
    """Implements Archive; `write` writes lines to the bucket of a retention policy."""

    def __init__(self, query: Query, write: Callable[[str, bytes], None]) -> None:
        self._query = query
        self._write = write

    def span(self) -> tuple[int, int] | None:
        """The first moment of which something is stored, and the one after the last."""
        found: list[int] = []
        for policy, measurement in _PLACES:
            for newest in (False, True):
                (rows,) = self._query(policy, select.at_the_end(measurement, newest=newest), {})
                found += [select.whole(row["time"]) for row in rows]
        return (min(found), max(found) + 1) if found else None

    def records(self, start_us: int, end_us: int) -> Iterator[Batch]:
        """Rows by their batch_id, then all else, each in batches of its own."""
        for row in self._points(EVENTS, ALARM_EVENT, start_us, end_us):
            yield Batch(batch_id="", alarm_events=[select.record_of(AlarmEvent, row)])
        for low, high in self._filled(RAW, BOILER, start_us, end_us):
            rows = sorted(self._points(RAW, BOILER, low, high), key=_batch_id)
            for batch_id, together in groupby(rows, _batch_id):
                found = [select.row_record(row) for row in together]
                for first in range(0, len(found), _ROWS_A_BATCH):
                    yield Batch(batch_id=batch_id, rows=found[first : first + _ROWS_A_BATCH])
        for row in self._points(RAW, DEVICE_STATUS, start_us, end_us):
            yield Batch(batch_id=_batch_id(row), statuses=[select.record_of(DeviceStatus, row)])
        for row in self._points(RAW, INSIGHT, start_us, end_us):
            yield Batch(batch_id=_batch_id(row), insights=[select.record_of(Insight, row)])
        for row in self._points(RAW, BATCH, start_us, end_us):
            yield Batch(batch_id=_batch_id(row), summary=select.record_of(BatchSummary, row))

    def windows(self, start_us: int, end_us: int) -> Iterator[RollUp]:
        """The windows of every tier that start in a span."""
        for width_us, measurement in ROLL_UPS.items():
            for low, high in self._filled(ROLLUP, measurement, start_us, end_us):
                for row in self._points(ROLLUP, measurement, low, high):
                    yield select.stored_window(row, width_us)

    def write_windows(self, windows: list[RollUp]) -> None:
        """Store windows, each over the one that was there."""
        if windows:
            self._write(ROLLUP, encode_roll_ups(windows))

    def _filled(
        self, policy: str, measurement: str, start_us: int, end_us: int
    ) -> Iterator[tuple[int, int]]:
        """The span in slices; none where a look says that there is nothing in all of it."""
        params = select.span(start_us, end_us)
        (found,) = self._query(policy, select.points(measurement, limit=1), params)
        if found:
            yield from slices(start_us, end_us)

    def _points(self, policy: str, measurement: str, start_us: int, end_us: int) -> list[Row]:
        (rows,) = self._query(policy, select.points(measurement), select.span(start_us, end_us))
        return rows


def _batch_id(row: Row) -> str:
    return str(row.get(BATCH_ID_FIELD) or "")
