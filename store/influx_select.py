"""InfluxQL of the store's questions, and records from its rows; pure.

Values are bound as `params`; only names of our own and whole numbers stand in the text.
Retention policy and database are always given beside the statement.
"""

from typing import TypeVar

import msgspec

from bridge.records import AlarmEvent, DeviceStatus, RollUp, Rows
from bridge.series import (
    ALARM_EVENT,
    BATCH,
    BOILER,
    BOOT_FIELD,
    DEVICE_STATUS,
    QUALITY_SUFFIX,
    RESERVED_FIELDS,
    SEQ_FIELD,
    STATISTICS,
)
from store.errors import Misconfigured
from store.influx_answers import Row
from store.port import MINUTE_US, BatchMinute, Reading, Series

_S = TypeVar("_S", bound=msgspec.Struct)
_PLACE = '"site" = $site AND "boiler" = $boiler AND time >= $start AND time < $end'
_SPAN = "time >= $start AND time < $end"
_EVENT_COLUMNS = ", ".join(
    f'"{name}"' for name in AlarmEvent.__struct_fields__ if name not in ("recorded_at_us", "at_us")
)

ROWS = f'SELECT * FROM "{BOILER}" WHERE {_PLACE}'  # noqa: S608 - names of our own, here and below
STATUSES = f'SELECT * FROM "{DEVICE_STATUS}" WHERE {_SPAN}'  # noqa: S608
EVENTS_NEWEST_FIRST = f'SELECT * FROM "{ALARM_EVENT}" WHERE {_SPAN} ORDER BY time DESC LIMIT '  # noqa: S608
EVENTS_OF_BOILER_NEWEST_FIRST = EVENTS_NEWEST_FIRST.replace(
    " ORDER", ' AND "boiler" = $boiler ORDER'
)
HEADS = f'SELECT max("recorded_at_us") AS "recorded_at_us", {_EVENT_COLUMNS} FROM "{ALARM_EVENT}" GROUP BY "boiler"'  # noqa: S608
NEWEST_OF_ALARMS = (
    f'SELECT max("recorded_at_us") AS "recorded_at_us", {_EVENT_COLUMNS} FROM "{ALARM_EVENT}" '  # noqa: S608
    'WHERE "retroactive" = false GROUP BY "site", "boiler", "definition"'
)
BATCH_MINUTES = (
    'SELECT last("batch_id") AS "batch_id", count("rows") AS "flushes", sum("rows") AS "rows", '  # noqa: S608
    'sum("messages") AS "messages", sum("bytes") AS "bytes", sum("quarantined") AS "quarantined", '
    'max("lag_ms") AS "lag_ms_max", min("first_at_us") AS "first_at_us", '
    f'max("last_at_us") AS "last_at_us" FROM "{BATCH}" WHERE {_SPAN} '
    f"GROUP BY time({MINUTE_US}u) fill(none)"
)
CHECK = f'SELECT "n" FROM "{ALARM_EVENT}" LIMIT 1'  # noqa: S608


def quoted(name: str) -> str:
    """A name as an identifier of InfluxQL."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def span(start_us: int, end_us: int, **others: str) -> dict[str, object]:
    """The params of a span, in ns as InfluxQL compares them, and of what else is bound."""
    return {"start": start_us * 1000, "end": end_us * 1000, **others}


def newest_rows(limit: int) -> str:
    """The newest rows of a boiler."""
    return f"{ROWS} ORDER BY time DESC LIMIT {limit}"


def last_readings(metrics: list[str]) -> str:
    """For each metric, in order: its last value within the span, with its code."""
    return "; ".join(
        f"SELECT last({quoted(metric)}) AS v, {quoted(metric + QUALITY_SUFFIX)} AS q "  # noqa: S608
        f'FROM "{BOILER}" WHERE {_PLACE}'
        for metric in metrics
    )


def summed_up(metrics: list[str], width_us: int) -> str:
    """All metrics summed up in buckets; the columns of number i are min_i, max_i and so on."""
    columns = ", ".join(
        f"{function}({quoted(metric)}) AS {function}_{number}"
        for number, metric in enumerate(metrics)
        for function in ("min", "max", "mean", "last", "count")
    )
    return f'SELECT {columns} FROM "{BOILER}" WHERE {_PLACE} GROUP BY time({width_us}u) fill(none)'  # noqa: S608


def windows(measurement: str, metrics: list[str]) -> str:
    """The windows of a tier; the columns of number i are min_i, max_i and so on."""
    columns = ", ".join(
        f"{quoted(f'{metric}_{name}')} AS {name}_{number}"
        for number, metric in enumerate(metrics)
        for name in STATISTICS
    )
    return f"SELECT {columns} FROM {quoted(measurement)} WHERE {_PLACE}"  # noqa: S608


def rolled_up(width_us: int, *, of_one: bool) -> str:
    """Every metric's statistics in windows of a width; the columns are min_<metric> and so on."""
    where = _PLACE if of_one else _SPAN
    columns = ", ".join(f"{name}(*)" for name in STATISTICS)
    group = f'GROUP BY time({width_us}u), "site", "boiler" fill(none)'
    return f'SELECT {columns} FROM "{BOILER}" WHERE {where} {group}'  # noqa: S608


def newest(measurement: str) -> str:
    """The newest point of a measurement."""
    return at_the_end(measurement, newest=True)


def at_the_end(measurement: str, *, newest: bool) -> str:
    """The newest or the oldest point of a measurement."""
    order = "DESC" if newest else "ASC"
    return f"SELECT * FROM {quoted(measurement)} ORDER BY time {order} LIMIT 1"  # noqa: S608


