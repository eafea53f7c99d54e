"""What the overview shows: a tile per boiler, built once, and its live values."""

import math
from typing import Literal

import msgspec

from bridge.live import LiveBoiler
from bridge.metrics import Metric
from bridge.plant import Boiler, Plant
from bridge.quality import is_usable
from panel_app.charts.indicator import Zone, indicator_of
from panel_app.data.hub import LiveSnapshot
from panel_app.i18n import Translator
from panel_app.i18n.texts import Texts
from panel_app.pages.alarm_rows import AlarmRow, alarm_row
from panel_app.route import Route

KEY_METRICS = (
    "steam_pressure",
    "water_level",
    "steam_flow",
    "feedwater_flow",
    "feedwater_temperature",
    "oxygen",
    "flue_gas_temperature",
)
"""What stands on a tile: NR-13's mandatory items first, then what tells of efficiency."""

_BESIDE = ("flame", "burner_state", "firing_rate")
_NEIGHBOURS = {
    "steam_pressure": ("steam_pressure", "water_level", "steam_flow", "oxygen"),
    "water_level": ("water_level", "feedwater_flow", "steam_flow", "steam_pressure"),
}

Freshness = Literal["live", "late", "stale", "none"]
LiveValue = tuple[float | None, int, int]
"""Value, epoch ms, OPC code."""


class TileRow(msgspec.Struct, frozen=True, kw_only=True):
    """One indicator of a tile."""

    metric: str
    label: str
    tag: str
    unit: str
    decimals: int
    low: float
    high: float
    normal: tuple[float, float] | None
    zones: tuple[Zone, ...]
    limit: float | None
    limit_label: str
    search: str


class Tile(msgspec.Struct, frozen=True, kw_only=True):
    """What a boiler's tile is built from."""

    id: str
    title: str
    about: str
    search: str
    rows: list[TileRow]


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of the whole house."""

    key: str
    label: str
    unit: str
    decimals: int


class OverviewState(msgspec.Struct, frozen=True, kw_only=True):
    """What the overview is built from."""

    lang: str
    texts: Texts
    columns: int
    alarms_search: str
    boilers: list[Tile]
    totals: list[Total]


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What the sparklines begin with: (epoch ms, value) per boiler and metric."""

    boilers: dict[str, dict[str, list[tuple[int, float]]]]


class TileLive(msgspec.Struct, frozen=True, kw_only=True):
    """The newest of a boiler; `at` is the newest reading's time in epoch ms, 0 for none."""

    id: str
    state: Freshness
    at: int
    burner: str
    readings: dict[str, LiveValue]
    alarms: list[AlarmRow]


class OverviewLive(msgspec.Struct, frozen=True, kw_only=True):
    """The newest of all boilers; a total is a number in its unit, or a text."""

    now: int
    boilers: list[TileLive]
    totals: dict[str, float | str | None]


def overview_state(
    plant: Plant,
    snapshot: LiveSnapshot,
    translator: Translator,
) -> OverviewState:
    """The tiles of every boiler of the plant, in the file's order."""
    tiles = [_tile(boiler, plant, snapshot, translator) for boiler in plant.file.boilers]
    texts = translator.texts
    totals = [
        Total(key="steam", label=texts.total_steam, unit="t/h", decimals=1),
        Total(key="load", label=texts.total_load, unit="%", decimals=0),
        Total(key="running", label=texts.total_running, unit="", decimals=0),
    ]
    return OverviewState(
        lang=translator.language,
        texts=texts,
        columns=columns_for(len(tiles)),
        alarms_search=Route(page="alarms", lang=translator.language).search,
        boilers=tiles,
        totals=totals,
    )


def columns_for(tiles: int) -> int:
    """How many tiles stand side by side on a wide screen: as square as may be, at most 3."""
    return max(1, min(3, math.ceil(math.sqrt(tiles))))


def overview_live(
    plant: Plant, snapshot: LiveSnapshot, translator: Translator, now_us: int, ages_s: "Ages"
) -> OverviewLive:
    """The newest values of every boiler at a moment (epoch µs)."""
    lives = {
        boiler.name: snapshot.boiler(boiler.site, boiler.name) for boiler in plant.file.boilers
    }
    tiles = [
        _tile_live(name, live, plant, translator, now_us, ages_s) for name, live in lives.items()
    ]
    return OverviewLive(
        now=now_us // 1000, boilers=tiles, totals=_totals(plant, lives, tiles, translator)
    )


