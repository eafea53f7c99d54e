"""What a moving analog indicator shows of a metric: range, normal band, alarm ranges."""

import msgspec

from bridge.metrics import Metric
from bridge.plant import AlarmDefinition, AlarmType, Boiler, Instrument

# What lies beyond the last limit takes this share of the distance from centre to limit.
_BEYOND = 1.15


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    """The range in which an alarm is active."""

    definition: str
    priority: int
    low: float
    high: float


class Indicator(msgspec.Struct, frozen=True, kw_only=True):
    """The drawn range [low, high], the normal band, the alarms' ranges, and the PMTA."""

    low: float
    high: float
    normal: tuple[float, float] | None
    zones: tuple[Zone, ...]
    limit: float | None


def indicator_of(boiler: Boiler, metric: Metric) -> Indicator:
    """The indicator of one metric of a boiler.

    Where the plant gives a normal range, the drawn range is centred on it, so that all
    pointers in the middle means that all is well (ISA-101).
    """
    instrument = next((one for one in boiler.instruments if one.metric == metric.name), None)
    alarms = [one for one in boiler.alarms if one.metric == metric.name]
    limit = boiler.pmta_bar if metric.name == "steam_pressure" else None
    low, high = _range(boiler, metric, instrument, alarms, limit)
    return Indicator(
        low=low,
        high=high,
        normal=None if instrument is None else instrument.normal,
        zones=tuple(_zones(alarms, low, high)),
        limit=limit,
    )


def _range(
    boiler: Boiler,
    metric: Metric,
    instrument: Instrument | None,
    alarms: list[AlarmDefinition],
    limit: float | None,
) -> tuple[float, float]:
    if instrument is not None and instrument.scale is not None:
        return instrument.scale
    marks = [one.setpoint for one in alarms if one.type is not AlarmType.STALE]
    marks += [] if limit is None else [limit]
    if instrument is not None and instrument.normal is not None:
        low, high = instrument.normal
        centre = (low + high) / 2
        reach = max([high - low, *(abs(mark - centre) * _BEYOND for mark in marks)])
        reach = reach or 1.0
        return centre - reach, centre + reach
    if metric.name in ("steam_flow", "feedwater_flow") and boiler.capacity_t_h:
        return 0.0, boiler.capacity_t_h * _BEYOND
    if marks:
        return min(0.0, *marks), max(marks) * _BEYOND
    return metric.low, metric.high


def _zones(alarms: list[AlarmDefinition], low: float, high: float) -> list[Zone]:
    """The ranges of limit alarms, the wider (less urgent) before the narrower."""
    zones = []
    for alarm in alarms:
        if alarm.type in (AlarmType.HI, AlarmType.HIHI):
            zones.append(_zone(alarm, min(alarm.setpoint, high), high))
        elif alarm.type in (AlarmType.LO, AlarmType.LOLO):
            zones.append(_zone(alarm, low, max(alarm.setpoint, low)))
    return sorted(zones, key=lambda zone: zone.low - zone.high)


def _zone(alarm: AlarmDefinition, low: float, high: float) -> Zone:
    return Zone(definition=alarm.name, priority=alarm.priority, low=low, high=high)
