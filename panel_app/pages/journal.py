"""The alarm journal: what is asked for, and its events as people read them."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import msgspec

from bridge.clock import from_us
from bridge.live import LiveAlarm
from bridge.plant import Plant
from bridge.records import AlarmEvent
from panel_app.i18n import Translator
from panel_app.i18n.translator import offset_text
from panel_app.pages.alarm_rows import alarm_title, boiler_title, reading_text
from panel_app.route import Route

MOST_SHOWN = 300
MOST_ASKED = 5_000
TREND_AROUND_S = 600


class JournalRow(msgspec.Struct, frozen=True, kw_only=True):
    """One event; `at` is in `zone` (UTC−3), `search` leads to the trend around it."""

    id: str
    at: str
    zone: str
    boiler: str
    boiler_title: str
    title: str
    definition: str
    priority: int
    state: str
    reading: str
    by: str
    note: str
    retroactive: bool
    search: str


class Journal(msgspec.Struct, frozen=True, kw_only=True):
    """The newest events that the filters let pass; `all` counts them all."""

    rows: list[JournalRow]
    all: int


def journal_span(route: Route, now_us: int) -> tuple[int, int]:
    """The span of the journal's period, its end on a grid of 5 s."""
    grid_us = 5_000_000
    end_us = (now_us // grid_us + 1) * grid_us
    return end_us - route.hours * 3_600_000_000, end_us


def chosen(
    events: list[AlarmEvent], route: Route, plant: Plant, translator: Translator
) -> list[AlarmEvent]:
    """The events that pass the route's filters; text is sought in what is shown."""
    wanted = route.text.casefold()
    return [
        event
        for event in events
        if route.boiler in ("", event.boiler)
        and route.priority in (0, event.priority)
        and route.state in ("", event.state.value)
        and (not wanted or wanted in _searched(event, plant, translator))
    ]


def journal(
    events: list[AlarmEvent], route: Route, plant: Plant, translator: Translator
) -> Journal:
    """The journal of a route, from the events of its period."""
    found = chosen(events, route, plant, translator)
    rows = [journal_row(event, plant, translator) for event in found[:MOST_SHOWN]]
    return Journal(rows=rows, all=len(found))


def journal_row(event: AlarmEvent, plant: Plant, translator: Translator) -> JournalRow:
    """One event in the words of a language, its time in its site's zone."""
    at_s, zone = event.at_us // 1_000_000, zone_of(plant, event.boiler)
    offset = from_us(event.at_us).astimezone(zone).utcoffset() or timedelta()
    trend = Route(
        page="trends",
        boiler=event.boiler if event.boiler in plant.boilers else "",
        pens=(event.metric,) if event.metric in plant.metrics else (),
        start_s=at_s - TREND_AROUND_S,
        end_s=at_s + TREND_AROUND_S,
        lang=translator.language,
    )
    return JournalRow(
        id=event.id,
        at=translator.moment(event.at_us, zone),
        zone=offset_text(offset),
        boiler=event.boiler,
        boiler_title=boiler_title(plant, event.boiler, translator),
        title=alarm_title(plant, event.boiler, event.definition, translator),
        definition=event.definition,
        priority=event.priority,
        state=event.state.value,
        reading=_reading(event, plant, translator),
        by=event.by,
        note=event.note,
        retroactive=event.retroactive,
        search=trend.search if trend.boiler and trend.pens else "",
    )


def zone_of(plant: Plant, boiler: str) -> ZoneInfo:
    """The time zone of a boiler's site; the first site's for Steam's own alarms."""
    found = plant.boilers.get(boiler)
    if found is not None:
        return ZoneInfo(plant.sites[found.site].time_zone)
    first = next(iter(plant.sites.values()), None)
    return ZoneInfo("UTC" if first is None else first.time_zone)


def _reading(event: AlarmEvent, plant: Plant, translator: Translator) -> str:
    alarm = LiveAlarm(
        definition=event.definition,
        type=event.type,
        metric=event.metric,
        state=event.state,
        priority=event.priority,
        since_us=event.at_us,
        value=event.value,
        setpoint=event.setpoint if event.state.value == "UNACK" else None,
    )
    if event.type == "STALE" and event.state.value != "UNACK":
        return ""
    return reading_text(alarm, plant, translator)


def _searched(event: AlarmEvent, plant: Plant, translator: Translator) -> str:
    shown = (
        boiler_title(plant, event.boiler, translator),
        alarm_title(plant, event.boiler, event.definition, translator),
        event.definition,
        event.by,
        event.note,
    )
    return " ".join(shown).casefold()
