"""Making and altering the buckets of InfluxDB: InfluxQL on 1.8, the buckets API on 2.x."""

import re
from typing import Protocol

import msgspec

from bridge.series import EVENTS, RAW, ROLLUP, bucket
from store.errors import Misconfigured
from store.influx_answers import Place, Row, query_error
from store.influx_http import InfluxHttp
from store.influx_select import quoted
from store.port import Retention

_DAY_S = 86_400
_GO_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


class Buckets(Protocol):
    """The buckets of one version of InfluxDB."""

    def kept_s(self, policy: str) -> int | None:
        """For how many seconds a bucket keeps its data (0: for ever), None where it is not."""

    def make(self, policy: str, kept_s: int, shard_s: int) -> None:
        """Make a bucket."""

    def alter(self, policy: str, kept_s: int, shard_s: int) -> None:
        """Change for how long a bucket keeps its data."""


def make_buckets(buckets: Buckets, database: str, retention: Retention) -> list[str]:
    """Make what is missing and alter what differs; a sentence for each."""
    wanted = {RAW: retention.raw_days, ROLLUP: retention.rollup_days, EVENTS: retention.events_days}
    said = []
    for policy, days in wanted.items():
        name, kept_s = bucket(policy, database), (days or 0) * _DAY_S
        known_s = buckets.kept_s(policy)
        if known_s is None:
            buckets.make(policy, kept_s, shard_seconds(policy, days))
            said.append(f"made the bucket {name}, its data is kept {_told(kept_s)}")
        elif known_s != kept_s:
            buckets.alter(policy, kept_s, shard_seconds(policy, days))
            said.append(f"the data of {name} is now kept {_told(kept_s)}, not {_told(known_s)}")
    return said


def shard_seconds(policy: str, days: int | None) -> int:
    """How much time one shard holds: enough for few shards, a small part of the retention.

    A shard is what InfluxDB deletes at once when data expires, and each costs memory.
    """
    most = {RAW: 7, ROLLUP: 28, EVENTS: 364}[policy]
    if days is not None:
        most = next(width for width in (364, 28, 7, 1) if width <= max(1, min(most, days // 12)))
    return most * _DAY_S


def _told(kept_s: int) -> str:
    return f"{kept_s / _DAY_S:g} days" if kept_s else "for ever"


class RetentionPolicies:
    """The buckets of InfluxDB 1.8: retention policies of one database."""

    def __init__(self, http: InfluxHttp, database: str) -> None:
        self._http = http
        self._database = database
        self._db = quoted(database)

    def kept_s(self, policy: str) -> int | None:
        """For how many seconds a policy keeps its data (0: for ever), None where it is not."""
        for row in self._policies():
            if row["name"] == policy:
                return go_seconds(str(row["duration"]))
        return None

    def make(self, policy: str, kept_s: int, shard_s: int) -> None:
        """Make a policy, and the database with its first one."""
        span = _span(kept_s, shard_s)
        if {"name": self._database} not in self._ask("SHOW DATABASES"):
            self._ask(f"CREATE DATABASE {self._db} WITH {span} NAME {quoted(policy)}")
            return
        span = _span(kept_s, shard_s, replication="REPLICATION 1 ")
        self._ask(f"CREATE RETENTION POLICY {quoted(policy)} ON {self._db} {span}")

    def alter(self, policy: str, kept_s: int, shard_s: int) -> None:
        """Change for how long a policy keeps its data."""
        span = _span(kept_s, shard_s)
        self._ask(f"ALTER RETENTION POLICY {quoted(policy)} ON {self._db} {span}")

    def _policies(self) -> list[Row]:
        if {"name": self._database} not in self._ask("SHOW DATABASES"):
            return []
        return self._ask(f"SHOW RETENTION POLICIES ON {self._db}")

    def _ask(self, statement: str) -> list[Row]:
        return self._http.query(statement, {}, database=self._database, policy=RAW)[0]


def _span(kept_s: int, shard_s: int, *, replication: str = "") -> str:
    duration = f"{kept_s}s" if kept_s else "INF"
    return f"DURATION {duration} {replication}SHARD DURATION {shard_s}s"


def go_seconds(duration: str) -> int:
    """The seconds of a duration as Go writes it, e.g. 2160h0m0s."""
    match = _GO_DURATION.fullmatch(duration)
    if match is None or not duration:
        raise ValueError(f"{duration!r} is no duration such as 2160h0m0s")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


class _Rule(msgspec.Struct):
    everySeconds: int = 0  # noqa: N815 - the API's name


class _Bucket(msgspec.Struct):
    id: str
    name: str
    retentionRules: list[_Rule] = []  # noqa: N815 - the API's name


class _Buckets(msgspec.Struct):
    buckets: list[_Bucket] = []


class _Org(msgspec.Struct):
    id: str
    name: str


class _Orgs(msgspec.Struct):
    orgs: list[_Org] = []


class ApiBuckets:
    """The buckets of InfluxDB 2.x, which its own mapping shows to InfluxQL as db and rp."""

    def __init__(self, http: InfluxHttp, database: str) -> None:
        self._http = http
        self._database = database

    def kept_s(self, policy: str) -> int | None:
        """For how many seconds a bucket keeps its data (0: for ever), None where it is not."""
        found = self._find(policy)
        if found is None:
            return None
        return max((rule.everySeconds for rule in found.retentionRules), default=0)

    def make(self, policy: str, kept_s: int, shard_s: int) -> None:
        """Make a bucket in the organisation."""
        wanted = {
            "orgID": self._org_id(),
            "name": bucket(policy, self._database),
            "retentionRules": _rules(kept_s, shard_s),
        }
        place = Place(self._http.url, bucket(policy, self._database))
        answer = self._http.request("POST", "/api/v2/buckets", body=wanted, place=place)
        self._http.accepted(answer, place)

    def alter(self, policy: str, kept_s: int, shard_s: int) -> None:
        """Change for how long a bucket keeps its data."""
        place = Place(self._http.url, bucket(policy, self._database))
        found = self._find(policy)
        if found is None:
            raise query_error("bucket not found", place)
        changed = {"retentionRules": _rules(kept_s, shard_s)}
        path = f"/api/v2/buckets/{found.id}"
        self._http.accepted(self._http.request("PATCH", path, body=changed, place=place), place)

    def _find(self, policy: str) -> _Bucket | None:
        name = bucket(policy, self._database)
        place = Place(self._http.url, name)
        query = {"name": name, "org": self._http.org}
        answer = self._http.request("GET", "/api/v2/buckets", query=query, place=place)
        if answer.status == 404:  # noqa: PLR2004 - 2.x says so of a bucket, and of an organisation
            self._org_id()
            return None
        found = msgspec.json.decode(self._http.accepted(answer, place), type=_Buckets).buckets
        return next((known for known in found if known.name == name), None)

    def _org_id(self) -> str:
        place = Place(self._http.url)
        answer = self._http.request(
            "GET", "/api/v2/orgs", query={"org": self._http.org}, place=place
        )
        if answer.status != 404:  # noqa: PLR2004 - the organisation is not there
            body = self._http.accepted(answer, place)
            for org in msgspec.json.decode(body, type=_Orgs).orgs:
                if org.name == self._http.org:
                    return org.id
        raise Misconfigured(
            f"{place} knows no organisation {self._http.org!r}, or the token may not see it; "
            "check the organisation's name, and make the buckets with an operator's token"
        )


def _rules(kept_s: int, shard_s: int) -> list[dict[str, object]]:
    return [{"type": "expire", "everySeconds": kept_s, "shardGroupDurationSeconds": shard_s}]
