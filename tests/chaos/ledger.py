"""What the broker acknowledged, written by the publisher, and its comparison with what is kept.

The kinds of outcome are those of Jepsen's total-queue checker (lost, unexpected, duplicated,
recovered), applied to rows.
"""

import threading
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from bridge.records import Rows

Identity = tuple[str, int, int]
"""(device, boot, seq)"""


class _Payload(msgspec.Struct):
    b: int
    n: int
    t: int
    k: list[str]
    r: list[list[float | None]]


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it was sent: its time in epoch µs and its values by metric."""

    at_us: int
    values: tuple[tuple[str, float], ...]


@dataclass(slots=True)
class Comparison:
    """How the ledger and what is kept differ; nothing may be in the first four lists."""

    acknowledged: int = 0
    stored: int = 0
    quarantined: int = 0
    lost: list[Identity] = field(default_factory=list)
    different: list[Identity] = field(default_factory=list)
    duplicated: list[Identity] = field(default_factory=list)
    unexpected: list[Identity] = field(default_factory=list)
    recovered: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether everything acknowledged is kept, once, as it was sent, and nothing else."""
        return not (self.lost or self.different or self.duplicated or self.unexpected)


class Ledger:
    """Every message sent, and which of them were acknowledged; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sent: dict[Identity, bytes] = {}
        self._acknowledged: dict[Identity, int] = {}
        self._bad: Counter[int] = Counter()

    def send(self, device: str, boot: int, seq: int, payload: bytes) -> None:
        """Note a message before it is given to the link."""
        with self._lock:
            self._sent[device, boot, seq] = payload

    def acknowledge(
        self, topic: str, payload: bytes, boot: int | None, seq: int | None, _published_at: float
    ) -> None:
        """Note a PUBACK with the crc32 of the payload."""
        device = topic.split("/")[3]
        if boot is None or seq is None:
            return
        with self._lock:
            self._acknowledged[device, boot, seq] = zlib.crc32(payload)

    def acknowledge_bad(self, payload: bytes) -> None:
        """Note the PUBACK of a message that belongs into quarantine."""
        with self._lock:
            self._bad[zlib.crc32(payload)] += 1

    @property
    def acknowledged(self) -> int:
        """How many messages were acknowledged so far, bad ones included."""
        with self._lock:
            return len(self._acknowledged) + self._bad.total()

    def identities(self) -> set[Identity]:
        """The good messages acknowledged so far."""
        with self._lock:
            return set(self._acknowledged)

    def payloads(self, device: str) -> list[_Payload]:
        """The acknowledged messages of a device, in order."""
        with self._lock:
            chosen = [each for each in self._acknowledged if each[0] == device]
            return [_decoded(self._sent[each]) for each in sorted(chosen)]

    def compare(self, rows: Iterable[Rows], quarantined: Iterable[bytes]) -> Comparison:
        """Compare with the stored rows (each Rows of one row) and the quarantined payloads."""
        found: dict[Identity, list[Row]] = {}
        for stored in rows:
            identity = (stored.device, stored.boot, stored.seq)
            found.setdefault(identity, []).append(_row(stored))
        crcs = Counter(zlib.crc32(body) for body in quarantined)
        with self._lock:
            return self._compared(found, crcs)

    def _compared(self, found: dict[Identity, list[Row]], crcs: Counter[int]) -> Comparison:
        result = Comparison(acknowledged=len(self._acknowledged) + self._bad.total())
        for identity, crc in self._acknowledged.items():
            if identity in found:
                result.stored += 1
            elif crcs[crc]:
                result.quarantined += 1
            else:
                result.lost.append(identity)
        for crc, count in self._bad.items():
            kept = min(count, crcs[crc])
            result.quarantined += kept
            result.lost += [("(bad message)", crc, 0)] * (count - kept)
        known = {zlib.crc32(payload) for payload in self._sent.values()} | self._bad.keys()
        result.unexpected += [("(in quarantine)", crc, 0) for crc in crcs if crc not in known]
        for identity, rows in found.items():
            payload = self._sent.get(identity)
            if payload is None:
                result.unexpected.append(identity)
                continue
            result.recovered += identity not in self._acknowledged
            expected = _rows_of(_decoded(payload))
            if len(rows) > len(expected):
                result.duplicated.append(identity)
            elif sorted(rows, key=_at) != expected:
                result.different.append(identity)
        return result


def _decoded(payload: bytes) -> _Payload:
    return msgspec.json.decode(payload, type=_Payload)


def _rows_of(payload: _Payload) -> list[Row]:
    """The rows of a message with the times of design.md 3: `(t + dt) · 1000 + n mod 1000` µs."""
    rows = []
    for dt, *values in payload.r:
        at_us = int((payload.t + (dt or 0)) * 1000) + payload.n % 1000
        pairs = zip(payload.k, values, strict=True)
        rows.append(Row(at_us, tuple(sorted((k, float(v)) for k, v in pairs if v is not None))))
    return sorted(rows, key=_at)


def _row(stored: Rows) -> Row:
    pairs = zip(stored.metrics, stored.values[0], strict=True)
    return Row(stored.times_us[0], tuple(sorted((k, float(v)) for k, v in pairs if v is not None)))


def _at(row: Row) -> int:
    return row.at_us