def points(measurement: str, limit: int = 0) -> str:
    """Every point of a measurement within the span, tags included (limit 0: all)."""
    return f"SELECT * FROM {quoted(measurement)} WHERE {_SPAN} LIMIT {limit}"  # noqa: S608


def stored_window(row: Row, width_us: int) -> RollUp:
    """A stored window of a tier, from all of its columns."""
    metrics = {}
    for name in row:
        metric = name.removesuffix("_mean")
        if metric != name and row[name] is not None:
            low, high, mean, last, count = (number(row[f"{metric}_{each}"]) for each in STATISTICS)
            metrics[metric] = (low, high, mean, last, int(count))
    return RollUp(
        site=str(row["site"] or ""),
        boiler=str(row["boiler"]),
        width_us=width_us,
        start_us=whole(row["time"]),
        metrics=metrics,
    )


def roll_up_of(row: Row, width_us: int) -> RollUp:
    """One row of `rolled_up`."""
    metrics = {}
    for name in row:
        metric = name.removeprefix("mean_")
        if metric == name or metric in RESERVED_FIELDS or metric.endswith(QUALITY_SUFFIX):
            continue
        if row[name] is not None:
            low, high, mean, last, count = (number(row[f"{each}_{metric}"]) for each in STATISTICS)
            metrics[metric] = (low, high, mean, last, int(count))
    return RollUp(
        site=str(row["site"] or ""),
        boiler=str(row["boiler"]),
        width_us=width_us,
        start_us=whole(row["time"]),
        metrics=metrics,
    )


def values(metrics: list[str]) -> str:
    """For each metric, in order: its stored values."""
    return "; ".join(
        f'SELECT {quoted(metric)} AS v FROM "{BOILER}" WHERE {_PLACE}'  # noqa: S608
        for metric in metrics
    )


def summed_series(metric: str, place: int, width_us: int, rows: list[Row]) -> Series:
    """The series of the metric of that place in `summed_up`."""
    names = [f"{function}_{place}" for function in ("min", "max", "mean", "last", "count")]
    found = [
        (whole(row["time"]), [number(row[name]) for name in names])
        for row in rows
        if row.get(names[4])
    ]
    return Series(
        metric=metric,
        step_us=width_us,
        times_us=[at_us for at_us, _ in found],
        minimum=[cells[0] for _, cells in found],
        maximum=[cells[1] for _, cells in found],
        mean=[cells[2] for _, cells in found],
        last=[cells[3] for _, cells in found],
        count=[int(cells[4]) for _, cells in found],
    )


def readings(rows: list[Row]) -> list[tuple[int, float]]:
    """Times and values of one statement of `values`."""
    return [(whole(row["time"]), number(row["v"])) for row in rows]


def row_record(row: Row) -> Rows:
    """One stored row as the port gives it; a point that Steam did not write may lack boot."""
    codes = {
        metric: code for metric in row if (code := row.get(metric + QUALITY_SUFFIX)) is not None
    }
    given = {name for name in metrics_among(list(row)) if row[name] is not None}
    metrics = tuple(sorted(given | codes.keys()))
    cells = (row.get(metric) for metric in metrics)
    return Rows(
        site=str(row["site"] or ""),
        boiler=str(row["boiler"]),
        device=str(row.get("device") or ""),
        boot=whole(row.get(BOOT_FIELD) or 0),
        seq=whole(row.get(SEQ_FIELD) or 0),
        metrics=metrics,
        times_us=[whole(row["time"])],
        values=[[None if cell is None else number(cell) for cell in cells]],
        quality={
            (0, column): whole(codes[metric])
            for column, metric in enumerate(metrics)
            if metric in codes
        },
    )


def metrics_among(columns: list[str]) -> list[str]:
    """The metrics among the columns of measurement `boiler`."""
    return [
        name
        for name in columns
        if name not in RESERVED_FIELDS and not name.endswith(QUALITY_SUFFIX)
    ]


def reading(at: object, value: object, code: object) -> Reading:
    """One reading from cells; without a code it is good."""
    at_us, found = whole(at), number(value)
    return Reading(at_us, found) if code is None else Reading(at_us, found, whole(code))


def record_of(kind: type[_S], row: Row) -> _S:
    """A record whose fields are the row's columns and whose `at_us` is the row's time."""
    present: Row = {name: cell for name, cell in row.items() if cell is not None}
    if kind is DeviceStatus:
        present = {"boot": None, "conn": None, "seq": None, "state": None} | present
    elif kind is AlarmEvent:
        # An empty tag is none to InfluxDB; system alarms belong to no site.
        present.setdefault("site", "")
    try:
        return msgspec.convert(present | {"at_us": row["time"]}, kind, strict=False)
    except msgspec.ValidationError as error:
        raise _foreign(f"{kind.__name__} at {row['time']}: {error}") from error


def minute_of(row: Row) -> BatchMinute:
    """One row of BATCH_MINUTES."""
    try:
        return msgspec.convert(row, BatchMinute, strict=False)
    except msgspec.ValidationError as error:
        raise _foreign(f"batch at {row['time']}: {error}") from error


def number(cell: object) -> float:
    """A cell that must be a number, as a float."""
    if isinstance(cell, (int, float)):
        return float(cell)
    raise _foreign(f"{cell!r} where a number belongs")


def whole(cell: object) -> int:
    """A cell that must be a whole number."""
    if isinstance(cell, int):
        return cell
    raise _foreign(f"{cell!r} where a whole number belongs")


def _foreign(what: str) -> Misconfigured:
    return Misconfigured(
        f"InfluxDB holds what Steam did not write ({what}); let other programs write to other buckets"
    )
