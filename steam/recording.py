"""A recording in a CSV file as messages of one device: pure but for reading the file."""

import csv
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from bridge.clock import is_time_zone, to_us
from bridge.metrics import is_metric_name
from bridge.plant import Name
from bridge.settings_file import Fault, SettingsError, SettingsFile
from device.steamlink import codec, contract


class TimeColumn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which column holds the time, in which strptime format and time zone.

    A format with `%z` takes each line's own offset.
    """

    column: str
    format: str = "%Y-%m-%d %H:%M:%S"
    time_zone: str = "UTC"


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which device a recording speaks for, and which column is which metric."""

    site: Name
    device: Name
    time: TimeColumn
    metrics: dict[str, str]
    separator: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    boot: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 1


class RecordingError(Exception):
    """A recording cannot be read on; the text says file, line and what is wrong there."""


class Row(msgspec.Struct, frozen=True):
    """One line of a recording: UTC milliseconds, and a value (or None) per metric."""

    at_ms: int
    values: list[float | None]


class Recorded(msgspec.Struct, frozen=True):
    """One message made from a recording."""

    at_ms: int
    seq: int
    payload: bytes


def load_mapping(path: Path) -> Mapping:
    """Read and check a mapping file; raises SettingsError with every fault and its line."""
    source = SettingsFile(path).read()
    mapping = source.decode(Mapping)
    faults = list(_faults(source, mapping))
    if faults:
        raise SettingsError(faults)
    return mapping


def _faults(source: SettingsFile, mapping: Mapping) -> Iterator[Fault]:
    for name in mapping.metrics:
        if not is_metric_name(name):
            text = f"{name!r} is no metric name (a-z, 0-9, _, not ending in _q)"
            yield source.fault(("metrics", name), text)
    if not mapping.metrics:
        yield source.fault(("metrics",), "name at least one metric and its column")
    if not is_time_zone(mapping.time.time_zone):
        yield source.fault(("time", "time_zone"), f"no time zone {mapping.time.time_zone!r}")


def read_rows(path: Path, mapping: Mapping) -> Iterator[Row]:
    """The rows of a recording in its order; raises RecordingError.

    An empty cell or NaN is no value. Times must increase strictly, as the contract asks.
    """
    zone = ZoneInfo(mapping.time.time_zone)
    previous = -1
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.DictReader(file, delimiter=mapping.separator)
        for cells in _cells(path, lines, {mapping.time.column, *mapping.metrics.values()}):
            row = _row(path, lines.line_num, cells, mapping, zone)
            if row.at_ms <= previous:
                text = "its time is not after the line before; one device's times increase"
                raise RecordingError(f"{path}:{lines.line_num}: {text}")
            previous = row.at_ms
            yield row


def _cells(path: Path, lines: "csv.DictReader[str]", asked: set[str]) -> Iterator[dict[str, str]]:
    """The lines by column; raises RecordingError where the file is no such table in UTF-8."""
    try:
        missing = asked - set(lines.fieldnames or ())
        if missing:
            raise RecordingError(f"{path}: no column {', '.join(sorted(missing))}")
        for cells in lines:
            # DictReader fills a short line with None and puts what is too much under None.
            if None in cells or None in cells.values():
                text = (
                    f"not as many cells as the first line, which has {len(lines.fieldnames or ())}"
                )
                raise RecordingError(f"{path}:{lines.line_num}: {text}")
            yield cells
    except UnicodeDecodeError as error:
        raise RecordingError(f"{path}: not UTF-8 ({error.reason}); save it as UTF-8") from None
    except csv.Error as error:
        raise RecordingError(f"{path}:{lines.line_num}: {error}") from None


def _row(path: Path, line: int, cells: dict[str, str], mapping: Mapping, zone: ZoneInfo) -> Row:
    try:
        text = cells[mapping.time.column]
        moment = datetime.strptime(text, mapping.time.format)  # noqa: DTZ007 - two lines below
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        values = [_value(cells[column]) for column in mapping.metrics.values()]
    except (TypeError, ValueError) as error:
        raise RecordingError(f"{path}:{line}: {error}") from None
    return Row(to_us(moment) // 1000, values)


def _value(cell: str) -> float | None:
    if not cell.strip():
        return None
    value = float(cell)
    return value if value - value == 0 else None


def to_messages(
    rows: Iterator[Row], mapping: Mapping, *, shift_ms: int = 0, rows_per_message: int = 1
) -> Iterator[Recorded]:
    """The data messages of a recording, numbered from 1, `shift_ms` later than recorded."""
    metrics = tuple(mapping.metrics)
    pending: list[Row] = []
    seq = first_ms = 0

    def message() -> Recorded:
        at_ms = pending[0].at_ms + shift_ms
        payload = codec.encode_data(
            boot=mapping.boot,
            seq=seq,
            up_ms=pending[0].at_ms - first_ms,
            utc_ms=at_ms,
            clock=2,
            metrics=metrics,
            rows=[[row.at_ms - pending[0].at_ms, *row.values] for row in pending],
        )
        return Recorded(at_ms, seq, payload)

    for row in rows:
        first_ms = first_ms or row.at_ms
        if pending and row.at_ms - pending[0].at_ms > contract.MAX_DT_MS:
            seq += 1
            yield message()
            pending = []
        pending.append(row)
        if len(pending) == rows_per_message:
            seq += 1
            yield message()
            pending = []
    if pending:
        seq += 1
        yield message()
