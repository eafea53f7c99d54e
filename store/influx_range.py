"""Series of one boiler from InfluxDB: of its rows, and of the windows of a tier."""

from collections.abc import Callable

from bridge.series import RAW, ROLL_UPS, ROLLUP
from store import influx_select as select
from store.buckets import raw_series
from store.influx_answers import Row
from store.port import Series

Query = Callable[[str, str, dict[str, object]], list[list[Row]]]
"""Asks statements of a retention policy with their params; the rows of each statement."""


class InfluxRange:
    """The rows and the windows of one boiler; implements RangeSource."""

    def __init__(self, query: Query, site: str, boiler: str) -> None:
        self._query = query
        self._place = {"site": site, "boiler": boiler}

    def of_rows(
        self, metrics: list[str], start_us: int, end_us: int, width_us: int, points: int
    ) -> list[Series]:
        """Each metric in buckets of `width_us`; the values themselves where at most `points`."""
        if start_us >= end_us:
            return [raw_series(metric, []) for metric in metrics]
        params = select.span(start_us, end_us, **self._place)
        (rows,) = self._query(RAW, select.summed_up(metrics, width_us), params)
        answer = [
            select.summed_series(metric, number, width_us, rows)
            for number, metric in enumerate(metrics)
        ]
        few = [number for number, each in enumerate(answer) if sum(each.count) <= points]
        if points and few:
            stored = self._query(RAW, select.values([metrics[number] for number in few]), params)
            for number, values in zip(few, stored, strict=True):
                answer[number] = raw_series(metrics[number], select.readings(values))
        return answer

    def of_windows(
        self, tier_us: int, metrics: list[str], start_us: int, end_us: int
    ) -> tuple[list[int], list[Series]]:
        """When the windows start that hold any of the metrics, and each metric's windows."""
        params = select.span(start_us, end_us, **self._place)
        (rows,) = self._query(ROLLUP, select.windows(ROLL_UPS[tier_us], metrics), params)
        found = [
            select.summed_series(metric, number, tier_us, rows)
            for number, metric in enumerate(metrics)
        ]
        return sorted({at_us for each in found for at_us in each.times_us}), found
