"""A feed and commands that need no server, for tests and for work on the design."""

import threading
from datetime import datetime, timedelta

import msgspec

from bridge.clock import Clock, to_us, utc_now
from bridge.live import AcknowledgeAlarm, LiveAlarm, LiveBoiler, LiveDevice, LiveReading, LiveSite
from bridge.plant import AlarmDefinition, Plant
from bridge.quality import BAD, GOOD
from bridge.records import AlarmEvent, AlarmState
from panel_app.data.commands import CommandFailed
from panel_app.data.fake_plant import FAKE_METRICS, fake_value
from panel_app.data.hub import LiveHub

_ACKNOWLEDGED = {
    AlarmState.UNACK: AlarmState.ACKED,
    AlarmState.RTN_UNACK: AlarmState.NORMAL,
}


class FakePlantFeed:
    """A LiveFeed whose values are a function of time, but for what a test overrides.

    `step()` puts one set of values into the hub; `open()` does so every `period_s`.
    """

    def __init__(
        self, hub: LiveHub, plant: Plant, *, clock: Clock = utc_now, period_s: float = 1.0
    ) -> None:
        self._hub = hub
        self._plant = plant
        self._clock = clock
        self._period_s = period_s
        self._lock = threading.RLock()
        self._values: dict[tuple[str, str], float] = {}
        self._bad: set[tuple[str, str]] = set()
        self._silent_since_us: dict[str, int] = {}
        self._alarms: dict[tuple[str, str], LiveAlarm] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.events: list[AlarmEvent] = []

    def open(self) -> None:
        """Begin to put values into the hub."""
        self._stop.clear()
        self._hub.link(connected=True, address="fake")
        self._thread = threading.Thread(target=self._run, name="fake-feed", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)
            self._thread = None
        self._hub.link(connected=False, address="fake")

    def pause(self) -> None:
        """Stop putting values while the link stays up, as when an evaluator hangs."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)
            self._thread = None

    def calm(self) -> None:
        """Forget every override, alarm and event; all is normal from now on."""
        with self._lock:
            self._values.clear()
            self._bad.clear()
            self._silent_since_us.clear()
            self._alarms.clear()
            self.events.clear()
            self._hub.put(LiveSite(site="", at_us=to_us(self._clock()), boilers=[]))
        if self._thread is None:
            self.open()
        self.step()

    def set_value(self, boiler: str, metric: str, value: float) -> None:
        """Show this value from now on."""
        with self._lock:
            self._values[boiler, metric] = value

    def set_bad(self, boiler: str, metric: str) -> None:
        """Let the metric's readings be of bad quality from now on."""
        with self._lock:
            self._bad.add((boiler, metric))

    def silence(self, boiler: str, *, for_s: float = 0.0) -> None:
        """Let the boiler's device be offline, its last reading `for_s` old already."""
        with self._lock:
            now_us = to_us(self._clock())
            self._silent_since_us[boiler] = now_us - round(for_s * 1e6)

    def alarm(
        self,
        boiler: str,
        definition: str,
        state: AlarmState = AlarmState.UNACK,
        *,
        for_s: float = 0.0,
        by: str = "",
    ) -> None:
        """Let an alarm of the plant be in a state, for `for_s` seconds already."""
        with self._lock:
            found = self._definition(boiler, definition)
            at_us = to_us(self._clock()) - round(for_s * 1e6)
            value = self._value(boiler, found.metric, at_us)
            self._alarms[boiler, definition] = LiveAlarm(
                definition=definition,
                type=found.type.value,
                metric=found.metric,
                state=state,
                priority=found.priority,
                since_us=at_us,
                value=value,
                setpoint=found.setpoint,
                acknowledged_by=by,
            )
            self._record(boiler, self._alarms[boiler, definition], AlarmState.NORMAL, at_us, by)

    def system_alarm(self, definition: str, value: float | None = None) -> None:
        """Let an alarm of Steam itself be active, as the evaluator shows it: of no site."""
        with self._lock:
            now_us = to_us(self._clock())
            alarm = LiveAlarm(
                definition=definition,
                type="SYSTEM",
                metric="",
                state=AlarmState.UNACK,
                priority=2,
                since_us=now_us,
                value=value,
            )
            system = LiveBoiler(boiler="_steam", readings={}, alarms=[alarm], devices=[])
            self._hub.put(LiveSite(site="", at_us=now_us, boilers=[system]))

    def acknowledge(self, command: AcknowledgeAlarm) -> None:
        """Do what the evaluator would do with the command, and show it."""
        with self._lock:
            key = (command.boiler, command.definition)
            alarm = self._alarms.get(key)
            if alarm is None or alarm.state not in _ACKNOWLEDGED:
                return
            state = _ACKNOWLEDGED[alarm.state]
            acked = msgspec.structs.replace(alarm, state=state, acknowledged_by=command.by)
            if state is AlarmState.NORMAL:
                del self._alarms[key]
            else:
                self._alarms[key] = acked
            self._record(
                command.boiler, acked, alarm.state, command.at_us, command.by, command.note
            )
        self.step()

    def past(
        self, boiler: str, definition: str, at: datetime, *, acked_s: int, gone_s: int
    ) -> None:
        """Write an alarm that came, was acknowledged and went into `events`."""
        found = self._definition(boiler, definition)
        at_us = to_us(at)
        alarm = LiveAlarm(
            definition=definition,
            type=found.type.value,
            metric=found.metric,
            state=AlarmState.UNACK,
            priority=found.priority,
            since_us=at_us,
            value=found.setpoint * (0.98 if found.type in ("LO", "LOLO") else 1.02),
            setpoint=found.setpoint,
        )
        story = (
            (AlarmState.NORMAL, AlarmState.UNACK, 0, ""),
            (AlarmState.UNACK, AlarmState.ACKED, acked_s, "M. Souza"),
            (AlarmState.ACKED, AlarmState.NORMAL, gone_s, ""),
        )
        for previous, state, after_s, by in story:
            then = msgspec.structs.replace(alarm, state=state)
            self._record(boiler, then, previous, at_us + after_s * 1_000_000, by)

    def step(self) -> None:
        """Put the values of this moment into the hub."""
        with self._lock:
            now_us = to_us(self._clock())
            for site in self._plant.sites:
                boilers = [
                    self._boiler(boiler.name, now_us) for boiler in self._plant.boilers_of(site)
                ]
                self._hub.put(LiveSite(site=site, at_us=now_us, boilers=boilers))

    def _run(self) -> None:
        while not self._stop.is_set():
            self.step()
            self._stop.wait(self._period_s)

    def _boiler(self, boiler: str, now_us: int) -> LiveBoiler:
        silent_us = self._silent_since_us.get(boiler)
        at_us = now_us if silent_us is None else silent_us
        readings = {
            metric: LiveReading(
                value=self._value(boiler, metric, at_us),
                at_us=at_us,
                quality=BAD if (boiler, metric) in self._bad else GOOD,
            )
            for metric in FAKE_METRICS
        }
        devices = [
            LiveDevice(
                device=device.name,
                state="online" if silent_us is None else "offline",
                last_seen_us=at_us,
                boot=3,
                seq=at_us // 1_000_000,
            )
            for device in self._plant.file.devices
            if device.boiler == boiler
        ]
        alarms = [alarm for (of, _), alarm in self._alarms.items() if of == boiler]
        return LiveBoiler(boiler=boiler, readings=readings, alarms=alarms, devices=devices)

    def _value(self, boiler: str, metric: str, at_us: int) -> float:
        override = self._values.get((boiler, metric))
        return fake_value(boiler, metric, at_us / 1e6) if override is None else override

    def _definition(self, boiler: str, name: str) -> AlarmDefinition:
        alarms = self._plant.boilers[boiler].alarms
        return next(alarm for alarm in alarms if alarm.name == name)

    def _record(
        self,
        boiler: str,
        alarm: LiveAlarm,
        previous: AlarmState,
        at_us: int,
        by: str = "",
        note: str = "",
    ) -> None:
        self.events.append(
            AlarmEvent(
                id=f"{boiler}-{alarm.definition}-{len(self.events)}",
                site=self._plant.boilers[boiler].site,
                boiler=boiler,
                definition=alarm.definition,
                type=alarm.type,
                metric=alarm.metric,
                state=alarm.state,
                previous=previous,
                priority=alarm.priority,
                at_us=at_us,
                recorded_at_us=at_us,
                value=alarm.value,
                setpoint=alarm.setpoint,
                by=by,
                note=note,
                n=len(self.events) + 1,
            )
        )


