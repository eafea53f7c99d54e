"""Buckets, measurements, tags and fields of the store, and their line protocol.

Precision is microseconds throughout. Tags come from the registry alone; everything that
a device supplies is a field. Source of the syntax: InfluxDB line protocol reference.
"""

import math
import re
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from bridge.records import (
    AlarmEvent,
    Batch,
    BatchSummary,
    DeviceStatus,
    Insight,
    RollUp,
    Rows,
)

DATABASE = "steam"
RAW = "raw"
ROLLUP = "rollup"
EVENTS = "events"
RETENTION_POLICIES = (RAW, ROLLUP, EVENTS)

BOILER = "boiler"
BATCH = "batch"
DEVICE_STATUS = "device_status"
INSIGHT = "insight"
ALARM_EVENT = "alarm_event"

ROLL_UPS = {60_000_000: "boiler_1m", 900_000_000: "boiler_15m", 3_600_000_000: "boiler_1h"}
"""Measurements of the bucket `rollup`, by the width of their windows in µs."""

STATISTICS = ("min", "max", "mean", "last", "count")
"""What a roll-up holds of each metric: fields `<metric>_min` and so on."""

BATCH_ID_FIELD = "batch_id"
BOOT_FIELD = "boot"
SEQ_FIELD = "seq"
QUALITY_SUFFIX = "_q"
BOILER_TAGS = ("boiler", "device", "site")
RESERVED_FIELDS = frozenset({BATCH_ID_FIELD, BOOT_FIELD, SEQ_FIELD, "time", *BOILER_TAGS})
"""Names in measurement `boiler` that are not metrics; a metric named so would mix with them."""

_NO_TAG = re.compile(r"[\\\x00-\x1f\x7f\ud800-\udfff]")
_QUALITY_SUFFIX = QUALITY_SUFFIX.encode()
_cells_of = msgspec.json.Encoder().encode


def bucket(retention_policy: str, database: str = DATABASE) -> str:
    """The bucket's one name: `db/rp` in InfluxDB 1.8, the bucket itself in 2.x."""
    return f"{database}/{retention_policy}"


def finite(value: float | None) -> float | None:
    """The value, or None where it is no finite number: the store holds no NaN and no infinity."""
    return value if value is not None and math.isfinite(value) else None