class Ages(msgspec.Struct, frozen=True, kw_only=True):
    """From which age (seconds) values are late, and from which stale.

    A page that hears nothing from the server for `silent_s` has lost it (heartbeat: 2 s).
    """

    late_s: float = 5.0
    stale_s: float = 10.0
    silent_s: float = 6.5

    def freshness(self, at_us: int, now_us: int) -> Freshness:
        """What a value of that time is worth now; 0 is no value."""
        if at_us == 0:
            return "none"
        age_s = (now_us - at_us) / 1e6
        if age_s > self.stale_s:
            return "stale"
        return "late" if age_s > self.late_s else "live"


def newest_us(live: LiveBoiler | None) -> int:
    """The time of a boiler's newest reading (epoch µs), 0 for none."""
    readings = {} if live is None else live.readings
    return max((reading.at_us for reading in readings.values()), default=0)


def _tile(boiler: Boiler, plant: Plant, snapshot: LiveSnapshot, translator: Translator) -> Tile:
    live = snapshot.boiler(boiler.site, boiler.name)
    measured = {one.metric for one in boiler.instruments}
    measured |= set() if live is None else set(live.readings)
    shown = [name for name in KEY_METRICS if name in measured or not measured]
    site = plant.sites[boiler.site]
    about = [site.title or site.name]
    if boiler.capacity_t_h:
        about.append(f"{translator.number(boiler.capacity_t_h, 0)} t/h")
    if boiler.fuel:
        about.append(boiler.fuel)
    lang = translator.language
    return Tile(
        id=boiler.name,
        title=boiler.title or boiler.name,
        about=" · ".join(about),
        search=Route(page="trends", boiler=boiler.name, lang=lang).search,
        rows=[_row(boiler, plant.metrics[name], translator) for name in shown],
    )


def _row(boiler: Boiler, metric: Metric, translator: Translator) -> TileRow:
    drawn = indicator_of(boiler, metric)
    pens = _NEIGHBOURS.get(metric.name, (metric.name, "steam_pressure", "steam_flow"))
    tags = [one.tag for one in boiler.instruments if one.metric == metric.name]
    label = (
        ""
        if drawn.limit is None
        else f"{translator.texts.mawp} {translator.number(drawn.limit, 1)}"
    )
    return TileRow(
        metric=metric.name,
        label=metric.label(translator.language),
        tag=tags[0] if tags else "",
        unit=metric.unit,
        decimals=metric.decimals,
        low=drawn.low,
        high=drawn.high,
        normal=drawn.normal,
        zones=drawn.zones,
        limit=drawn.limit,
        limit_label=label,
        search=Route(page="trends", boiler=boiler.name, pens=pens, lang=translator.language).search,
    )


def _tile_live(
    name: str,
    live: LiveBoiler | None,
    plant: Plant,
    translator: Translator,
    now_us: int,
    ages: Ages,
) -> TileLive:
    at_us = newest_us(live)
    readings = {} if live is None else live.readings
    values: dict[str, LiveValue] = {
        metric: (readings[metric].value, readings[metric].at_us // 1000, readings[metric].quality)
        for metric in (*KEY_METRICS, *_BESIDE)
        if metric in readings
    }
    return TileLive(
        id=name,
        state=ages.freshness(at_us, now_us),
        at=at_us // 1000,
        burner=burner_word(live, translator),
        readings=values,
        alarms=[] if live is None else [alarm_row(a, name, plant, translator) for a in live.alarms],
    )


def burner_word(live: LiveBoiler | None, translator: Translator) -> str:
    """The burner's state as a word, its number where it has none, or "–"."""
    code = _value(live, "burner_state")
    if code is None:
        return "–"
    words = translator.texts.burner_states
    at = round(code)
    return words[at] if 0 <= at < len(words) else translator.texts.burner_code.format(code=at)


def _totals(
    plant: Plant,
    lives: dict[str, LiveBoiler | None],
    tiles: list[TileLive],
    translator: Translator,
) -> dict[str, float | str | None]:
    """Totals of the boilers whose values are not stale."""
    fresh = [tile.id for tile in tiles if tile.state in ("live", "late")]
    flows = {name: _value(lives[name], "steam_flow") for name in fresh}
    known = {name: flow for name, flow in flows.items() if flow is not None}
    capacity = sum(plant.boilers[name].capacity_t_h or 0.0 for name in known)
    steam = sum(known.values()) if known else None
    half = 0.5
    burning = sum((_value(lives[name], "flame") or 0.0) >= half for name in fresh)
    running = translator.texts.total_running_value.format(running=burning, all=len(tiles))
    load = 100 * steam / capacity if steam is not None and capacity else None
    return {"steam": steam, "load": load, "running": running}


def _value(live: LiveBoiler | None, metric: str) -> float | None:
    """A usable value, or None."""
    reading = None if live is None else live.readings.get(metric)
    return reading.value if reading is not None and is_usable(reading.quality) else None
