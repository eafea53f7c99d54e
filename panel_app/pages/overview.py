"""The overview: is every boiler well, and if not, which and why."""

from functools import partial
from typing import Any

from bridge.clock import to_us
from panel_app.components.view import Overview
from panel_app.data.history import aligned_span
from panel_app.pages.overview_state import KEY_METRICS, Past, overview_live, overview_state
from panel_app.pages.page import Surroundings
from store.port import Series

SPARK_SPAN_US = 30 * 60 * 1_000_000
SPARK_POINTS = 90


class OverviewPage:
    """A tile per boiler; sparklines begin with the last 30 minutes of the store."""

    def __init__(self, given: Surroundings) -> None:
        self._given = given
        self._past: dict[str, dict[str, list[tuple[int, float]]]] = {}
        self._waiting = 0
        self.view: Any = Overview()

    def open(self) -> None:
        """Build the tiles, and ask for what the sparklines show."""
        given = self._given
        snapshot = given.hub.snapshot()
        self.view.build(overview_state(given.plant, snapshot, given.translator))
        self.refresh()
        span = aligned_span(to_us(given.clock()), SPARK_SPAN_US, SPARK_POINTS)
        for boiler in given.plant.file.boilers:
            measured = {one.metric for one in boiler.instruments}
            metrics = tuple(name for name in KEY_METRICS if name in measured or not measured)
            self._waiting += 1
            future = given.history.series(boiler.site, boiler.name, metrics, span, SPARK_POINTS)
            given.fetch(future, partial(self._take, boiler.name))

    def refresh(self) -> None:
        """Show the newest values."""
        given = self._given
        now_us = to_us(given.clock())
        snapshot = given.hub.snapshot()
        self.view.show(overview_live(given.plant, snapshot, given.translator, now_us, given.ages))

    def receive(self, message: dict[str, Any]) -> None:
        """The overview says nothing."""

    def close(self) -> None:
        """Nothing to let go of."""

    def _take(self, boiler: str, found: list[Series]) -> None:
        self._waiting -= 1
        self._past[boiler] = {
            series.metric: [
                (at_us // 1000, value)
                for at_us, value in zip(series.times_us, series.mean, strict=True)
            ]
            for series in found
        }
        if self._waiting == 0:
            self.view.give(Past(boilers=self._past))
