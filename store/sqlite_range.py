"""Series and roll-ups of one boiler from the SQLite store."""

import sqlite3
from itertools import groupby
from operator import itemgetter

from bridge.records import RollUp
from bridge.series import STATISTICS
from store.buckets import Accumulator, bucket_slices, roll_ups_of, windows_series
from store.port import Series
from store.sqlite_rows import Numbers
from store.sqlite_tables import column_values, pack, unpack

_FETCH_ROWS = 8_192
_WRITE = (
    "INSERT INTO roll_up (width_us, site, boiler, at_us, layout, packed) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (width_us, site, boiler, at_us) DO UPDATE SET layout = excluded.layout, "
    "packed = excluded.packed"
)


class SqliteRange:
    """The rows and the windows of one boiler on a connection; implements RangeSource."""

    def __init__(self, connection: sqlite3.Connection, site: str, boiler: str) -> None:
        self._connection = connection
        self._place = (site, boiler)
        self._layouts = layouts_of(connection)

    def of_rows(
        self, metrics: list[str], start_us: int, end_us: int, width_us: int, points: int
    ) -> list[Series]:
        """Each metric in buckets of `width_us`; the values themselves where at most `points`."""
        gathered = {metric: Accumulator(metric, width_us, points) for metric in metrics}
        if start_us < end_us:
            self._gather(gathered, start_us, end_us, width_us)
        return [gathered[metric].series() for metric in metrics]

    def of_windows(
        self, tier_us: int, metrics: list[str], start_us: int, end_us: int
    ) -> tuple[list[int], list[Series]]:
        """When the windows start, and each metric's windows of a tier."""
        stored = self._connection.execute(
            "SELECT at_us, layout, packed FROM roll_up WHERE width_us = ? AND site = ? "
            "AND boiler = ? AND at_us >= ? AND at_us < ? ORDER BY at_us",
            (tier_us, *self._place, start_us, end_us),
        )
        windows = [self._window(tier_us, *record) for record in stored]
        starts = [each.start_us for each in windows]
        return starts, [windows_series(metric, tier_us, windows) for metric in metrics]

    def rolled_up(self, width_us: int, start_us: int, end_us: int) -> list[RollUp]:
        """The windows of the rows in the span, computed anew."""
        metrics = sorted({metric for names in self._layouts.values() for metric in names})
        series = self.of_rows(metrics, start_us, end_us, width_us, 0)
        return roll_ups_of(*self._place, width_us, series)

    def _gather(
        self, gathered: dict[str, Accumulator], start_us: int, end_us: int, width_us: int
    ) -> None:
        for series in series_of(self._connection, *self._place):
            cursor = self._connection.execute(
                "SELECT at_us, layout, packed FROM boiler "
                "WHERE series = ? AND at_us >= ? AND at_us < ? ORDER BY at_us",
                (series, start_us, end_us),
            )
            while chunk := cursor.fetchmany(_FETCH_ROWS):
                for layout, rows in groupby(chunk, itemgetter(1)):
                    _gather(gathered, self._layouts[layout], list(rows), width_us)

    def _window(self, width_us: int, at_us: int, layout: int, packed: bytes) -> RollUp:
        return window_of(*self._place, width_us, at_us, self._layouts[layout], packed)


def window_of(
    site: str, boiler: str, width_us: int, at_us: int, layout: tuple[str, ...], packed: bytes
) -> RollUp:
    """A stored window; `layout` names the metrics whose statistics are `packed`."""
    numbers, size = unpack(packed), len(STATISTICS)
    metrics = {
        metric: (
            *numbers[size * place : size * place + size - 1],
            int(numbers[size * place + size - 1]),
        )
        for place, metric in enumerate(layout)
    }
    return RollUp(site=site, boiler=boiler, width_us=width_us, start_us=at_us, metrics=metrics)  # type: ignore[arg-type]


def write_roll_ups(connection: sqlite3.Connection, windows: list[RollUp]) -> None:
    """Store windows, each over the one that was there."""
    numbers = Numbers(connection)
    for each in windows:
        cells = [float(number) for values in each.metrics.values() for number in values]
        layout = numbers.layout(tuple(each.metrics))
        place = (each.width_us, each.site, each.boiler, each.start_us)
        connection.execute(_WRITE, (*place, layout, pack(cells)))


def places(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """(site, boiler) of every boiler that has rows."""
    return connection.execute("SELECT DISTINCT site, boiler FROM series ORDER BY 1, 2").fetchall()


def layouts_of(connection: sqlite3.Connection) -> dict[int, tuple[str, ...]]:
    """The metrics of every layout, by its number."""
    found = connection.execute("SELECT id, metrics FROM layout")
    return {number: tuple(metrics.split(",")) if metrics else () for number, metrics in found}


def series_of(connection: sqlite3.Connection, site: str, boiler: str) -> list[int]:
    """The numbers of a boiler's series."""
    query = "SELECT id FROM series WHERE site = ? AND boiler = ? ORDER BY device"
    return [number for (number,) in connection.execute(query, (site, boiler))]


def _gather(
    gathered: dict[str, Accumulator],
    metrics: tuple[str, ...],
    rows: list[tuple[int, int, bytes]],
    width: int,
) -> None:
    """Hand the asked columns of rows of one layout to their accumulators."""
    asked = [metric for metric in metrics if metric in gathered]
    if not asked:
        return
    times_us = [at_us for at_us, _, _ in rows]
    slices = bucket_slices(times_us, width)
    values = column_values((packed for _, _, packed in rows), len(metrics))
    for metric in asked:
        gathered[metric].add(times_us, values[metrics.index(metric)], slices)
