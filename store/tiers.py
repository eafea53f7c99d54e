"""Answering a range query from roll-ups where they are, and from the rows everywhere else; pure.

A tier holds what every window of one width (a minute, 15 minutes, an hour) holds of each
metric: minimum, maximum, mean, last, count. A query whose buckets are at least as wide reads
a tier instead of all rows, so that a month is answered about as fast as an hour, and a spike
of a second is still the maximum of its bucket. Nothing is ever missing: whatever no window
holds, before the first, after the last or between two, is read from the rows.
"""

from collections.abc import Iterable
from itertools import compress
from typing import Protocol

from bridge.series import ROLL_UPS
from store.buckets import MIN_POINTS, bucket_width_us, raw_series
from store.port import Series

_MOST_SPANS = 32
"""Beyond so many gaps those that lie near to one another are asked for together."""

_Span = tuple[int, int]

_Bucket = tuple[float, float, float, int, int, float]
"""Minimum, maximum, sum, count, start of the last part, last value."""


class RangeSource(Protocol):
    """The rows and the windows of one boiler."""

    def of_rows(
        self, metrics: list[str], start_us: int, end_us: int, width_us: int, points: int
    ) -> list[Series]:
        """Each metric in buckets of `width_us`; the values themselves where at most `points`."""

    def of_windows(
        self, tier_us: int, metrics: list[str], start_us: int, end_us: int
    ) -> tuple[list[int], list[Series]]:
        """When the known windows start, and each metric's, as buckets of that width.

        A window that holds none of the metrics may be left out of the first.
        """


def tier_for(width_us: int) -> int | None:
    """The widest tier whose windows fill buckets of a width, in µs; None: the rows must serve."""
    return max((tier for tier in ROLL_UPS if width_us % tier == 0), default=None)


def ranged(
    source: RangeSource, metrics: list[str], start_us: int, end_us: int, points: int
) -> list[Series]:
    """Each metric over the span, with at most `points` points (at least 10)."""
    points = max(points, MIN_POINTS)
    width_us = bucket_width_us(start_us, end_us, points)
    tier_us = tier_for(width_us)
    if tier_us is None:
        return source.of_rows(metrics, start_us, end_us, width_us, points)
    first_us, last_us = -(-start_us // tier_us) * tier_us, end_us // tier_us * tier_us
    known: list[int] = []
    if first_us < last_us:
        known, windows = source.of_windows(tier_us, metrics, first_us, last_us)
    if not known:
        return source.of_rows(metrics, start_us, end_us, width_us, points)
    parts = [windows]
    for low_us, high_us in _asked_for(_gaps(known, tier_us, start_us, end_us)):
        parts.append(_outside(source.of_rows(metrics, low_us, high_us, tier_us, 0), known))
    found = [
        _merged(metric, width_us, of_metric)
        for metric, *of_metric in zip(metrics, *parts, strict=True)
    ]
    few = [number for number, each in enumerate(found) if 0 < sum(each.count) <= points]
    rows = _values(source, [found[number] for number in few], (start_us, end_us), points)
    for number, values in zip(few, rows, strict=True):
        # Roll-ups outlive the rows they were made of; rows that came late make them too many.
        if values is not None and sum(found[number].count) <= sum(values.count) <= points:
            found[number] = values
    return found


def _gaps(known: list[int], tier_us: int, start_us: int, end_us: int) -> list[_Span]:
    """The spans that no known window holds, in order."""
    ends = [start_us, *(at_us + tier_us for at_us in known)]
    return [span for span in zip(ends, [*known, end_us], strict=True) if span[0] < span[1]]


def _asked_for(spans: list[_Span]) -> list[_Span]:
    """The spans; where they are many, those nearest to one another together."""
    surplus = len(spans) - _MOST_SPANS
    if surplus <= 0:
        return spans
    apart = sorted(range(1, len(spans)), key=lambda place: spans[place][0] - spans[place - 1][1])
    joined = set(apart[:surplus])
    asked: list[_Span] = []
    for place, span in enumerate(spans):
        if place in joined:
            asked[-1] = (asked[-1][0], span[1])
        else:
            asked.append(span)
    return asked


def _outside(rows: list[Series], known: list[int]) -> list[Series]:
    """Buckets of a tier's width but for those that a known window holds already."""
    held = set(known)
    if all(held.isdisjoint(each.times_us) for each in rows):
        return rows
    kept = [[at_us not in held for at_us in each.times_us] for each in rows]
    return [
        Series(
            metric=each.metric,
            step_us=each.step_us,
            times_us=list(compress(each.times_us, free)),
            minimum=list(compress(each.minimum, free)),
            maximum=list(compress(each.maximum, free)),
            mean=list(compress(each.mean, free)),
            last=list(compress(each.last, free)),
            count=list(compress(each.count, free)),
        )
        for each, free in zip(rows, kept, strict=True)
    ]


def _values(
    source: RangeSource, found: list[Series], span: _Span, points: int
) -> list[Series | None]:
    """The stored values of series that hold few, read from no more rows than hold them.

    None for a series of which some span holds more than `points` by now.
    """
    if not found:
        return []
    low_us, high_us = span
    width_us = found[0].step_us
    starts = sorted({at_us for each in found for at_us in each.times_us})
    holding = [(max(at_us, low_us), min(at_us + width_us, high_us)) for at_us in starts]
    metrics = [each.metric for each in found]
    parts = [
        source.of_rows(metrics, *each, width_us, points) for each in _asked_for(_joined(holding))
    ]
    return [_all_values(metric, each) for metric, *each in zip(metrics, *parts, strict=True)]


def _all_values(metric: str, parts: list[Series]) -> Series | None:
    if any(part.step_us for part in parts):
        return None
    pairs = [pair for part in parts for pair in zip(part.times_us, part.last, strict=True)]
    return raw_series(metric, pairs)


def _joined(spans: list[_Span]) -> list[_Span]:
    """Spans in order, those that touch made one."""
    joined = spans[:1]
    for low_us, high_us in spans[1:]:
        if low_us == joined[-1][1]:
            joined[-1] = (joined[-1][0], high_us)
        else:
            joined.append((low_us, high_us))
    return joined


def _merged(metric: str, width_us: int, parts: Iterable[Series]) -> Series:
    """Parts of which no two hold the same moment, in buckets of one width."""
    buckets: dict[int, _Bucket] = {}
    for part in parts:
        for at_us, low, high, mean, last, count in zip(
            part.times_us, part.minimum, part.maximum, part.mean, part.last, part.count, strict=True
        ):
            start_us = at_us // width_us * width_us
            known = buckets.get(start_us)
            if known is None:
                buckets[start_us] = (low, high, mean * count, count, at_us, last)
            else:
                buckets[start_us] = (
                    min(known[0], low),
                    max(known[1], high),
                    known[2] + mean * count,
                    known[3] + count,
                    *max(known[4:], (at_us, last)),
                )
    found = sorted(buckets.items())
    return Series(
        metric=metric,
        step_us=width_us,
        times_us=[start_us for start_us, _ in found],
        minimum=[each[0] for _, each in found],
        maximum=[each[1] for _, each in found],
        mean=[each[2] / each[3] for _, each in found],
        last=[each[5] for _, each in found],
        count=[each[3] for _, each in found],
    )
