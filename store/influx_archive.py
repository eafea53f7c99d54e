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
    encode_events,
    encode_raw,
    encode_roll_ups,
)
from store import influx_select as select
from store.errors import Refused
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
_PAGE = 10_000
_PAGE_OF_STATUSES = 1_000
"""A status may be 64 KiB long, a row some 300 bytes."""


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
        span = (start_us, end_us)
        for row in self._points(EVENTS, ALARM_EVENT, *span):
            yield Batch(batch_id="", alarm_events=[select.record_of(AlarmEvent, row)])
        for page in self._pages(RAW, BOILER, *span):
            for batch_id, together in groupby(sorted(page, key=_batch_id), _batch_id):
                found = [select.row_record(row) for row in together]
                for first in range(0, len(found), _ROWS_A_BATCH):
                    yield Batch(batch_id=batch_id, rows=found[first : first + _ROWS_A_BATCH])
        for row in self._points(RAW, DEVICE_STATUS, *span):
            yield Batch(batch_id=_batch_id(row), statuses=[select.record_of(DeviceStatus, row)])
        for row in self._points(RAW, INSIGHT, *span):
            yield Batch(batch_id=_batch_id(row), insights=[select.record_of(Insight, row)])
        for row in self._points(RAW, BATCH, *span):
            yield Batch(batch_id=_batch_id(row), summary=select.record_of(BatchSummary, row))

    def windows(self, start_us: int, end_us: int) -> Iterator[RollUp]:
        """The windows of every tier that start in a span."""
        for width_us, measurement in ROLL_UPS.items():
            for row in self._points(ROLLUP, measurement, start_us, end_us):
                yield select.stored_window(row, width_us)

    def write(self, batches: list[Batch]) -> None:
        """Store several batches at once: alarm events, then all else, each in one request."""
        try:
            events = b"".join(encode_events(batch.alarm_events) for batch in batches)
            raw = b"".join(encode_raw(batch) for batch in batches)
        except ValueError as error:
            raise Refused(
                f"a record cannot be written as line protocol: {error}", str(error)
            ) from error
        if events:
            self._write(EVENTS, events)
        if raw:
            self._write(RAW, raw)

    def write_windows(self, windows: list[RollUp]) -> None:
        """Store windows, each over the one that was there."""
        if windows:
            self._write(ROLLUP, encode_roll_ups(windows))

    def _points(self, policy: str, measurement: str, start_us: int, end_us: int) -> Iterator[Row]:
        for page in self._pages(policy, measurement, start_us, end_us):
            yield from page

    def _pages(
        self, policy: str, measurement: str, start_us: int, end_us: int
    ) -> Iterator[list[Row]]:
        """The points of a span, oldest first, so many at a time as memory holds with ease.

        InfluxDB cuts points of one time in no particular order: a page ends before its last time.
        """
        most = _PAGE_OF_STATUSES if measurement == DEVICE_STATUS else _PAGE
        low = start_us
        while True:
            page = self._asked(policy, measurement, low, end_us, most)
            if len(page) < most:
                yield page
                return
            last = select.whole(page[-1]["time"])
            if select.whole(page[0]["time"]) == last:
                yield self._asked(policy, measurement, last, last + 1, 0)
                low = last + 1
            else:
                yield [row for row in page if row["time"] != last]
                low = last

    def _asked(
        self, policy: str, measurement: str, start_us: int, end_us: int, limit: int
    ) -> list[Row]:
        params = select.span(start_us, end_us)
        (rows,) = self._query(policy, select.points(measurement, limit=limit), params)
        return rows


def _batch_id(row: Row) -> str:
    return str(row.get(BATCH_ID_FIELD) or "")
