"""The trends: a boiler's metrics over time, live and past."""

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import panel as pn
from bokeh.events import RangesUpdate
from bokeh.models import Range1d, Span

from bridge.clock import from_us, to_us
from bridge.plant import Boiler
from bridge.quality import is_usable
from bridge.records import AlarmEvent
from panel_app.charts.trend import Strip
from panel_app.components.view import TrendBar, styles
from panel_app.data.history import aligned_span
from panel_app.i18n.texts import Texts
from panel_app.i18n.translator import offset_text, utc_offset
from panel_app.pages.alarms import Choice
from panel_app.pages.overview_state import KEY_METRICS, LiveValue
from panel_app.pages.page import Surroundings
from panel_app.route import MOST_PENS, SPANS_S, Route, route_of
from panel_app.theme.tokens import LIGHT
from store.port import Series

USUAL_PENS = ("steam_pressure", "water_level", "steam_flow", "oxygen")
MOST_POINTS = 1_200
MOST_EVENTS = 200
LEAST_SPAN_US = 10_000_000
PHONE_PX = 720
WALL_PX = 1_600

_TALLEST_PX, _LOWEST_PX = 340, 104


class Pen(msgspec.Struct, frozen=True, kw_only=True):
    """A metric that can be drawn."""

    metric: str
    label: str
    unit: str
    decimals: int
    chosen: bool


class TrendState(msgspec.Struct, frozen=True, kw_only=True):
    """What stands above the strips."""

    lang: str
    texts: Texts
    boiler: str
    boilers: list[Choice]
    pens: list[Pen]
    spans: list[Choice]
    span: str
    live: bool
    shown: str
    zone: str
    csv: str
    most_pens: int


class TrendLive(msgspec.Struct, frozen=True, kw_only=True):
    """The newest value of each pen."""

    now: int
    readings: dict[str, LiveValue]