class FakeCommands:
    """Commands that reach the fake feed at once, fail (`failure`), or get lost (`lost`)."""

    def __init__(self, feed: FakePlantFeed) -> None:
        self._feed = feed
        self.sent: list[AcknowledgeAlarm] = []
        self.failure = ""
        self.lost = False

    def renew(self) -> None:
        """Reach the feed again, with nothing sent yet."""
        self.sent.clear()
        self.failure, self.lost = "", False

    def acknowledge(self, command: AcknowledgeAlarm) -> None:
        """Change the live state of the feed, or raise CommandFailed."""
        if self.failure:
            raise CommandFailed(self.failure)
        self.sent.append(command)
        if not self.lost:
            self._feed.acknowledge(command)


def past_alarms(feed: FakePlantFeed, clock: Clock = utc_now) -> None:
    """Write three days of alarms that came and went into the feed's events."""
    story = (
        # hours ago, boiler, definition, minutes until acknowledged, minutes until normal
        (70.2, "caldeira-1", "pressure-high", 2, 6),
        (55.5, "caldeira-2", "stack-hot", 11, 48),
        (49.0, "caldeira-4", "oxygen-low", 1, 3),
        (47.9, "caldeira-4", "oxygen-low", 2, 4),
        (31.3, "caldeira-1", "level-high", 4, 9),
        (26.4, "caldeira-2", "level-low", 1, 5),
        (25.8, "caldeira-2", "low-water", 1, 2),
        (9.6, "caldeira-3", "no-pressure", 6, 7),
        (5.2, "caldeira-1", "oxygen-high", 15, 37),
        (3.1, "caldeira-4", "pressure-high", 1, 4),
        (1.4, "caldeira-2", "level-low", 3, 8),
    )
    now = clock()
    for hours, boiler, definition, ack_min, normal_min in story:
        begin = now - timedelta(hours=hours)
        feed.past(boiler, definition, begin, acked_s=60 * ack_min, gone_s=60 * normal_min)
