"""One metric over time: envelope, line, normal band and limits, as a Bokeh figure."""

import html
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
from bokeh.core.properties import value
from bokeh.models import (
    BasicTicker,
    BoxAnnotation,
    BoxZoomTool,
    ColumnDataSource,
    CrosshairTool,
    CustomJSHover,
    CustomJSTickFormatter,
    DatetimeAxis,
    DatetimeTickFormatter,
    Grid,
    HoverTool,
    HSpan,
    LabelSet,
    Line,
    LinearAxis,
    Plot,
    Range1d,
    Scatter,
    Span,
    Title,
    VArea,
)

from bridge.metrics import Metric
from bridge.plant import AlarmType, Boiler
from bridge.records import AlarmEvent, AlarmState
from panel_app.charts.indicator import Indicator, indicator_of
from panel_app.i18n import Translator
from panel_app.theme.tokens import LIGHT
from store.port import Series

FONT = "Roboto, Segoe UI, Noto Sans, Liberation Sans, sans-serif"
COLUMNS = ("t", "low", "high", "mid")
LONGEST_LIVE_ROWS = 4_000
MARKERS = {1: "square", 2: "triangle", 3: "diamond", 4: "circle"}
"""The shapes of the priorities; on a chart they are grey, being of the past."""

_ROOM = 0.06
_LEAST_GAP_MS = 5_000


class Points(msgspec.Struct, frozen=True, kw_only=True):
    """What is drawn: times in epoch ms, shifted to the wall clock of the site."""

    t: list[float]
    low: list[float]
    high: list[float]
    mid: list[float]

    def columns(self) -> dict[str, Any]:
        """As a ColumnDataSource takes them: typed arrays, sent as bytes."""
        import numpy as np

        return {name: np.asarray(getattr(self, name), dtype=float) for name in COLUMNS}


def points_of(series: Series, shift_ms: float) -> Points:
    """The points of a series; where values are missing, a break in the line."""
    step_ms = series.step_us / 1000
    gap_ms = max(_LEAST_GAP_MS, 2.5 * step_ms or 5 * _usual_step_ms(series.times_us))
    nan = float("nan")
    t: list[float] = []
    low: list[float] = []
    high: list[float] = []
    mid: list[float] = []
    last_ms: float | None = None
    for at_us, least, most, mean in zip(
        series.times_us, series.minimum, series.maximum, series.mean, strict=True
    ):
        at_ms = at_us / 1000 + step_ms / 2 + shift_ms
        if last_ms is not None and at_ms - last_ms > gap_ms:
            t.append(last_ms + 1)
            low.append(nan)
            high.append(nan)
            mid.append(nan)
        t.append(at_ms)
        low.append(least)
        high.append(most)
        mid.append(mean)
        last_ms = at_ms
    return Points(t=t, low=low, high=high, mid=mid)


