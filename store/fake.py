"""A store in memory: for tests, and as the plainest statement of what the port means."""

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable
from operator import attrgetter
from threading import Lock
from typing import Self, TypeVar

import msgspec

from bridge.clock import Clock, to_us, utc_now
from bridge.records import (
    AlarmEvent,
    AlarmState,
    Batch,
    BatchSummary,
    DeviceStatus,
    Insight,
    RollUp,
    Rows,
)
from bridge.series import clean_text, finite
from store.buckets import Accumulator, roll_ups_of, windows_series
from store.errors import Misconfigured, Refused, StoreError
from store.port import LATEST_WITHIN_US, BatchMinute, Reading, Retention, Series, minutes_of
from store.tiers import ranged

_S = TypeVar("_S", bound=msgspec.Struct)
_K = TypeVar("_K", bound=tuple[object, ...])


class _Place:
    """The rows and the windows of one boiler; implements RangeSource."""

    def __init__(self, store: "FakeStore", site: str, boiler: str) -> None:
        self._store = store
        self._place = (site, boiler)

    def of_rows(
        self, metrics: list[str], start_us: int, end_us: int, width_us: int, points: int
    ) -> list[Series]:
        """Each metric in buckets, or its values."""
        span = (start_us, end_us)
        return self._store._bucketed(*self._place, metrics, span, width_us, points)  # noqa: SLF001

    def of_windows(
        self, tier_us: int, metrics: list[str], start_us: int, end_us: int
    ) -> tuple[list[int], list[Series]]:
        """When the windows start, and each metric's."""
        return self._store._of_windows(self._place, tier_us, metrics, start_us, end_us)  # noqa: SLF001


class _Row(msgspec.Struct):
    """One stored row."""

    boot: int
    seq: int
    batch_id: str
    values: dict[str, float]
    quality: dict[str, int]


