"""Answering a range query from roll-ups where they are, and from the rows everywhere else; pure.

A tier holds what every window of one width (a minute, 15 minutes, an hour) holds of each
metric: minimum, maximum, mean, last, count. A query whose buckets are at least as wide reads
a tier instead of all rows, so that a month is answered about as fast as an hour, and a spike
of a second is still the maximum of its bucket. Nothing is ever missing: what lies before the
first and after the last known window, and a span without any, is read from the rows.
"""

from collections.abc import Iterable
from typing import Protocol

from bridge.series import ROLL_UPS
from store.buckets import MIN_POINTS, bucket_width_us
from store.port import Series

_Bucket = tuple[float, float, float, int, float]
"""Minimum, maximum, sum, count, last value."""


class RangeSource(Protocol):
    """The rows and the windows of one boiler."""

    def of_rows(
        self, metrics: list[str], start_us: int, end_us: int, width_us: int, points: int
    ) -> list[Series]:
        """Each metric in buckets of `width_us`; the values themselves where at most `points`."""

    def of_windows(
        self, tier_us: int, metrics: list[str], start_us: int, end_us: int
    ) -> list[Series]:
        """Each metric's windows of a tier, as buckets of that width."""


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
    windows = source.of_windows(tier_us, metrics, first_us, last_us) if first_us < last_us else []
    known = [each for each in windows if each.times_us]
    if not known:
        return source.of_rows(metrics, start_us, end_us, width_us, points)
    first_us = min(each.times_us[0] for each in known)
    last_us = max(each.times_us[-1] for each in known) + tier_us
    before = source.of_rows(metrics, start_us, first_us, width_us, 0)
    after = source.of_rows(metrics, last_us, end_us, width_us, 0)
    found = [
        _merged(metric, width_us, parts)
        for metric, *parts in zip(metrics, before, windows, after, strict=True)
    ]
    few = [number for number, each in enumerate(found) if 0 < sum(each.count) <= points]
    if few:
        asked = [metrics[number] for number in few]
        rows = source.of_rows(asked, start_us, end_us, width_us, points)
        for number, series in zip(few, rows, strict=True):
            # Roll-ups outlive the rows they were made of.
            if sum(series.count) >= sum(found[number].count):
                found[number] = series
    return found


def _merged(metric: str, width_us: int, parts: Iterable[Series]) -> Series:
    """Parts that follow one another, in buckets of one width."""
    buckets: dict[int, _Bucket] = {}
    for part in parts:
        for at_us, low, high, mean, last, count in zip(
            part.times_us, part.minimum, part.maximum, part.mean, part.last, part.count, strict=True
        ):
            start_us = at_us // width_us * width_us
            known = buckets.get(start_us)
            if known is None:
                buckets[start_us] = (low, high, mean * count, count, last)
            else:
                buckets[start_us] = (
                    min(known[0], low),
                    max(known[1], high),
                    known[2] + mean * count,
                    known[3] + count,
                    last,
                )
    found = sorted(buckets.items())
    return Series(
        metric=metric,
        step_us=width_us,
        times_us=[start_us for start_us, _ in found],
        minimum=[each[0] for _, each in found],
        maximum=[each[1] for _, each in found],
        mean=[each[2] / each[3] for _, each in found],
        last=[each[4] for _, each in found],
        count=[each[3] for _, each in found],
    )
