"""The port to the time-series store, and what it answers."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Annotated, Protocol

import msgspec

from bridge.records import AlarmEvent, Batch, BatchSummary, DeviceStatus, Rows

LATEST_WITHIN_US = 24 * 3600 * 1_000_000
MINUTE_US = 60_000_000


Days = Annotated[int, msgspec.Meta(ge=1, le=36_500)]
"""A slip of the pen must not delete everything: at least a day, at most a century."""


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """For how many days each bucket keeps its data; None keeps it for ever."""

    raw_days: Days | None = 90
    rollup_days: Days | None = 5 * 365
    events_days: Days | None = None


class Reading(msgspec.Struct, frozen=True):
    """One value of one metric: its time (epoch µs), the value, and its OPC code."""

    at_us: int
    value: float
    quality: int = 192


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One metric over a span, within a point budget, never losing a minimum or maximum.

    All lists have the same length, ordered by time. `step_us` is 0 where the points are
    the stored rows themselves (then min, max, mean and last are equal and count is 1);
    else each point is a bucket of that many µs, aligned to the epoch, `times_us` its
    start, and buckets without a value are left out.
    """

    metric: str
    step_us: int
    times_us: list[int]
    minimum: list[float]
    maximum: list[float]
    mean: list[float]
    last: list[float]
    count: list[int]


class BatchMinute(msgspec.Struct, frozen=True, kw_only=True):
    """What was processed in one minute: the sums of its flushes.

    A flush belongs to the UTC minute of its `at_us`, the moment from which its batch_id
    was made; `batch_id` is that of the minute's last flush.
    """

    batch_id: str
    flushes: int
    rows: int
    messages: int
    bytes: int
    quarantined: int
    lag_ms_max: int
    first_at_us: int
    last_at_us: int


class Store(Protocol):
    """A time-series store: written by recorders, read by dashboards and on take-over.

    Every method raises StoreError (store/errors.py) and nothing of the vendor's. Spans
    are half-open [start_us, end_us) in epoch µs. Writing the same record again changes
    nothing; a row's identity is its series and its time. Writing other fields under the
    same identity unites them, the last value of a field wins; None (or a number that is
    not finite) is no field. Where two devices of a boiler give a metric a value at the
    same µs, the greater counts as the later.
    """

    def open(self) -> None:
        """Get ready to be used; does not fail where the server is away."""

    def close(self) -> None:
        """Give back connections and files."""

    def init(self, retention: Retention) -> list[str]:
        """Make the buckets or tables; returns a sentence per thing made or changed."""

    def check(self) -> str:
        """Test reachability, account and buckets; returns the server's name and version."""

    def write(self, batch: Batch) -> None:
        """Store all of the batch durably, or raise; what was written stays valid."""

    def latest(self, site: str, boiler: str) -> dict[str, Reading]:
        """The newest value of each metric of a boiler (at most a day old)."""

    def series(
        self,
        site: str,
        boiler: str,
        metrics: list[str],
        start_us: int,
        end_us: int,
        points: int,
    ) -> list[Series]:
        """Each asked metric over the span, with at most `points` points (at least 10)."""

    def roll_up(
        self, width_us: int, start_us: int, end_us: int, place: tuple[str, str] | None = None
    ) -> int:
        """Compute the windows of a tier anew from the rows in the span, and store them.

        `width_us` is one of bridge.series.ROLL_UPS; the span begins and ends with a window.
        `place` is (site, boiler), None all boilers. Windows without rows are left as they
        are. Returns how many windows were stored.
        """

    def newest_roll_up(self, width_us: int) -> int | None:
        """When the newest window of a tier starts (epoch µs); None where there is none."""

    def retention(self) -> Retention:
        """For how long the store keeps each bucket's data; raises Misconfigured without buckets."""

    def rows(self, site: str, boiler: str, start_us: int, end_us: int) -> list[Rows]:
        """The stored rows of a boiler by time, each as Rows of one row, with boot and seq.

        Its metrics are in alphabetical order, those alone that have a value or a code.
        """

    def batches(self, start_us: int, end_us: int) -> list[BatchMinute]:
        """The minutes in which batches were processed within the span, oldest first."""

    def statuses(self, start_us: int, end_us: int) -> list[DeviceStatus]:
        """What devices said of themselves within the span, oldest first."""

    def alarm_events(
        self, start_us: int, end_us: int, *, boiler: str | None = None, limit: int = 10_000
    ) -> list[AlarmEvent]:
        """Alarm events within the span by `at_us`, newest first, at most `limit`."""

    def alarm_heads(self) -> dict[str, AlarmEvent]:
        """The last event of each boiler's chain, by boiler: the one recorded last.

        Their writer sees to it that `recorded_at_us` rises along a chain; `n` does not
        tell where two writers numbered alike.
        """

    def open_alarms(self) -> list[AlarmEvent]:
        """The event recorded last, retroactive ones aside, of each alarm that is not NORMAL."""


def minutes_of(summaries: Iterable[BatchSummary]) -> list[BatchMinute]:
    """Sum up flushes by the UTC minute of their `at_us`, oldest first."""
    by_minute: dict[int, list[BatchSummary]] = defaultdict(list)
    for summary in summaries:
        by_minute[summary.at_us // MINUTE_US].append(summary)
    return [_minute_of(by_minute[minute]) for minute in sorted(by_minute)]


def _minute_of(flushes: list[BatchSummary]) -> BatchMinute:
    newest = max(flushes, key=lambda flush: (flush.at_us, flush.batch_id))
    return BatchMinute(
        batch_id=newest.batch_id,
        flushes=len(flushes),
        rows=sum(flush.rows for flush in flushes),
        messages=sum(flush.messages for flush in flushes),
        bytes=sum(flush.bytes for flush in flushes),
        quarantined=sum(flush.quarantined for flush in flushes),
        lag_ms_max=max(flush.lag_ms for flush in flushes),
        first_at_us=min(flush.first_at_us for flush in flushes),
        last_at_us=max(flush.last_at_us for flush in flushes),
    )