class FakeStore:
    """The store port in memory, safe to use from several threads.

    `failure` set to a StoreError is raised by every call until it is None again: a store
    that is down. `refusing` tells of Rows why they are refused (None: they are not);
    `write` then stores the rest and raises Refused with these words. `writes` lists the
    batches taken, in order.
    """

    def __init__(self, *, initialised: bool = True, clock: Clock = utc_now) -> None:
        self.failure: StoreError | None = None
        self.refusing: Callable[[Rows], str | None] | None = None
        self.writes: list[Batch] = []
        self.kept: Retention | None = Retention() if initialised else None
        self._clock = clock
        self._lock = Lock()
        self._windows: dict[tuple[int, str, str, int], RollUp] = {}
        self._rows: dict[tuple[str, str], dict[str, dict[int, _Row]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        self._statuses: dict[tuple[str, str, str, int], DeviceStatus] = {}
        self._events: dict[tuple[str, str, str, AlarmState, int], AlarmEvent] = {}
        self._insights: dict[tuple[str, str, str, int], Insight] = {}
        self._summaries: dict[tuple[str, int], BatchSummary] = {}

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Nothing to get ready."""

    def close(self) -> None:
        """Nothing to give back; what was written stays."""

    def init(self, retention: Retention) -> list[str]:
        """Be ready for use; a fake keeps everything, whatever the retention."""
        if self.failure is not None:
            raise self.failure
        if retention == self.kept:
            return []
        said = "made" if self.kept is None else "changed the retention of"
        self.kept = retention
        return [f"{said} the fake store in memory"]

    def retention(self) -> Retention:
        """What `init` was told."""
        self._ready()
        assert self.kept is not None  # noqa: S101 - _ready has seen it
        return self.kept

    def check(self) -> str:
        """Name the fake, or raise its failure."""
        self._ready()
        return "fake store in memory"

    def write(self, batch: Batch) -> None:
        """Store the batch; raises Refused for rows that `refusing` names, the rest is stored."""
        self._ready()
        words: list[str] = []
        _check_numbers(batch)
        with self._lock:
            self.writes.append(batch)
            for rows in batch.rows:
                refused = self.refusing(rows) if self.refusing is not None else None
                if refused is None:
                    self._write_rows(rows, batch.batch_id)
                else:
                    words.append(refused)
            self._write_others(batch)
        if words:
            raise Refused(f"the fake store refuses {len(words)} of the messages", words[0])

    def _write_rows(self, rows: Rows, batch_id: str) -> None:
        stored = self._rows[rows.site, rows.boiler][rows.device]
        for index, (at_us, values) in enumerate(zip(rows.times_us, rows.values, strict=True)):
            known = stored.get(at_us)
            row = known or _Row(rows.boot, rows.seq, batch_id, {}, {})
            row.boot, row.seq, row.batch_id = rows.boot, rows.seq, batch_id
            for column, (metric, value) in enumerate(zip(rows.metrics, values, strict=True)):
                number = finite(value)
                if number is not None:
                    row.values[metric] = float(number)
                code = rows.quality.get((index, column))
                if code is not None:
                    row.quality[metric] = code
            stored[at_us] = row

    def _write_others(self, batch: Batch) -> None:
        for status in batch.statuses:
            place = status.site, status.device, status.kind, status.at_us
            _unite(self._statuses, place, _cleaned(status))
        for event in batch.alarm_events:
            identity = event.site, event.boiler, event.definition, event.state, event.at_us
            _unite(self._events, identity, _cleaned(event))
        for insight in batch.insights:
            key = insight.site, insight.boiler, insight.name, insight.at_us
            _unite(self._insights, key, _cleaned(insight))
        if batch.summary is not None:
            self._summaries[batch.summary.recorder, batch.summary.at_us] = batch.summary

    def latest(self, site: str, boiler: str) -> dict[str, Reading]:
        """The newest value of each metric of a boiler (at most a day old)."""
        self._ready()
        oldest_us = to_us(self._clock()) - LATEST_WITHIN_US
        found: dict[str, Reading] = {}
        for at_us, _, row in self._rows_of(site, boiler, oldest_us, None):
            for metric, value in row.values.items():
                known = found.get(metric)
                if known is None or (at_us, value) >= (known.at_us, known.value):
                    code = row.quality.get(metric)
                    found[metric] = Reading(at_us, value, *([] if code is None else [code]))
        return found

    def series(
        self,
        site: str,
        boiler: str,
        metrics: list[str],
        start_us: int,
        end_us: int,
        points: int,
    ) -> list[Series]:
        """Each asked metric over the span, with at most `points` points."""
        self._ready()
        source = _Place(self, site, boiler)
        return ranged(source, metrics, start_us, end_us, points)

    def roll_up(
        self, width_us: int, start_us: int, end_us: int, place: tuple[str, str] | None = None
    ) -> int:
        """Compute the windows of a tier anew from the rows in the span, and store them."""
        self._ready()
        found = []
        for site, boiler in [place] if place else list(self._rows):
            rows = self._rows_of(site, boiler, start_us, end_us)
            metrics = sorted({metric for _, _, row in rows for metric in row.values})
            series = self._bucketed(site, boiler, metrics, (start_us, end_us), width_us, 0)
            found += roll_ups_of(site, boiler, width_us, series)
        with self._lock:
            for each in found:
                self._windows[each.width_us, each.site, each.boiler, each.start_us] = each
        return len(found)

    def newest_roll_up(self, width_us: int) -> int | None:
        """When the newest window of a tier starts."""
        self._ready()
        with self._lock:
            return max(
                (start for width, _, _, start in self._windows if width == width_us), default=None
            )

    def _of_windows(
        self, place: tuple[str, str], tier_us: int, metrics: list[str], start_us: int, end_us: int
    ) -> tuple[list[int], list[Series]]:
        with self._lock:
            found = [
                each
                for (width, site, boiler, start), each in sorted(self._windows.items())
                if width == tier_us and (site, boiler) == place and start_us <= start < end_us
            ]
        starts = [each.start_us for each in found]
        return starts, [windows_series(metric, tier_us, found) for metric in metrics]

    def _bucketed(
        self,
        site: str,
        boiler: str,
        metrics: list[str],
        span: tuple[int, int],
        width: int,
        points: int,
    ) -> list[Series]:
        found = self._rows_of(site, boiler, *span)
        answer = []
        for metric in metrics:
            pieces: dict[str, list[tuple[int, float]]] = defaultdict(list)
            for at_us, device, row in found:
                if metric in row.values:
                    pieces[device].append((at_us, row.values[metric]))
            gathered = Accumulator(metric, width, points)
            for piece in pieces.values():
                gathered.add([at for at, _ in piece], array("d", [value for _, value in piece]))
            answer.append(gathered.series())
        return answer

    def rows(self, site: str, boiler: str, start_us: int, end_us: int) -> list[Rows]:
        """The stored rows of a boiler by time, each as Rows of one row, with boot and seq."""
        self._ready()
        answer = []
        for at_us, device, row in self._rows_of(site, boiler, start_us, end_us):
            metrics = tuple(sorted(row.values.keys() | row.quality.keys()))
            answer.append(
                Rows(
                    site=site,
                    boiler=boiler,
                    device=device,
                    boot=row.boot,
                    seq=row.seq,
                    metrics=metrics,
                    times_us=[at_us],
                    values=[[row.values.get(metric) for metric in metrics]],
                    quality={
                        (0, column): row.quality[metric]
                        for column, metric in enumerate(metrics)
                        if metric in row.quality
                    },
                )
            )
        return answer

    def batches(self, start_us: int, end_us: int) -> list[BatchMinute]:
        """The minutes in which batches were processed within the span, oldest first."""
        self._ready()
        with self._lock:
            return minutes_of(
                summary
                for summary in self._summaries.values()
                if start_us <= summary.at_us < end_us
            )

    def statuses(self, start_us: int, end_us: int) -> list[DeviceStatus]:
        """What devices said of themselves within the span, oldest first."""
        self._ready()
        with self._lock:
            found = [said for said in self._statuses.values() if start_us <= said.at_us < end_us]
        return sorted(found, key=lambda said: (said.at_us, said.site, said.device, said.kind))

    def alarm_events(
        self, start_us: int, end_us: int, *, boiler: str | None = None, limit: int = 10_000
    ) -> list[AlarmEvent]:
        """Alarm events within the span by `at_us`, newest first, at most `limit`."""
        found = [
            event
            for event in self._all_events()
            if start_us <= event.at_us < end_us and boiler in (None, event.boiler)
        ]
        return sorted(found, key=lambda event: (event.at_us, event.n), reverse=True)[:limit]

    def alarm_heads(self) -> dict[str, AlarmEvent]:
        """The event recorded last of each boiler, by boiler."""
        in_order = sorted(self._all_events(), key=attrgetter("recorded_at_us", "n"))
        return {event.boiler: event for event in in_order}

    def open_alarms(self) -> list[AlarmEvent]:
        """The event recorded last, retroactive ones aside, of each alarm that is not NORMAL."""
        newest: dict[tuple[str, str, str], AlarmEvent] = {}
        for event in sorted(self._all_events(), key=attrgetter("recorded_at_us", "n")):
            if not event.retroactive:
                newest[event.site, event.boiler, event.definition] = event
        found = [event for event in newest.values() if event.state is not AlarmState.NORMAL]
        return sorted(found, key=lambda event: (event.at_us, event.boiler, event.definition))

    def _all_events(self) -> Iterable[AlarmEvent]:
        self._ready()
        with self._lock:
            return list(self._events.values())

    def _rows_of(
        self, site: str, boiler: str, start_us: int, end_us: int | None
    ) -> list[tuple[int, str, _Row]]:
        """The boiler's rows within the span as (time, device, row), sorted by these."""
        with self._lock:
            found = [
                (at_us, device, row)
                for device, rows in self._rows.get((site, boiler), {}).items()
                for at_us, row in rows.items()
                if start_us <= at_us and (end_us is None or at_us < end_us)
            ]
        return sorted(found, key=lambda item: item[:2])

    def _ready(self) -> None:
        if self.failure is not None:
            raise self.failure
        if self.kept is None:
            raise Misconfigured("the fake store was not initialised; call init() first")


def _unite(stored: dict[_K, _S], identity: _K, record: _S) -> None:
    """Put a record over the one with its identity: a field of None leaves the stored one."""
    known = stored.get(identity)
    if known is not None:
        given = msgspec.structs.asdict(record)
        record = msgspec.structs.replace(
            known, **{name: value for name, value in given.items() if value is not None}
        )
    stored[identity] = record


def _check_numbers(batch: Batch) -> None:
    """Refuse what real stores refuse: whole numbers beyond 64 bits."""
    summaries = [] if batch.summary is None else [batch.summary]
    for record in (*batch.rows, *batch.statuses, *batch.alarm_events, *batch.insights, *summaries):
        for name, value in msgspec.structs.asdict(record).items():
            if isinstance(value, int) and not -(2**63) <= value < 2**63:
                raise Refused(f"the fake store refuses {name} {value}: beyond 64 bits", "too large")


def _cleaned(record: _S) -> _S:
    """The record with texts that UTF-8 can carry and numbers that are finite."""
    changes: dict[str, object] = {}
    for name, value in msgspec.structs.asdict(record).items():
        if type(value) is str and not value.isascii():
            changes[name] = clean_text(value)
        elif type(value) is float:
            changes[name] = finite(value)
    return msgspec.structs.replace(record, **changes) if changes else record
