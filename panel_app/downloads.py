"""What the dashboard's server answers besides its page: health, files, CSV exports."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from tornado.web import RequestHandler

from bridge.clock import to_us
from panel_app.data.history import aligned_span
from panel_app.export import journal_csv, trend_csv
from panel_app.i18n import translator_of
from panel_app.live.session import House
from panel_app.pages.journal import chosen, journal_span
from panel_app.route import SPANS_S, Route, route_of
from store.errors import StoreError

MOST_EVENTS = 1_000_000
MOST_POINTS = 20_000
_LINES_A_WRITE = 500


class DashboardHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What /healthz answers: 200 as long as the dashboard answers at all."""

    status: str
    live_feed: bool
    newest_at: str | None
    data_age_s: float | None
    sessions: int


class HealthPage(RequestHandler):
    """GET /healthz."""

    def initialize(self, report: Callable[[], DashboardHealth]) -> None:
        """Take where to ask."""
        self._report = report

    def get(self) -> None:
        """Answer with JSON."""
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(msgspec.json.encode(self._report()))


class FilePage(RequestHandler):
    """GET of one small file kept in memory."""

    def initialize(self, body: bytes, kind: str) -> None:
        """Take the file."""
        self._body, self._kind = body, kind

    def get(self) -> None:
        """Answer with the file."""
        self.set_header("Content-Type", self._kind)
        self.set_header("Cache-Control", "public, max-age=86400")
        self.finish(self._body)


class CsvPage(RequestHandler):
    """GET of a CSV file, written as it is made; its query string is a route's."""

    def initialize(self, house: House) -> None:
        """Take where to read."""
        self._house = house

    async def write_csv(self, name: str, lines: Iterator[str]) -> None:
        """Send the lines as a file to be saved."""
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        kept: list[str] = []
        for line in lines:
            kept.append(line)
            if len(kept) >= _LINES_A_WRITE:
                self.write("".join(kept))
                kept.clear()
                await self.flush()
        self.finish("".join(kept))

    def failed(self, error: StoreError) -> None:
        """Say that the store could not be read."""
        self.set_status(503)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{error}\n")

    def asked(self) -> Route:
        """The route of the query string."""
        return route_of(self.request.query, self._house.plant())


class JournalCsv(CsvPage):
    """GET /export/journal.csv: every event that the filters let pass."""

    async def get(self) -> None:
        """Answer with the file, or 503 where the store cannot be read."""
        house, route = self._house, self.asked()
        plant, translator = house.plant(), translator_of(route.lang, house.language)
        span = journal_span(route, to_us(house.clock()))
        future = house.history.alarm_events(span, boiler=route.boiler or None, limit=MOST_EVENTS)
        try:
            events = await asyncio.wrap_future(future)
        except StoreError as error:
            self.failed(error)
            return
        found = chosen(events, route, plant, translator)
        await self.write_csv("steam-alarms.csv", journal_csv(found, plant, translator))


class TrendCsv(CsvPage):
    """GET /export/trend.csv: the shown pens over the shown span."""

    async def get(self) -> None:
        """Answer with the file; 404 for no boiler, 503 where the store cannot be read."""
        house, route = self._house, self.asked()
        plant, translator = house.plant(), translator_of(route.lang, house.language)
        boiler = plant.boilers.get(route.boiler)
        if boiler is None or not route.pens:
            self.send_error(404)
            return
        now_us = to_us(house.clock())
        if route.live:
            span = aligned_span(now_us, SPANS_S[route.span] * 1_000_000, MOST_POINTS)
        else:
            span = route.start_s * 1_000_000, route.end_s * 1_000_000
        future = house.history.series(boiler.site, boiler.name, route.pens, span, MOST_POINTS)
        try:
            series = await asyncio.wrap_future(future)
        except StoreError as error:
            self.failed(error)
            return
        name = f"steam-{boiler.name}.csv"
        await self.write_csv(name, trend_csv(series, boiler.name, plant, translator))


def routes_of(
    house: House, health: Callable[[], DashboardHealth], files: dict[str, tuple[bytes, str]]
) -> list[tuple[str, type[RequestHandler], dict[str, Any]]]:
    """The server's further routes; `files` maps a path to (body, content type)."""
    routes: list[tuple[str, type[RequestHandler], dict[str, Any]]] = [
        ("/healthz", HealthPage, {"report": health}),
        ("/export/journal.csv", JournalCsv, {"house": house}),
        ("/export/trend.csv", TrendCsv, {"house": house}),
    ]
    for path, (body, kind) in files.items():
        routes.append((path, FilePage, {"body": body, "kind": kind}))
    return routes
