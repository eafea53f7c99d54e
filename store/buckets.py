"""Summing up a series into buckets of time without losing a minimum or a maximum; pure."""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

from bridge.records import RollUp
from store.port import Series

_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
# Each is a whole part of the next unit, so that a chart which moves on keeps its buckets.
_WIDTHS: tuple[int, ...] = (
    *(digit * int(10**power) for power in range(6) for digit in (1, 2, 5)),
    *(count * _SECOND for count in (1, 2, 3, 5, 10, 15, 20, 30)),
    *(count * _MINUTE for count in (1, 2, 3, 5, 10, 15, 20, 30)),
    *(count * _HOUR for count in (1, 2, 3, 4, 6, 8, 12)),
    *(count * _DAY for count in (1, 2, 4, 7, 14, 28)),
)
MIN_POINTS = 10

_Bucket = tuple[float, float, float, int, int, float]
"""Minimum, maximum, sum, count, time of the last value, last value."""


def bucket_width_us(start_us: int, end_us: int, points: int) -> int:
    """The narrowest width whose epoch-aligned buckets cover the span with at most `points`."""
    for width in _WIDTHS:
        if _bucket_count(start_us, end_us, width) <= points:
            return width
    width = _WIDTHS[-1]
    while _bucket_count(start_us, end_us, width) > points:
        width *= 2
    return width


def _bucket_count(start_us: int, end_us: int, width: int) -> int:
    return (end_us - 1) // width - start_us // width + 1


def bucket_slices(times_us: Sequence[int], width: int) -> list[tuple[int, int, int]]:
    """Where buckets lie in increasing times: each one's start, first index and end index."""
    slices = []
    low = 0
    while low < len(times_us):
        start = times_us[low] // width * width
        high = bisect_left(times_us, start + width, low)
        slices.append((start, low, high))
        low = high
    return slices


class Accumulator:
    """Gathers one metric piece by piece: as it is while it fits the budget, and in buckets.

    Pieces may come in any order (two devices of a boiler, one after the other); times
    within a piece increase. Where two values have the same time, the greater is last, as
    InfluxDB has it.
    """

    def __init__(self, metric: str, width: int, points: int) -> None:
        self._metric = metric
        self._width = width
        self._points = points
        self._count = 0
        self._readings: list[tuple[int, float]] = []
        self._buckets: dict[int, _Bucket] = {}

    def add(
        self,
        times_us: Sequence[int],
        values: Sequence[float],
        slices: list[tuple[int, int, int]] | None = None,
    ) -> None:
        """Add a piece; a NaN is no value. `slices` are `bucket_slices(times_us, width)`."""
        total = sum(values)
        # A sum of finite values is never NaN, so this finds a missing value at the speed of C.
        if math.isnan(total):
            pairs = zip(times_us, values, strict=True)
            present = [(at, value) for at, value in pairs if not math.isnan(value)]
            times_us = [at for at, _ in present]
            values = [value for _, value in present]
            slices = None
        self._count += len(values)
        if self._count <= self._points:
            self._readings += zip(times_us, values, strict=True)
        else:
            self._readings.clear()
        for start, low, high in slices or bucket_slices(times_us, self._width):
            piece = values[low:high]
            found = (min(piece), max(piece), sum(piece), high - low, times_us[high - 1], piece[-1])
            known = self._buckets.get(start)
            self._buckets[start] = found if known is None else _merged(known, found)

    def series(self) -> Series:
        """What was gathered: the readings themselves where they fit, else the buckets."""
        if self._count <= self._points:
            return raw_series(self._metric, self._readings)
        ordered = sorted(self._buckets.items())
        return Series(
            metric=self._metric,
            step_us=self._width,
            times_us=[start for start, _ in ordered],
            minimum=[found[0] for _, found in ordered],
            maximum=[found[1] for _, found in ordered],
            mean=[found[2] / found[3] for _, found in ordered],
            count=[found[3] for _, found in ordered],
            last=[found[5] for _, found in ordered],
        )


def roll_ups_of(site: str, boiler: str, width_us: int, series: Iterable[Series]) -> list[RollUp]:
    """The windows of a boiler from each metric's buckets of that width, oldest first."""
    windows: dict[int, dict[str, tuple[float, float, float, float, int]]] = defaultdict(dict)
    for each in series:
        for start_us, *values in zip(
            each.times_us,
            each.minimum,
            each.maximum,
            each.mean,
            each.last,
            each.count,
            strict=True,
        ):
            low, high, mean, last, count = values
            windows[start_us][each.metric] = (low, high, mean, last, int(count))
    return [
        RollUp(site=site, boiler=boiler, width_us=width_us, start_us=start, metrics=windows[start])
        for start in sorted(windows)
    ]


def windows_series(metric: str, width_us: int, windows: Sequence[RollUp]) -> Series:
    """The series of a metric from windows in order."""
    found = [(each.start_us, *each.metrics[metric]) for each in windows if metric in each.metrics]
    return Series(
        metric=metric,
        step_us=width_us,
        times_us=[each[0] for each in found],
        minimum=[each[1] for each in found],
        maximum=[each[2] for each in found],
        mean=[each[3] for each in found],
        last=[each[4] for each in found],
        count=[each[5] for each in found],
    )


def raw_series(metric: str, readings: list[tuple[int, float]]) -> Series:
    """A series of the stored values themselves, sorted by time, then value."""
    ordered = sorted(readings)
    values = [value for _, value in ordered]
    return Series(
        metric=metric,
        step_us=0,
        times_us=[at for at, _ in ordered],
        minimum=values,
        maximum=values,
        mean=values,
        last=values,
        count=[1] * len(values),
    )


def _merged(one: _Bucket, other: _Bucket) -> _Bucket:
    last_at, last = max(one[4:], other[4:])
    return (
        min(one[0], other[0]),
        max(one[1], other[1]),
        one[2] + other[2],
        one[3] + other[3],
        last_at,
        last,
    )