def clean_text(text: str) -> str:
    """The text as UTF-8 can carry it: a lone surrogate becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=16_384)
def escape_tag(text: str) -> bytes:
    r"""A tag value, tag key or field key with comma, equals sign and space escaped.

    Raises ValueError for a backslash or a control character, which line protocol cannot
    carry there without changing the value or the line.
    """
    if not text or _NO_TAG.search(text):
        raise ValueError(
            f"{text[:60]!r} cannot be a tag; use letters, digits, - and _ "
            "(no backslash, no control character, not empty)"
        )
    return text.replace(",", r"\,").replace("=", r"\=").replace(" ", r"\ ").encode()


def escape_text(text: str) -> bytes:
    r"""A string field without its quotes: backslash and double quote escaped, newlines kept."""
    return text.replace("\\", "\\\\").replace('"', '\\"').encode("utf-8", "replace")


def encode_rows(rows: Rows, batch_id: str) -> bytes:
    """The points of one data message, one line a row.

    A None or non-finite value is no field; a row without any value still has batch_id,
    boot and seq. Values are written so that reading them gives the same float.
    """
    parts = _row_parts(rows.site, rows.boiler, rows.device, rows.metrics)
    stamp = b'batch_id="%b",boot=%di,seq=%di ' % (_escaped(batch_id), rows.boot, rows.seq)
    lines = []
    for index, values in enumerate(rows.values):
        cells = _cells_of(values)
        if rows.quality or b"null" in cells or not values:
            lines.append(_sparse_row(rows, index, cells, stamp))
        else:
            line = parts.copy()
            line[1::2] = cells[1:-1].split(b",")
            line.append(b"%b%d\n" % (stamp, rows.times_us[index]))
            lines.append(b"".join(line))
    return lines[0] if len(lines) == 1 else b"".join(lines)


@lru_cache(maxsize=16_384)
def _row_parts(site: str, boiler: str, device: str, metrics: tuple[str, ...]) -> list[bytes]:
    """A row's text with an empty place for each value at the odd indices.

    Joining it was measured faster than filling a % template.
    """
    parts = [_row_prefix(site, boiler, device)]
    for metric in metrics:
        parts[-1] += escape_tag(metric) + b"="
        parts += [b"", b","]
    return parts


@lru_cache(maxsize=16_384)
def _row_prefix(site: str, boiler: str, device: str) -> bytes:
    return _prefix(BOILER, boiler=boiler, device=device, site=site)


@lru_cache(maxsize=64)
def _escaped(batch_id: str) -> bytes:
    return escape_text(batch_id)


@lru_cache(maxsize=16_384)
def _field_keys(metrics: tuple[str, ...]) -> list[bytes]:
    return [escape_tag(metric) for metric in metrics]


def _sparse_row(rows: Rows, index: int, cells: bytes, stamp: bytes) -> bytes:
    """A row with values missing or with quality codes; `cells` are its values as JSON."""
    keys = _field_keys(rows.metrics)
    numbers = cells[1:-1].split(b",") if keys else []
    fields = [_row_prefix(rows.site, rows.boiler, rows.device)]
    for key, number in zip(keys, numbers, strict=True):
        if number != b"null":
            fields.append(b"%b=%b," % (key, number))
    for (row, column), code in rows.quality.items():
        if row == index:
            fields.append(b"%b%b=%di," % (keys[column], _QUALITY_SUFFIX, code))
    fields.append(b"%b%d\n" % (stamp, rows.times_us[index]))
    return b"".join(fields)


def encode_status(status: DeviceStatus, batch_id: str) -> bytes:
    """The point of what a device said of itself; absent numbers are no field."""
    tags = _prefix(DEVICE_STATUS, device=status.device, kind=status.kind, site=status.site)
    return tags + _point(
        status.at_us,
        batch_id=batch_id,
        body=status.body,
        boot=status.boot,
        conn=status.conn,
        seq=status.seq,
        state=status.state,
    )


def encode_insight(insight: Insight, batch_id: str) -> bytes:
    """The point of one derived finding."""
    tags = _prefix(INSIGHT, boiler=insight.boiler, name=insight.name, site=insight.site)
    value = float(insight.value)
    return tags + _point(insight.at_us, batch_id=batch_id, unit=insight.unit, value=value)


def encode_summary(summary: BatchSummary) -> bytes:
    """The point of one flush."""
    tags = _prefix(BATCH, recorder=summary.recorder)
    return tags + _point(
        summary.at_us,
        batch_id=summary.batch_id,
        rows=summary.rows,
        messages=summary.messages,
        bytes=summary.bytes,
        quarantined=summary.quarantined,
        lag_ms=summary.lag_ms,
        first_at_us=summary.first_at_us,
        last_at_us=summary.last_at_us,
    )


def encode_alarm_event(event: AlarmEvent) -> bytes:
    """The point of one alarm transition; it carries no batch_id, being no reading."""
    tags = _prefix(
        ALARM_EVENT,
        boiler=event.boiler,
        definition=event.definition,
        site=event.site,
        state=event.state.value,
    )
    return tags + _point(
        event.at_us,
        id=event.id,
        type=event.type,
        metric=event.metric,
        previous=event.previous.value,
        priority=event.priority,
        recorded_at_us=event.recorded_at_us,
        value=None if event.value is None else float(event.value),
        setpoint=None if event.setpoint is None else float(event.setpoint),
        retroactive=event.retroactive,
        by=event.by,
        note=event.note,
        n=event.n,
        prev=event.prev,
        hash=event.hash,
    )


def encode_raw(batch: Batch) -> bytes:
    """What a batch writes to the bucket `raw`: rows, statuses, insights and its summary."""
    stamp = batch.batch_id
    parts = [encode_rows(rows, stamp) for rows in batch.rows]
    parts += [encode_status(status, stamp) for status in batch.statuses]
    parts += [encode_insight(insight, stamp) for insight in batch.insights]
    if batch.summary is not None:
        parts.append(encode_summary(batch.summary))
    return b"".join(parts)


def encode_roll_ups(roll_ups: Iterable[RollUp]) -> bytes:
    """What roll-ups write to the bucket `rollup`: one line a window, without batch_id."""
    return b"".join(
        _prefix(ROLL_UPS[each.width_us], boiler=each.boiler, site=each.site)
        + _point(
            each.start_us,
            **{
                f"{metric}_{name}": float(value)
                for metric, values in each.metrics.items()
                for name, value in zip(STATISTICS, values, strict=True)
            },
        )
        for each in roll_ups
        if each.metrics
    )


def encode_events(events: Iterable[AlarmEvent]) -> bytes:
    """What alarm events write to the bucket `events`."""
    return b"".join(map(encode_alarm_event, events))


def _prefix(measurement: str, **tags: str) -> bytes:
    """Measurement and tags, these in the order given (alphabetical, as InfluxDB sorts them).

    An empty tag is left out: to InfluxDB an absent tag and an empty one are the same.
    """
    given = [(key, value) for key, value in tags.items() if value]
    return b"".join(
        (
            measurement.encode(),
            *(b",%b=%b" % (key.encode(), escape_tag(value)) for key, value in given),
            b" ",
        )
    )


def _point(at_us: int, **fields: str | float | bool | None) -> bytes:
    """Fields and time of a point; a field that is None or non-finite is left out."""
    cells = []
    for key, value in fields.items():
        match value:
            case None:
                continue
            case bool():
                cell = b"true" if value else b"false"
            case int():
                cell = b"%di" % value
            case float():
                if not math.isfinite(value):
                    continue
                cell = _cells_of(value)
            case str():
                cell = b'"%b"' % escape_text(value)
        cells.append(escape_tag(key) + b"=" + cell)
    return b",".join(cells) + b" %d\n" % at_us