class TrendsPage:
    """Strips that share their time axis; the time is the site's."""

    def __init__(self, given: Surroundings) -> None:
        self._given = given
        boilers = given.plant.file.boilers
        known = given.plant.boilers.get(given.route.boiler)
        self._boiler: Boiler | None = known or (boilers[0] if boilers else None)
        self._route = given.route
        self._asked_us = 0
        self._shift_ms = 0.0
        self._zone = ZoneInfo("UTC")
        self._strips: dict[str, Strip] = {}
        self._drawn = 0
        self._series: dict[str, Series] = {}
        self._events: list[AlarmEvent] = []
        self._range = Range1d(0, 1)
        self._bar = TrendBar()
        self._column = pn.Column(
            sizing_mode="stretch_width", margin=(12, 0, 0, 0), stylesheets=[styles("strips")]
        )
        self.view: Any = pn.Column(self._bar, self._column, sizing_mode="stretch_width", margin=0)

    def open(self) -> None:
        """Draw the strips, and ask for the span."""
        boiler = self._boiler
        if boiler is None:
            return
        self._zone = ZoneInfo(self._given.plant.sites[boiler.site].time_zone)
        self._route = msgspec.structs.replace(
            self._route, boiler=boiler.name, pens=self._route.pens or self._usual_pens(boiler)
        )
        self._given.go(self._route)
        self._look()
        self._draw(boiler)

    def refresh(self) -> None:
        """Add the newest values, and move the window while it is live."""
        given, boiler = self._given, self._boiler
        if boiler is None:
            return
        now_us = to_us(given.clock())
        live = given.hub.snapshot().boiler(boiler.site, boiler.name)
        readings = {} if live is None else live.readings
        values: dict[str, LiveValue] = {
            name: (one.value, one.at_us // 1000, one.quality) for name, one in readings.items()
        }
        self._bar.show(TrendLive(now=now_us // 1000, readings=values))
        alarms = [] if live is None else live.alarms
        active = {alarm.definition: alarm.priority for alarm in alarms if alarm.state.active}
        for strip in self._strips.values():
            strip.mark(active)
        if not self._route.live:
            return
        for name, strip in self._strips.items():
            reading = readings.get(name)
            if reading and reading.value is not None and is_usable(reading.quality):
                strip.add(reading.at_us / 1000 + self._shift_ms, reading.value)
        self._move(now_us)
        patience_us = self._span_us() // 60 if self._series else 0
        if now_us - self._asked_us > max(10_000_000, patience_us):
            self._ask(now_us)

    def close(self) -> None:
        """Let go of the figures."""
        self._drawn += 1
        self._column.clear()

    def _usual_pens(self, boiler: Boiler) -> tuple[str, ...]:
        measured = {one.metric for one in boiler.instruments}
        live = self._given.hub.snapshot().boiler(boiler.site, boiler.name)
        measured |= set() if live is None else set(live.readings)
        usual = tuple(name for name in USUAL_PENS if name in measured)
        return usual or tuple(name for name in KEY_METRICS if name in measured)[:4] or USUAL_PENS

    def _draw(self, boiler: Boiler) -> None:
        """Draw the strips, one at a turn of the loop: other sessions go on meanwhile."""
        self._drawn += 1
        self._strips = {}
        self._column.clear()
        crosshair = Span(dimension="height", line_color=LIGHT["ink-3"], line_width=1)
        self._range = Range1d(self._range.start, self._range.end)
        self._draw_next(self._drawn, boiler, crosshair, list(self._route.pens))

    def _draw_next(self, drawn: int, boiler: Boiler, crosshair: Span, pens: list[str]) -> None:
        if drawn != self._drawn or not pens:
            return
        given, name = self._given, pens.pop(0)
        narrow = given.width < PHONE_PX
        strip = Strip(
            boiler,
            given.plant.metrics[name],
            given.translator,
            self._range,
            crosshair,
            height=self._height(len(self._route.pens)),
            last=not pens,
            narrow=narrow,
        )
        strip.figure.on_event(RangesUpdate, self._zoomed)
        if narrow:
            strip.figure.toolbar.active_drag = None
        self._strips[name] = strip
        self._fill(strip)
        pane = pn.pane.Bokeh(strip.figure, sizing_mode="stretch_width", margin=0)
        self._column.append(pane)
        if pens:
            given.later(lambda: self._draw_next(drawn, boiler, crosshair, pens))

    def _height(self, pens: int) -> int:
        width = self._given.width
        around = 420 if width < PHONE_PX else 306 if width < WALL_PX else 330
        return min(_TALLEST_PX, max(_LOWEST_PX, (self._given.height - around) // max(1, pens)))

    def _look(self) -> None:
        """Show the route's span: bar, window and points."""
        now_us = to_us(self._given.clock())
        end_us = now_us if self._route.live else self._route.end_s * 1_000_000
        self._shift_ms = utc_offset(self._zone, end_us) / 1000
        self._build_bar(end_us)
        self._move(now_us)
        self._ask(now_us)

    def _span_us(self) -> int:
        route = self._route
        seconds = SPANS_S[route.span] if route.live else route.end_s - route.start_s
        return max(LEAST_SPAN_US, seconds * 1_000_000)

    def _window_us(self, now_us: int) -> tuple[int, int]:
        if self._route.live:
            return now_us - self._span_us(), now_us
        return self._route.end_s * 1_000_000 - self._span_us(), self._route.end_s * 1_000_000

    def _move(self, now_us: int) -> None:
        start_us, end_us = self._window_us(now_us)
        room = 0.005 * (end_us - start_us) if self._route.live else 0.0
        self._range.update(
            start=start_us / 1000 + self._shift_ms, end=(end_us + room) / 1000 + self._shift_ms
        )

    def _ask(self, now_us: int) -> None:
        boiler = self._boiler
        if boiler is None or not self._route.pens:
            return
        self._asked_us = now_us
        points = min(MOST_POINTS, max(200, self._given.width - 180))
        start_us, end_us = self._window_us(now_us)
        span = aligned_span(end_us, end_us - start_us, points)
        future = self._given.history.series(
            boiler.site, boiler.name, self._route.pens, span, points
        )
        self._given.fetch(future, self._take)
        events = self._given.history.alarm_events(span, boiler=boiler.name, limit=MOST_EVENTS)
        self._given.fetch(events, self._tell)

    def _take(self, found: list[Series]) -> None:
        self._series = {series.metric: series for series in found}
        for strip in self._strips.values():
            self._fill(strip)

    def _tell(self, events: list[AlarmEvent]) -> None:
        self._events = events
        for strip in self._strips.values():
            strip.tell(events, self._shift_ms)

    def _fill(self, strip: Strip) -> None:
        series = self._series.get(strip.metric.name)
        if series is not None:
            strip.take(series, self._shift_ms)
            strip.tell(self._events, self._shift_ms)

    def _zoomed(self, event: Any) -> None:
        """A window was drawn on a strip."""
        start_s = round((event.x0 - self._shift_ms) / 1000)
        end_s = round((event.x1 - self._shift_ms) / 1000)
        if end_s - start_s < LEAST_SPAN_US // 1_000_000:
            end_s = start_s + LEAST_SPAN_US // 1_000_000
        self._show(msgspec.structs.replace(self._route, start_s=start_s, end_s=end_s))

    def _show(self, route: Route) -> None:
        self._route = route
        self._given.go(route)
        self._look()

    def receive(self, message: dict[str, Any]) -> None:
        """Another span, a step, or other pens were chosen."""
        route, now_us = self._route, to_us(self._given.clock())
        kind, value = message.get("type"), str(message.get("value", ""))
        start_us, end_us = self._window_us(now_us)
        length_s = (end_us - start_us) // 1_000_000
        if kind == "span" and value in SPANS_S:
            self._show(msgspec.structs.replace(route, span=value, start_s=0, end_s=0))
        elif kind == "pan" and value in ("-1", "1"):
            moved_s = end_us // 1_000_000 + int(value) * length_s // 2
            self._show_past(moved_s - length_s, moved_s, now_us)
        elif kind == "out":
            self._show_past(
                start_us // 1_000_000 - length_s // 2, end_us // 1_000_000 + length_s // 2, now_us
            )
        elif kind == "pens":
            asked = route_of(f"?pens={value}", self._given.plant).pens
            if asked and self._boiler is not None:
                self._route = msgspec.structs.replace(route, pens=asked)
                self._show(self._route)
                self._draw(self._boiler)

    def _show_past(self, start_s: int, end_s: int, now_us: int) -> None:
        """Show a past span; one that reaches the present stays before it."""
        over_s = max(0, end_s - now_us // 1_000_000)
        start_s, end_s = max(1, start_s - over_s), end_s - over_s
        self._show(msgspec.structs.replace(self._route, start_s=start_s, end_s=end_s))

    def _build_bar(self, end_us: int) -> None:
        given, route = self._given, self._route
        texts, lang = given.translator.texts, given.translator.language
        start_us, _ = self._window_us(end_us)
        moment = given.translator.moment
        offset = from_us(end_us).astimezone(self._zone).utcoffset()
        self._bar.build(
            TrendState(
                lang=lang,
                texts=texts,
                boiler=route.boiler,
                boilers=[
                    Choice(
                        value=Route(
                            page="trends",
                            boiler=one.name,
                            pens=route.pens,
                            span=route.span,
                            start_s=route.start_s,
                            end_s=route.end_s,
                            lang=lang,
                        ).search,
                        label=one.title or one.name,
                    )
                    for one in given.plant.file.boilers
                ],
                pens=self._pens(),
                spans=[Choice(value=key, label=getattr(texts, f"span_{key}")) for key in SPANS_S],
                span=route.span if route.live else "",
                live=route.live,
                shown=f"{moment(start_us, self._zone)} – "
                f"{texts.now if route.live else moment(end_us, self._zone)}",
                zone=f"{self._zone.key} · {offset_text(offset)}" if offset is not None else "UTC",
                csv=f"export/trend.csv{route.search}",
                most_pens=MOST_PENS,
            )
        )

    def _pens(self) -> list[Pen]:
        boiler, plant = self._boiler, self._given.plant
        if boiler is None:
            return []
        live = self._given.hub.snapshot().boiler(boiler.site, boiler.name)
        measured = {one.metric for one in boiler.instruments} | set(self._route.pens)
        measured |= set() if live is None else set(live.readings)
        names = [name for name in plant.metrics if name in measured]
        language = self._given.translator.language
        return [
            Pen(
                metric=name,
                label=plant.metrics[name].label(language),
                unit=plant.metrics[name].unit,
                decimals=plant.metrics[name].decimals,
                chosen=name in self._route.pens,
            )
            for name in names
        ]
