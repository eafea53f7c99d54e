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
    ROLL_UPS,
    ROLLUP,
    bucket,
    encode_events,
    encode_raw,
    encode_roll_ups,
)
from store import influx_select as select
from store.errors import Misconfigured, Refused
from store.influx_answers import Place, Row
from store.influx_archive import InfluxArchive
from store.influx_http import InfluxHttp
from store.influx_range import InfluxRange
from store.influx_setup import ApiBuckets, Buckets, RetentionPolicies, make_buckets
from store.port import LATEST_WITHIN_US, BatchMinute, Reading, Retention, Series
from store.tiers import ranged

_TIMEOUT_S = 30.0
_NEWEST_ROWS = 100
_DAY_S = 86_400
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

    def archive(self) -> InfluxArchive:
        """The store as a backup reads it."""
        return InfluxArchive(
            self._query, lambda policy, body: self._http.write(bucket(policy, self._database), body)
        )

    def init(self, retention: Retention) -> list[str]:
        """Make the buckets, or alter for how long they keep their data."""
        return make_buckets(self._buckets(), self._database, retention)

    def check(self) -> str:
        """Ask each bucket something; returns the server's version and URL."""
        for policy in RETENTION_POLICIES:
            self._query(policy, select.CHECK, {})
        series = "2.x" if self._is_version_2() else "1.x"
        told = self._http.accepted(self._http.request("GET", "/health"))
        try:
            version = msgspec.json.decode(told, type=_Health).version.removeprefix("v")
        except msgspec.MsgspecError:
            raise Misconfigured(
                f"what answers at {self._http.url} is no InfluxDB; is this a proxy's URL?"
            ) from None
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
        return ranged(InfluxRange(self._query, site, boiler), metrics, start_us, end_us, points)

    def roll_up(
        self, width_us: int, start_us: int, end_us: int, place: tuple[str, str] | None = None
    ) -> int:
        """Compute the windows of a tier anew from the rows in the span, and store them."""
        others = {} if place is None else {"site": place[0], "boiler": place[1]}
        statement = select.rolled_up(width_us, of_one=place is not None)
        (rows,) = self._query(RAW, statement, select.span(start_us, end_us, **others))
        windows = (select.roll_up_of(row, width_us) for row in rows)
        found = [window for window in windows if window.metrics]
        if found:
            self._http.write(bucket(ROLLUP, self._database), encode_roll_ups(found))
        return len(found)

    def newest_roll_up(self, width_us: int) -> int | None:
        """When the newest window of a tier starts (epoch µs); None where there is none."""
        (rows,) = self._query(ROLLUP, select.newest(ROLL_UPS[width_us]), {})
        return max((select.whole(row["time"]) for row in rows), default=None)

    def retention(self) -> Retention:
        """For how long the server keeps each bucket's data."""
        buckets = self._buckets()
        days = {}
        for policy in RETENTION_POLICIES:
            kept_s = buckets.kept_s(policy)
            if kept_s is None:
                place = bucket(policy, self._database)
                raise Misconfigured(f"there is no bucket {place}; make it with `steam store init`")
            days[policy] = round(kept_s / _DAY_S) if kept_s else None
        return Retention(raw_days=days[RAW], rollup_days=days[ROLLUP], events_days=days[EVENTS])

    def _buckets(self) -> Buckets:
        kind = ApiBuckets if self._is_version_2() else RetentionPolicies
        return kind(self._http, self._database)

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
