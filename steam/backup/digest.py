"""Counts and checksums of records that do not depend on a store or on an order: pure."""

from collections.abc import Iterable, Iterator
from hashlib import blake2b

import msgspec

from bridge.records import Batch, RollUp, Rows
from bridge.series import ALARM_EVENT, BATCH, BOILER, DEVICE_STATUS, INSIGHT, ROLL_UPS

_BITS = 128
_encode = msgspec.json.Encoder().encode


class Sum(msgspec.Struct):
    """How many records of a measurement there are, and the sum of their hashes (hexadecimal)."""

    count: int = 0
    digest: str = "0"


class Digest:
    """Sums by measurement: equal sums mean equal records, whatever store they were read from."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._sums: dict[str, int] = {}

    def add(self, batch: Batch) -> None:
        """Count the records of a batch."""
        self._count(hashes(batch))

    def add_windows(self, windows: Iterable[RollUp]) -> None:
        """Count windows."""
        self._count(window_hashes(windows))

    def sums(self) -> dict[str, Sum]:
        """Count and checksum of each measurement of which there is anything."""
        return {
            name: Sum(count=self._counts[name], digest=f"{self._sums[name]:x}")
            for name in sorted(self._counts)
        }

    def _count(self, found: Iterable[tuple[str, int]]) -> None:
        for measurement, number in found:
            self._counts[measurement] = self._counts.get(measurement, 0) + 1
            self._sums[measurement] = (self._sums.get(measurement, 0) + number) % 2**_BITS


def hashes(batch: Batch) -> Iterator[tuple[str, int]]:
    """Measurement and hash of each record of a batch."""
    for rows in batch.rows:
        for each in _rows(rows, batch.batch_id):
            yield BOILER, _hash(each)
    # In SQLite these keep no batch_id; who wrote them is in the record itself.
    for measurement, records in (
        (DEVICE_STATUS, batch.statuses),
        (INSIGHT, batch.insights),
        (ALARM_EVENT, batch.alarm_events),
        (BATCH, [batch.summary] if batch.summary else []),
    ):
        for record in records:
            yield measurement, _hash(_encode(record))


def window_hashes(windows: Iterable[RollUp]) -> Iterator[tuple[str, int]]:
    """Measurement and hash of each window."""
    for each in windows:
        metrics = {
            name: [_number(it) for it in each.metrics[name]] for name in sorted(each.metrics)
        }
        place = (each.site, each.boiler, each.start_us)
        yield ROLL_UPS[each.width_us], _hash(_encode((*place, metrics)))


def _hash(record: bytes) -> int:
    return int.from_bytes(blake2b(record, digest_size=_BITS // 8).digest())


def _number(value: float) -> float:
    """The value as every store gives it: InfluxQL tells no minus zero from zero."""
    return value + 0.0


def _rows(rows: Rows, batch_id: str) -> Iterable[bytes]:
    order = sorted(range(len(rows.metrics)), key=rows.metrics.__getitem__)
    for index, values in enumerate(rows.values):
        cells = [
            (
                rows.metrics[column],
                None if (value := values[column]) is None else _number(value),
                rows.quality.get((index, column)),
            )
            for column in order
        ]
        present = [each for each in cells if each[1] is not None or each[2] is not None]
        place = (rows.site, rows.boiler, rows.device, rows.times_us[index])
        yield _encode((*place, rows.boot, rows.seq, batch_id, present))


def differences(expected: dict[str, Sum], found: dict[str, Sum]) -> list[str]:
    """A sentence for each measurement that is not as expected."""
    told = []
    for name in sorted(expected.keys() | found.keys()):
        wanted, there = expected.get(name, Sum()), found.get(name, Sum())
        if wanted.count != there.count:
            told.append(f"{name}: {there.count} records instead of {wanted.count}")
        elif wanted.digest != there.digest:
            told.append(f"{name}: {there.count} records, not all of them the same")
    return told
