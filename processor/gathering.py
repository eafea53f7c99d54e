"""Gathers what one flush will write: pure, with `now` as a value."""

from datetime import datetime, tzinfo

import msgspec

from bridge.clock import to_us
from bridge.records import Batch, BatchSummary, DeviceStatus, Rows
from processor.delivery import Delivery
from processor.keeping import Bad
from processor.placing import Placed


class FlushRule(msgspec.Struct, frozen=True, kw_only=True):
    """When a flush is due: at so many rows or bytes, so old, or after a pause."""

    rows: int = 2_500
    bytes: int = 1_000_000
    age_s: float = 0.1
    idle_s: float = 0.05


class Gathered(msgspec.Struct, kw_only=True):
    """One flush: the deliveries, what each became, and the last one's number."""

    deliveries: list[Delivery] = []
    placed: list[Placed] = []
    bad: list[Bad] = []
    rows: int = 0
    bytes: int = 0

    @property
    def last_number(self) -> int:
        """The number up to which deliveries may be acknowledged once this is written."""
        return self.deliveries[-1].number

    def part(self, part: slice) -> "Gathered":
        """Some of the deliveries, with what they became."""
        deliveries, placed = self.deliveries[part], self.placed[part]
        numbers = {delivery.number for delivery in deliveries} if self.bad else set()
        return Gathered(
            deliveries=deliveries,
            placed=placed,
            bad=[bad for bad in self.bad if bad.number in numbers],
            rows=row_count(placed),
            bytes=sum(len(delivery.body) for delivery in deliveries),
        )


class Gathering:
    """Collects placed deliveries until a flush is due."""

    def __init__(self, rule: FlushRule) -> None:
        self._rule = rule
        self._gathered = Gathered()
        self._since: datetime | None = None
        self._touched: datetime | None = None

    def __len__(self) -> int:
        return len(self._gathered.deliveries)

    def add(self, delivery: Delivery, placed: Placed, now: datetime) -> None:
        """Take one delivery and what it became."""
        gathered = self._gathered
        if self._since is None:
            self._since = now
        self._touched = now
        gathered.deliveries.append(delivery)
        gathered.placed.append(placed)
        gathered.bytes += len(delivery.body)
        for rows in placed.rows:
            gathered.rows += len(rows.times_us)
        if placed.bad is not None:
            gathered.bad.append(
                Bad(number=delivery.number, message=placed.bad, stored=placed.complete)
            )

    @property
    def full(self) -> bool:
        """Whether a flush of the greatest size is here, so that more must wait outside."""
        gathered, rule = self._gathered, self._rule
        return (
            gathered.rows >= rule.rows
            or gathered.bytes >= rule.bytes
            or len(gathered.deliveries) >= rule.rows
        )

    def due(self, now: datetime) -> bool:
        """Whether it is time to flush."""
        if self._since is None or self._touched is None:
            return False
        return (
            self.full
            or (now - self._since).total_seconds() >= self._rule.age_s
            or (now - self._touched).total_seconds() >= self._rule.idle_s
        )

    def take(self) -> Gathered:
        """Hand over what one flush may hold, at least one delivery; the rest stays."""
        gathered, rule = self._gathered, self._rule
        rows = size = 0
        for index, placed in enumerate(gathered.placed if self.full else ()):
            rows += sum(len(each.times_us) for each in placed.rows)
            size += len(gathered.deliveries[index].body)
            if rows >= rule.rows or size >= rule.bytes or index + 1 >= rule.rows:
                break
        else:
            return self.take_all()
        if index + 1 == len(gathered.placed):
            return self.take_all()
        self._gathered, self._since = gathered.part(slice(index + 1, None)), self._touched
        return gathered.part(slice(None, index + 1))

    def take_all(self) -> Gathered:
        """Hand over everything and start anew."""
        gathered = self._gathered
        self._gathered, self._since, self._touched = Gathered(), None, None
        return gathered


def row_count(placed: list[Placed]) -> int:
    """How many rows deliveries became."""
    return sum(len(rows.times_us) for each in placed for rows in each.rows)


def batch_id(now: datetime, zone: tzinfo) -> str:
    """The minute in which a batch is processed, `YYYY-MM-DD_HH-MM` in the given zone."""
    return f"{now.astimezone(zone):%Y-%m-%d_%H-%M}"


def to_batch(
    gathered: Gathered, now: datetime, zone: tzinfo, recorder: str, *, summary: bool = True
) -> Batch:
    """The batch that stores `gathered`, stamped with the minute of `now`."""
    rows: list[Rows] = [each for placed in gathered.placed for each in placed.rows]
    statuses: list[DeviceStatus] = [
        placed.status for placed in gathered.placed if placed.status is not None
    ]
    stamp = batch_id(now, zone)
    return Batch(
        batch_id=stamp,
        rows=rows,
        statuses=statuses,
        alarm_events=[event for placed in gathered.placed for event in placed.alarm_events],
        summary=_summary(gathered, rows, now, stamp, recorder) if summary else None,
    )


def _summary(
    gathered: Gathered, rows: list[Rows], now: datetime, stamp: str, recorder: str
) -> BatchSummary | None:
    """What the flush processed; nothing to tell where it held neither rows nor bad messages."""
    if not rows and not gathered.bad:
        return None
    at_us = to_us(now)
    first_us = min((each.times_us[0] for each in rows), default=at_us)
    last_us = max((each.times_us[-1] for each in rows), default=at_us)
    return BatchSummary(
        batch_id=stamp,
        recorder=recorder,
        at_us=at_us,
        rows=gathered.rows,
        messages=len(gathered.deliveries),
        bytes=gathered.bytes,
        quarantined=len(gathered.bad),
        lag_ms=(at_us - last_us) // 1000,
        first_at_us=first_us,
        last_at_us=last_us,
    )