def _usual_step_ms(times_us: Sequence[int]) -> float:
    steps = sorted(b - a for a, b in pairwise(times_us))
    return steps[len(steps) // 2] / 1000 if steps else 0.0


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm's limit, or the PMTA (no definition); `below`: the label is under the line."""

    definition: str
    at: float
    label: str
    below: bool


class Strip:
    """The figure of one pen."""

    def __init__(
        self,
        boiler: Boiler,
        metric: Metric,
        translator: Translator,
        x_range: Range1d,
        crosshair: Span,
        *,
        height: int,
        last: bool,
        narrow: bool,
    ) -> None:
        self.metric = metric
        self._narrow = narrow
        self.indicator = indicator_of(boiler, metric)
        self.source = ColumnDataSource(data={name: [] for name in COLUMNS})
        self._newest_ms = 0.0
        tags = [one.tag for one in boiler.instruments if one.metric == metric.name and one.tag]
        title = " · ".join([metric.label(translator.language), *tags])
        self._limits = _limits_of(boiler, metric, self.indicator.limit, translator, narrow=narrow)
        self.lines = ColumnDataSource()
        self.events = ColumnDataSource(data={"t": [], "y": [], "marker": []})
        self.figure = _figure(title, metric, translator, x_range, height=height, last=last)
        self.figure.min_border_left = 44 if narrow else 64
        self._title, self._no_data = self.figure.title.text, translator.texts.no_data
        self._draw(translator, crosshair)

    def take(self, series: Series, shift_ms: float) -> None:
        """Show a series instead of what is shown."""
        points = points_of(series, shift_ms)
        self.source.data = points.columns()
        self._newest_ms = points.t[-1] if points.t else 0.0
        title = self._title if points.t else f"{self._title} · {self._no_data}"
        if self.figure.title.text != title:
            self.figure.title.text = title
        self._fit(points.low, points.high)

    def add(self, at_ms: float, value: float) -> None:
        """Show one more value, newer than all that are shown."""
        if at_ms <= self._newest_ms:
            return
        self._newest_ms = at_ms
        row = {"t": [at_ms], "low": [value], "high": [value], "mid": [value]}
        self.source.stream(row, LONGEST_LIVE_ROWS)
        y_range = self.figure.y_range
        if not y_range.start < value < y_range.end:
            self._fit([value, y_range.start], [value, y_range.end])

    def mark(self, priorities: dict[str, int]) -> None:
        """Colour the limits of active alarms (definition to priority), and no others."""
        if not self._limits:
            return
        active = [priorities.get(limit.definition) for limit in self._limits]
        colour = [LIGHT[f"p{one}"] if one else LIGHT["line-strong"] for one in active]
        if colour != self.lines.data["colour"]:
            width = [2.5 if one else 1.0 for one in active]
            self.lines.data = {**self.lines.data, "colour": colour, "width": width}

    def tell(self, events: list[AlarmEvent], shift_ms: float) -> None:
        """Mark where alarms of this metric became active."""
        began = [
            event
            for event in events
            if event.metric == self.metric.name
            and event.state is AlarmState.UNACK
            and event.priority in MARKERS
        ]
        self.events.data = {
            "t": [event.at_us / 1000 + shift_ms for event in began],
            "y": [event.setpoint if event.value is None else event.value for event in began],
            "marker": [MARKERS[event.priority] for event in began],
        }

    def _fit(self, low: list[float], high: list[float]) -> None:
        shown = [value for value in (*low, *high) if value == value]  # noqa: PLR0124 - not NaN
        shown += [limit.at for limit in self._limits]
        shown += list(self.indicator.normal or ())
        if not shown:
            shown = [self.metric.low, self.metric.high]
        least, most = min(shown), max(shown)
        room = (most - least) * _ROOM or 1.0
        self.figure.y_range.update(start=least - room, end=most + room)

    def _draw(self, translator: Translator, crosshair: Span) -> None:
        plot = self.figure
        _draw_normal(plot, self.indicator)
        if self._limits:
            self._draw_limits()
        envelope = VArea(x="t", y1="low", y2="high", fill_color=LIGHT["pen"], fill_alpha=0.28)
        plot.add_glyph(self.source, envelope)
        line = plot.add_glyph(
            self.source, Line(x="t", y="mid", line_color=LIGHT["ink"], line_width=1.3)
        )
        began = Scatter(
            x="t",
            y="y",
            marker="marker",
            size=13,
            fill_color=LIGHT["raised"],
            line_color=LIGHT["ink"],
            line_width=1.6,
        )
        plot.add_glyph(self.events, began)
        plot.add_tools(_hover(self.metric, translator, line), CrosshairTool(overlay=crosshair))
        zoom = BoxZoomTool(dimensions="width")
        plot.add_tools(zoom)
        plot.toolbar.active_drag = zoom
        self._fit([], [])

    def _draw_limits(self) -> None:
        """Lines across the strip, each with its label beside it, towards the normal side."""
        plot, step = self.figure, 72 if self._narrow else 230
        count = len(self._limits)
        self.lines.data = {
            "y": [limit.at for limit in self._limits],
            "colour": [LIGHT["line-strong"]] * count,
            "width": [1.0] * count,
            "dash": ["solid" if not limit.definition else "5 4" for limit in self._limits],
            "text": [limit.label for limit in self._limits],
            "x": [8 + step * place for place in range(count)],
            "up": [-14 if limit.below else 2 for limit in self._limits],
        }
        line = HSpan(y="y", line_color="colour", line_width="width", line_dash="dash")
        plot.add_glyph(self.lines, line)
        plot.add_layout(
            LabelSet(
                source=self.lines,
                x="x",
                y="y",
                text="text",
                x_units="screen",
                y_offset="up",
                text_font=value(FONT),
                text_font_size=value("11px"),
                text_color=LIGHT["ink-3"],
            )
        )


def _limits_of(
    boiler: Boiler, metric: Metric, limit: float | None, translator: Translator, *, narrow: bool
) -> list[Limit]:
    limits = []
    for alarm in boiler.alarms:
        if alarm.metric == metric.name and alarm.type is not AlarmType.STALE:
            title = "" if narrow else f" · {alarm.title(translator.language)}"
            at = translator.number(alarm.setpoint, metric.decimals)
            limits.append(
                Limit(
                    definition=alarm.name,
                    at=alarm.setpoint,
                    label=f"P{alarm.priority}{title} {at}",
                    below=alarm.type in (AlarmType.HI, AlarmType.HIHI),
                )
            )
    if limit is not None:
        label = f"{translator.texts.mawp} {translator.number(limit, metric.decimals)}"
        limits.append(Limit(definition="", at=limit, label=label, below=True))
    return limits


def _figure(
    title: str,
    metric: Metric,
    translator: Translator,
    x_range: Range1d,
    *,
    height: int,
    last: bool,
) -> Any:
    unit = f"  [{metric.unit}]" if metric.unit else ""
    plot = Plot(
        height=height + (24 if last else 0),
        sizing_mode="stretch_width",
        x_range=x_range,
        y_range=Range1d(metric.low, metric.high),
        toolbar_location=None,
        title=Title(
            text=f"{title}{unit}",
            text_font=FONT,
            text_font_size="13px",
            text_color=LIGHT["ink"],
            standoff=5,
        ),
        min_border_right=14,
        min_border_top=2,
        min_border_bottom=6,
        background_fill_color=LIGHT["raised"],
        border_fill_color=LIGHT["tile"],
        outline_line_color=LIGHT["line"],
        name=f"strip-{metric.name}",
    )
    style = {
        "axis_line_color": None,
        "major_tick_line_color": LIGHT["line"],
        "minor_tick_line_color": None,
        "major_label_text_font": FONT,
        "major_label_text_font_size": "12px",
        "major_label_text_color": LIGHT["ink-2"],
    }
    values = LinearAxis(
        formatter=_numbers(translator), ticker=BasicTicker(desired_num_ticks=4), **style
    )
    times = DatetimeAxis(formatter=_times(translator), visible=last, **style)
    plot.add_layout(values, "left")
    plot.add_layout(times, "below")
    plot.add_layout(Grid(dimension=0, axis=times, grid_line_color=LIGHT["line-soft"]))
    plot.add_layout(Grid(dimension=1, axis=values, grid_line_color=LIGHT["line-soft"]))
    return plot


def _draw_normal(plot: Any, indicator: Indicator) -> None:
    if indicator.normal is not None:
        low, high = indicator.normal
        plot.add_layout(
            BoxAnnotation(
                bottom=low,
                top=high,
                fill_color=LIGHT["track"],
                fill_alpha=0.55,
                line_color=None,
                level="underlay",
            )
        )


def _hover(metric: Metric, translator: Translator, line: Any) -> HoverTool:
    number = CustomJSHover(
        args={"lang": translator.language, "digits": metric.decimals},
        code="return new Intl.NumberFormat(lang, {minimumFractionDigits: digits,"
        " maximumFractionDigits: digits}).format(value)",
    )
    moment = CustomJSHover(
        args={"lang": translator.language},
        code="return new Intl.DateTimeFormat(lang, {timeZone: 'UTC', hourCycle: 'h23',"
        " day: '2-digit', month: '2-digit', hour: '2-digit', minute: '2-digit',"
        " second: '2-digit'}).format(value)",
    )
    unit = html.escape(metric.unit)
    tooltip = (
        "<div style='font:12px Roboto,sans-serif'><b>@mid{custom}</b> "
        f"{unit}<br>@low{{custom}} – @high{{custom}}<br>@t{{custom}}</div>"
    )
    formats = {"@mid": number, "@low": number, "@high": number, "@t": moment}
    return HoverTool(
        renderers=[line],
        mode="vline",
        tooltips=tooltip,
        formatters=formats,
        point_policy="snap_to_data",
    )


def _numbers(translator: Translator) -> CustomJSTickFormatter:
    return CustomJSTickFormatter(
        args={"lang": translator.language},
        code="return new Intl.NumberFormat(lang, {maximumFractionDigits: 3}).format(tick)",
    )


def _times(translator: Translator) -> DatetimeTickFormatter:
    day = "%d/%m" if translator.portuguese else "%b %d"
    clock, second = "%H:%M", "%H:%M:%S"
    return DatetimeTickFormatter(
        microseconds=second,
        milliseconds=second,
        seconds=second,
        minsec=second,
        minutes=clock,
        hourmin=clock,
        hours=clock,
        days=day,
        months=day,
        context=DatetimeTickFormatter(
            **dict.fromkeys(
                (
                    "microseconds",
                    "milliseconds",
                    "seconds",
                    "minsec",
                    "minutes",
                    "hourmin",
                    "hours",
                ),
                day,
            ),
            days="",
            months="%Y",
            years="",
        ),
        context_which="start",
        hide_repeats=True,
    )
