"""Definitions compiled for speed: what to compare in which column of a device's rows."""

import math
from collections.abc import Iterable

import msgspec

from bridge.plant import AlarmDefinition, AlarmType, Boiler
from bridge.quality import GOOD
from processor.alarms.condition import Limit, Phase
from processor.alarms.late import Tail
from processor.alarms.machine import Alarm
from processor.alarms.stale import Staleness

Noted = tuple[float | None, int, int]
"""A reading: value, time (epoch µs), OPC code."""


class Tentative(msgspec.Struct, frozen=True):
    """An activation found in a row of an outage, kept until it is known whether it lasts.

    `taken_us` is when it was found, `message` the number of the message that showed it.
    """

    at_us: int
    value: float | None
    taken_us: int
    message: int


class Watched:
    """One limit definition of a boiler: its alarm, and its condition at each device.

    After a take-over `recorded_us` is how far the alarm's records go, until its readings
    have come beyond; `noted` is the newest change that lay within.
    """

    __slots__ = (
        "alarm",
        "conditions",
        "definition",
        "limit",
        "noted",
        "recorded_us",
        "tentative",
    )

    def __init__(self, alarm: Alarm, definition: AlarmDefinition) -> None:
        self.alarm = alarm
        self.definition = definition
        self.limit = Limit(definition)
        self.conditions: list[Condition] = []
        self.tentative: Tentative | None = None
        self.recorded_us: int | None = None
        self.noted: tuple[int, float | None] | None = None


class Condition:
    """The condition of one definition as the readings of one device show it.

    It starts from the alarm's present state, so that an alarm restored from the journal
    returns to normal only by a reading. `tail` keeps the readings since a gap while they
    do not yet settle the condition whatever was in the gap.
    """

    __slots__ = ("band", "limit", "phase", "tail", "watched")

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.limit = watched.limit
        self.phase = Phase(active=watched.alarm.active)
        self.tail: Tail | None = None
        self.band: Band | None = None
        watched.conditions.append(self)

    def begin_anew(self) -> None:
        """Start from the alarm's present state."""
        self.phase = Phase(active=self.watched.alarm.active)
        self.tail = None

    @property
    def resting(self) -> bool:
        """Whether only a reading beyond the setpoint can change anything."""
        return self.phase.resting and self.tail is None and self.watched.recorded_us is None


class Band:
    """All that is judged of one metric of one boiler at one device.

    A reading strictly between `low` and `high` changes nothing: these are the nearest
    setpoints while every condition rests, and an empty band otherwise. `inner_low` and
    `inner_high` are the nearest setpoints always.
    """

    __slots__ = ("conditions", "high", "inner_high", "inner_low", "low", "stale")

    def __init__(self, conditions: list[Condition], stale: list[Staleness]) -> None:
        self.conditions = conditions
        self.stale = stale
        self.inner_low, self.inner_high = -math.inf, math.inf
        for condition in conditions:
            condition.band = self
            limit = condition.limit
            if limit.sign > 0:
                self.inner_high = min(self.inner_high, limit.trip)
            else:
                self.inner_low = max(self.inner_low, -limit.trip)
        self.low, self.high = self.inner_low, self.inner_high
        self.settle()

    def settle(self) -> None:
        """Set `low` and `high` after a change."""
        for condition in self.conditions:
            if not condition.resting:
                self.low, self.high = math.inf, -math.inf
                return
        for staleness in self.stale:
            if staleness.active:
                self.low, self.high = math.inf, -math.inf
                return
        self.low, self.high = self.inner_low, self.inner_high


class Watch:
    """One device's columns at one boiler: what to compare, and the newest whole row.

    `columns` holds (index in the row, band) of the judged metrics, `shown` (index, name)
    of those the plant knows; `row` is the newest
    row in which every value was there and usable, `at_us` its time, `taken_us` when it
    was evaluated.
    """

    __slots__ = ("at_us", "boiler", "columns", "row", "shown", "taken_us")

    def __init__(
        self,
        boiler: "BoilerWatch",
        columns: tuple[tuple[int, Band], ...],
        shown: tuple[tuple[int, str], ...],
    ) -> None:
        self.boiler = boiler
        self.columns = columns
        self.shown = shown
        self.row: list[float | None] | None = None
        self.at_us = 0
        self.taken_us = 0


class BoilerWatch:
    """One boiler: its alarms, its staleness, its newest readings."""

    def __init__(self, boiler: Boiler) -> None:
        self.boiler = boiler
        self.watched: dict[str, Watched] = {}
        self.stale: dict[str, Staleness] = {}
        self.by_metric: dict[str, list[Watched]] = {}
        self.watches: list[Watch] = []
        self.bands: dict[str, list[Band]] = {}
        self.readings: dict[str, Noted] = {}
        self.fresh_us: dict[str, int] = {}

    def build(self, now_us: int, earlier: "BoilerWatch | None") -> None:
        """Compile the definitions, taking over from `earlier` what did not change."""
        for definition in self.boiler.alarms:
            name = definition.name
            alarm = self._alarm(definition, earlier)
            if definition.type is AlarmType.STALE:
                kept_stale = earlier.stale.get(name) if earlier else None
                if kept_stale is None or kept_stale.definition != definition:
                    kept_stale = Staleness(alarm, definition, now_us)
                self.stale[name] = kept_stale
                continue
            kept = earlier.watched.get(name) if earlier else None
            if kept is None or kept.definition != definition:
                kept = Watched(alarm, definition)
            self.watched[name] = kept
            self.by_metric.setdefault(definition.metric, []).append(kept)
        if earlier is not None:
            earlier.keep_readings()
            self.readings, self.fresh_us = earlier.readings, earlier.fresh_us

    def _alarm(self, definition: AlarmDefinition, earlier: "BoilerWatch | None") -> Alarm:
        alarm = Alarm.of(self.boiler.site, self.boiler.name, definition)
        before = earlier.alarm(definition.name) if earlier else None
        if before is not None:
            alarm.resume(before)
        return alarm

    def alarm(self, definition: str) -> Alarm | None:
        """The alarm of that name, or None."""
        watched = self.watched.get(definition)
        if watched is not None:
            return watched.alarm
        staleness = self.stale.get(definition)
        return None if staleness is None else staleness.alarm

    def alarms(self) -> Iterable[Alarm]:
        """All alarms of the boiler."""
        yield from (watched.alarm for watched in self.watched.values())
        yield from (staleness.alarm for staleness in self.stale.values())

    def keep_readings(self) -> None:
        """Note the newest readings apart from the watches, which are about to go."""
        readings = self.newest_readings()
        fresh = {metric: self.last_fresh_us(metric) for metric in readings}
        self.readings = readings
        self.fresh_us = {metric: at for metric, at in fresh.items() if at is not None}

    def last_fresh_us(self, metric: str) -> int | None:
        """When the newest usable reading of a metric was taken (epoch µs), or None.

        A device whose clock is ahead is believed only up to the moment of evaluation.
        """
        newest = self.fresh_us.get(metric)
        for watch in self.watches:
            if watch.row is not None and any(name == metric for _, name in watch.shown):
                moment = min(watch.at_us, watch.taken_us)
                newest = moment if newest is None else max(newest, moment)
        return newest

    def newest_readings(self) -> dict[str, Noted]:
        """The newest reading of every metric."""
        newest = dict(self.readings)
        for watch in self.watches:
            if watch.row is None:
                continue
            for index, metric in watch.shown:
                before = newest.get(metric)
                if before is None or before[1] <= watch.at_us:
                    newest[metric] = (watch.row[index], watch.at_us, GOOD)
        return newest
