"""The store in InfluxDB 1.8 or 2.7: the server deployment."""

from operator import attrgetter
from pathlib import Path
from typing import Self

import msgspec

from bridge.clock import Clock, to_us, utc_now
from bridge.records import AlarmEvent, AlarmState, Batch, DeviceStatus, Rows
from bridge.series import (
    DATABASE,
    EVENTS,
    QUALITY_SUFFIX,
    RAW,
    RETENTION_POLICIES,
    bucket,
    encode_events,
    encode_raw,
)
from store import influx_select as select
from store.buckets import MIN_POINTS, bucket_width_us, raw_series
from store.errors import Refused
from store.influx_answers import Place, Row
from store.influx_http import InfluxHttp
from store.influx_setup import ApiBuckets, RetentionPolicies, make_buckets
from store.port import LATEST_WITHIN_US, BatchMinute, Reading, Retention, Series

_TIMEOUT_S = 30.0
_NEWEST_ROWS = 100
_END_US = 2**53


class InfluxStore:
    """The store port over InfluxDB, safe to use from several threads.

    `token` is a token of 2.x, or `user:password` of 1.8, or empty where 1.8 asks for none;
    `org` is ignored by 1.8. `database` is the first part of the buckets' names.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        org: str = "steam",
        database: str = DATABASE,
        timeout_s: float = _TIMEOUT_S,
        ca_file: Path | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._http = InfluxHttp(url, token=token, org=org, timeout_s=timeout_s, ca_file=ca_file)
        self._database = database
        self._clock = clock

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Make the connection pool; the server may still be away."""
        self._http.open()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def init(self, retention: Retention) -> list[str]:
        """Make the buckets, or alter for how long they keep their data."""
        kind = ApiBuckets if self._is_version_2() else RetentionPolicies
        return make_buckets(kind(self._http, self._database), self._database, retention)

    def check(self) -> str:
        """Ask each bucket something; returns the server's version and URL."""
        for policy in RETENTION_POLICIES:
            self._query(policy, select.CHECK, {})
        series = "2.x" if self._is_version_2() else "1.x"
        told = self._http.accepted(self._http.request("GET", "/health"))
        version = msgspec.json.decode(told, type=_Health).version.removeprefix("v")
        known = version if version[:1].isdigit() else series
        return f"InfluxDB {known}, {self._http.url}"

    def write(self, batch: Batch) -> None:
        """Write alarm events, then all else, each in one request; nothing for nothing."""
        try:
            events, raw = encode_events(batch.alarm_events), encode_raw(batch)
        except ValueError as error:
            raise Refused(
                f"a record cannot be written as line protocol: {error}", str(error)
            ) from error
        if events:
            self._http.write(bucket(EVENTS, self._database), events)
        if raw:
            self._http.write(bucket(RAW, self._database), raw)

    def latest(self, site: str, boiler: str) -> dict[str, Reading]:
        """The newest value of each metric of a boiler (at most a day old)."""
        since_us = to_us(self._clock()) - LATEST_WITHIN_US
        params = select.span(since_us, _END_US, site=site, boiler=boiler)
        (rows,) = self._query(RAW, select.newest_rows(_NEWEST_ROWS), params)
        if not rows:
            return {}
        found: dict[str, Reading] = {}
        for row in rows:
            _keep_newest(found, row)
        # InfluxDB names every field of the measurement, whether or not these rows have it.
        slow = [metric for metric in select.metrics_among(list(rows[0])) if metric not in found]
        if slow and len(rows) == _NEWEST_ROWS:
            answers = self._query(RAW, select.last_readings(slow), params)
            for metric, answer in zip(slow, answers, strict=True):
                for row in answer:
                    found[metric] = select.reading(row["time"], row["v"], row.get("q"))
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
        if not metrics:
            return []
        points = max(points, MIN_POINTS)
        width_us = bucket_width_us(start_us, end_us, points)
        params = select.span(start_us, end_us, site=site, boiler=boiler)
        (rows,) = self._query(RAW, select.summed_up(metrics, width_us), params)
        answer = [
            select.summed_series(metric, number, width_us, rows)
            for number, metric in enumerate(metrics)
        ]
        few = [number for number, series in enumerate(answer) if sum(series.count) <= points]
        if few:
            stored = self._query(RAW, select.values([metrics[number] for number in few]), params)
            for number, values in zip(few, stored, strict=True):
                answer[number] = raw_series(metrics[number], select.readings(values))
        return answer

    def rows(self, site: str, boiler: str, start_us: int, end_us: int) -> list[Rows]:
        """The stored rows of a boiler by time, each as Rows of one row, with boot and seq."""
        params = select.span(start_us, end_us, site=site, boiler=boiler)
        (rows,) = self._query(RAW, select.ROWS, params)
        found = [select.row_record(row) for row in rows]
        return sorted(found, key=lambda rows: (rows.times_us[0], rows.device))

    def batches(self, start_us: int, end_us: int) -> list[BatchMinute]:
        """The minutes in which batches were processed within the span, oldest first."""
        (rows,) = self._query(RAW, select.BATCH_MINUTES, select.span(start_us, end_us))
        return [select.minute_of(row) for row in rows]

    def statuses(self, start_us: int, end_us: int) -> list[DeviceStatus]:
        """What devices said of themselves within the span, oldest first."""
        (rows,) = self._query(RAW, select.STATUSES, select.span(start_us, end_us))
        found = [select.record_of(DeviceStatus, row) for row in rows]
        return sorted(found, key=attrgetter("at_us", "site", "device", "kind"))

    def alarm_events(
        self, start_us: int, end_us: int, *, boiler: str | None = None, limit: int = 10_000
    ) -> list[AlarmEvent]:
        """Alarm events within the span by `at_us`, newest first, at most `limit`."""
        found = self._newest_events(start_us, end_us, boiler, limit)
        if len(found) == limit:
            # InfluxDB cuts events of one time in no particular order: ask for all of them.
            oldest_us = min(event.at_us for event in found)
            tied = self._newest_events(oldest_us, oldest_us + 1, boiler, None)
            found = [event for event in found if event.at_us > oldest_us] + tied
        return sorted(found, key=attrgetter("at_us", "n"), reverse=True)[:limit]

    def alarm_heads(self) -> dict[str, AlarmEvent]:
        """The event recorded last of each boiler, by boiler."""
        (rows,) = self._query(EVENTS, select.HEADS, {})
        found = [select.record_of(AlarmEvent, row) for row in rows]
        return {event.boiler: event for event in found}

    def open_alarms(self) -> list[AlarmEvent]:
        """The event recorded last, retroactive ones aside, of each alarm that is not NORMAL."""
        (rows,) = self._query(EVENTS, select.NEWEST_OF_ALARMS, {})
        newest = [select.record_of(AlarmEvent, row) for row in rows]
        found = [event for event in newest if event.state is not AlarmState.NORMAL]
        return sorted(found, key=attrgetter("at_us", "boiler", "definition"))

    def _newest_events(
        self, start_us: int, end_us: int, boiler: str | None, limit: int | None
    ) -> list[AlarmEvent]:
        if boiler is None:
            query, params = select.EVENTS_NEWEST_FIRST, select.span(start_us, end_us)
        else:
            query = select.EVENTS_OF_BOILER_NEWEST_FIRST
            params = select.span(start_us, end_us, boiler=boiler)
        # In InfluxQL, LIMIT 0 is no limit.
        (rows,) = self._query(EVENTS, f"{query}{limit or 0}", params)
        return [select.record_of(AlarmEvent, row) for row in rows]

    def _query(self, policy: str, statements: str, params: dict[str, object]) -> list[list[Row]]:
        return self._http.query(statements, params, database=self._database, policy=policy)

    def _is_version_2(self) -> bool:
        """Whether the server is 2.x: only that has this page, and it needs no token."""
        answer = self._http.request("GET", "/api/v2/setup")
        if answer.status == 404:  # noqa: PLR2004 - 1.8 has no such page
            return False
        self._http.accepted(answer, Place(self._http.url))
        return True


class _Health(msgspec.Struct):
    """What /health answers on both versions."""

    version: str = ""


def _keep_newest(found: dict[str, Reading], row: Row) -> None:
    """Take a row's readings where they are newer than, or tie with and exceed, what is known."""
    for metric in select.metrics_among(list(row)):
        if row[metric] is None:
            continue
        newer = select.reading(row["time"], row[metric], row.get(metric + QUALITY_SUFFIX))
        known = found.get(metric)
        if known is None or (newer.at_us, newer.value) > (known.at_us, known.value):
            found[metric] = newer
