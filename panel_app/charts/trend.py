"""One metric over time: envelope, line, normal band and limits, as a Bokeh figure."""

import html
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import msgspec
from bokeh.models import (
    BoxAnnotation,
    BoxZoomTool,
    ColumnDataSource,
    CrosshairTool,
    CustomJSHover,
    CustomJSTickFormatter,
    DatetimeTickFormatter,
    HoverTool,
    Label,
    Range1d,
    Span,
)
from bokeh.plotting import figure

from bridge.metrics import Metric
from bridge.plant import AlarmType, Boiler
from panel_app.charts.indicator import Indicator, indicator_of
from panel_app.i18n import Translator
from panel_app.theme.tokens import LIGHT
from store.port import Series

FONT = "Roboto, Segoe UI, Noto Sans, Liberation Sans, sans-serif"
COLUMNS = ("t", "low", "high", "mid")
LONGEST_LIVE_ROWS = 4_000
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
    ) -> None:
        self.metric = metric
        self.indicator = indicator_of(boiler, metric)
        self.source = ColumnDataSource(data={name: [] for name in COLUMNS})
        self.limits: dict[str, Span] = {}
        self._translator = translator
        self._newest_ms = 0.0
        tags = [one.tag for one in boiler.instruments if one.metric == metric.name and one.tag]
        title = " · ".join([metric.label(translator.language), *tags])
        self.figure = _figure(title, metric, translator, x_range, height=height, last=last)
        self._draw(boiler, translator, crosshair)

    def take(self, series: Series, shift_ms: float) -> None:
        """Show a series instead of what is shown."""
        points = points_of(series, shift_ms)
        self.source.data = points.columns()
        self._newest_ms = points.t[-1] if points.t else 0.0
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
        for name, span in self.limits.items():
            colour = LIGHT[f"p{priorities[name]}"] if name in priorities else LIGHT["line-strong"]
            width = 2.5 if name in priorities else 1.0
            if (span.line_color, span.line_width) != (colour, width):
                span.update(line_color=colour, line_width=width)

    def _fit(self, low: list[float], high: list[float]) -> None:
        shown = [value for value in (*low, *high) if value == value]  # noqa: PLR0124 - not NaN
        shown += [span.location for span in self.limits.values()]
        shown += list(self.indicator.normal or ())
        if not shown:
            shown = [self.metric.low, self.metric.high]
        least, most = min(shown), max(shown)
        room = (most - least) * _ROOM or 1.0
        self.figure.y_range.update(start=least - room, end=most + room)

    def _draw(self, boiler: Boiler, translator: Translator, crosshair: Span) -> None:
        plot = self.figure
        _draw_normal(plot, self.indicator)
        for alarm in boiler.alarms:
            if alarm.metric == self.metric.name and alarm.type is not AlarmType.STALE:
                label = f"{alarm.priority} · {alarm.title(translator.language)}"
                below = alarm.type in (AlarmType.LO, AlarmType.LOLO)
                self.limits[alarm.name] = self._limit(alarm.setpoint, label, below=below)
        if self.indicator.limit is not None:
            self.limits[""] = self._limit(self.indicator.limit, translator.texts.mawp, below=True)
            self.limits[""].line_dash = "solid"
        plot.varea("t", "low", "high", source=self.source, fill_color=LIGHT["pen"], fill_alpha=0.28)
        line = plot.line("t", "mid", source=self.source, line_color=LIGHT["ink"], line_width=1.3)
        plot.add_tools(_hover(self.metric, translator, line), CrosshairTool(overlay=crosshair))
        zoom = BoxZoomTool(dimensions="width")
        plot.add_tools(zoom)
        plot.toolbar.active_drag = zoom
        self._fit([], [])

    def _limit(self, at: float, label: str, *, below: bool) -> Span:
        text = f"{label} {self._translator.number(at, self.metric.decimals)}"
        span = Span(
            location=at, dimension="width", line_color=LIGHT["line-strong"], line_dash=[5, 4]
        )
        self.figure.add_layout(span)
        self.figure.add_layout(
            Label(
                x=8 + 230 * len(self.limits),
                y=at,
                x_units="screen",
                y_offset=-2 if below else 2,
                text=text,
                text_font=FONT,
                text_font_size="11px",
                text_color=LIGHT["ink-3"],
                text_baseline="top" if below else "bottom",
            )
        )
        return span


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
    plot = figure(
        height=height + (24 if last else 0),
        sizing_mode="stretch_width",
        x_axis_type="datetime",
        x_range=x_range,
        y_range=Range1d(metric.low, metric.high),
        toolbar_location=None,
        tools="",
        title=f"{title}{unit}",
        min_border_left=64,
        min_border_right=14,
        min_border_top=2,
        min_border_bottom=6,
        background_fill_color=LIGHT["raised"],
        border_fill_color=LIGHT["tile"],
        outline_line_color=LIGHT["line"],
        name=f"strip-{metric.name}",
    )
    plot.title.update(
        text_font=FONT, text_font_size="13px", text_color=LIGHT["ink"], standoff=5, offset=0
    )
    plot.grid.grid_line_color = LIGHT["line-soft"]
    plot.xgrid.grid_line_color = LIGHT["line-soft"]
    for axis in (*plot.xaxis, *plot.yaxis):
        axis.update(
            axis_line_color=None,
            major_tick_line_color=LIGHT["line"],
            minor_tick_line_color=None,
            major_label_text_font=FONT,
            major_label_text_font_size="12px",
            major_label_text_color=LIGHT["ink-2"],
        )
    plot.yaxis[0].formatter = _numbers(translator)
    plot.yaxis[0].ticker.desired_num_ticks = 4
    plot.xaxis[0].formatter = _times(translator)
    plot.xaxis[0].visible = last
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


def offset_text(offset: timedelta) -> str:
    """Such as UTC−3 or UTC+5:30."""
    minutes = round(offset.total_seconds() / 60)
    sign = "−" if minutes < 0 else "+"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{sign}{hours}" + (f":{rest:02d}" if rest else "")
