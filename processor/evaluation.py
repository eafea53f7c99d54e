"""What messages mean: alarms, live values, answers to devices. Pure; `now` is given."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum

import msgspec

from bridge.clock import to_us
from bridge.live import AcknowledgeAlarm, LiveAlarm, LiveBoiler, LiveSite
from bridge.messages import Birth, Cmd, Data, Diag, Event, Message, State
from bridge.plant import AlarmType, Plant
from bridge.records import AlarmEvent, AlarmState, Rows
from bridge.topics import Kind, Topic
from processor.alarms.engine import Engine
from processor.alarms.followed import FollowedDevice
from processor.alarms.journal import Journal
from processor.alarms.machine import Alarm, Stimulus
from processor.alarms.order import HOLD_US, Place
from processor.alarms.system import MAX_LAG_S, SYSTEM_BOILER, SystemAlarms
from processor.alarms.takeover import fold_rows

_TIME_COMMAND_VALID_MS = 60_000
_RESTORE_MARGIN_US = 60_000_000


class Outcome(Enum):
    """How a message ended."""

    EVALUATED = "evaluated"
    DUPLICATE = "duplicate"


class Taken(msgspec.Struct, frozen=True):
    """What one message led to, and what was waiting and came out with it.

    `commands` are (site, device, command), to be sent to devices.
    """

    outcome: Outcome
    events: Sequence[AlarmEvent] = ()
    commands: Sequence[tuple[str, str, Cmd]] = ()


class Acknowledged(msgspec.Struct, frozen=True):
    """What acknowledging led to; `refusal` says why it led to nothing."""

    events: Sequence[AlarmEvent] = ()
    refusal: str | None = None


_EVALUATED = Taken(Outcome.EVALUATED)
_DUPLICATE = Taken(Outcome.DUPLICATE)


class Evaluation:
    """The evaluator's state: every alarm, every device's order, the newest readings.

    Messages are those of registered devices, with times already checked, in the order in
    which the broker hands them over. A message may wait for those before it; `settled`
    tells how many, counted from the first, are completely evaluated, and events of those
    that waited come out of later calls. Nothing here reads a clock.
    """

    def __init__(self, plant: Plant, now: datetime) -> None:
        self._plant = plant
        self._engine = Engine(plant, Journal(), self._hold, to_us(now))
        self._system = SystemAlarms()
        self._devices: dict[str, FollowedDevice] = {}
        self._follow()
        self._taken = 0
        self._open: dict[int, int] = {}
        self._waiting: set[FollowedDevice] = set()
        self._changed_sites: set[str] = set(plant.sites)

    def _follow(self) -> None:
        before, self._devices = self._devices, {}
        for name, watch in self._engine.compiled.devices.items():
            device = before.pop(name, None) or FollowedDevice(watch, self._engine, self._hold)
            self._devices[name] = device
        for gone in before.values():
            gone.abandon()
            self._waiting.discard(gone)

    def _hold(self, message: int, change: int) -> None:
        holds = self._open.get(message, 0) + change
        if holds:
            self._open[message] = holds
        else:
            del self._open[message]

    def _events(self) -> Sequence[AlarmEvent]:
        events = self._engine.out
        if events:
            self._engine.out = []
            self._changed_sites.update(event.site for event in events)
        return events

    @property
    def settled(self) -> int:
        """How many of the messages taken so far, from the first, are completely evaluated."""
        return min(self._open) - 1 if self._open else self._taken

    @property
    def restore_span_us(self) -> int:
        """How far back stored rows are needed on take-over: the longest delay or age, + 60 s."""
        longest_s = 0.0
        for boiler in self._plant.file.boilers:
            for alarm in boiler.alarms:
                age_s = alarm.setpoint if alarm.type is AlarmType.STALE else 0.0
                longest_s = max(longest_s, alarm.on_delay_s + age_s, alarm.off_delay_s)
        return round(longest_s * 1_000_000) + _RESTORE_MARGIN_US

    # -- messages

    def take(self, topic: Topic, message: Message, crc: int, now: datetime) -> Taken:
        """Take one message with the crc32 of its payload."""
        engine = self._engine
        self._taken += 1
        engine.message = self._taken
        engine.now_us = now_us = to_us(now)
        device = self._devices[topic.device]
        device.last_seen_us = now_us
        self._changed_sites.add(topic.site)
        if type(message) is Data:
            duplicate = self._take_ordered(device, message, crc, hist=topic.kind is Kind.HIST)
            if not engine.out:
                return _DUPLICATE if duplicate else _EVALUATED
            return Taken(Outcome.DUPLICATE if duplicate else Outcome.EVALUATED, self._events())
        return self._take_other(topic, device, message, crc, now_us)

    def _take_ordered(
        self, device: FollowedDevice, message: Data | Event, crc: int, *, hist: bool
    ) -> bool:
        """Take a message that has a place in its device's order; True for a duplicate."""
        place = device.take(message, crc, hist=hist)
        if place is Place.FRONT and not device.order.reused:
            return False
        if place is Place.DUPLICATE:
            return True
        if device.waits:
            self._waiting.add(device)
        if device.order.reused:
            at_us = message.times_us()[0] if type(message) is Data else message.t * 1000
            now_us = self._engine.now_us
            name = device.watch.name
            self._engine.write(
                self._system.identity_reused(name, message.b, message.n, at_us, now_us)
            )
        return False

    def _take_other(
        self, topic: Topic, device: FollowedDevice, message: Message, crc: int, now_us: int
    ) -> Taken:
        outcome = Outcome.EVALUATED
        commands: list[tuple[str, str, Cmd]] = []
        match message:
            case Event():
                if self._take_ordered(device, message, crc, hist=False):
                    outcome = Outcome.DUPLICATE
            case Birth():
                if not device.born(message, crc):
                    outcome = Outcome.DUPLICATE
                elif message.clock == 0:
                    commands.append((topic.site, topic.device, _time_command(message, now_us)))
            case State():
                device.said_state(message)
            case Diag():
                device.said_diag(message)
            case _:
                pass
        return Taken(outcome, self._events(), commands)

    def tick(self, now: datetime, lag_s: float) -> Sequence[AlarmEvent]:
        """Let time pass: to be called about 4 times a second with the queue's lag in s.

        Lets go of what waited for 2 s, judges staleness while the lag is below 5 s.
        """
        engine = self._engine
        engine.now_us = now_us = to_us(now)
        for device in list(self._waiting):
            device.go_on()
            if not device.waits:
                self._waiting.discard(device)
        engine.confirm(now_us - HOLD_US)
        for event in self._system.tick(now_us, lag_s):
            engine.write(event)
        if lag_s < MAX_LAG_S:
            engine.judge_stale()
        return self._events()

    # -- operators

    def acknowledge(self, command: AcknowledgeAlarm, now: datetime) -> Acknowledged:
        """Acknowledge one alarm; its time is the operator's, but never in the future."""
        engine = self._engine
        engine.now_us = to_us(now)
        alarm = self._alarm(command.boiler, command.definition)
        if alarm is None:
            return Acknowledged(refusal=f"no alarm {command.definition} at {command.boiler}")
        at_us = min(command.at_us, engine.now_us)
        event = alarm.apply(
            Stimulus.ACKNOWLEDGE, at_us, alarm.value, by=command.by, note=command.note
        )
        if event is None:
            words = f"{command.definition} at {command.boiler} is {alarm.state.value}"
            return Acknowledged(refusal=f"{words}: nothing to acknowledge")
        engine.write(event)
        return Acknowledged(self._events())

    def _alarm(self, boiler: str, definition: str) -> Alarm | None:
        if boiler == SYSTEM_BOILER:
            return self._system.alarms.get(definition)
        watch = self._engine.compiled.boilers.get(boiler)
        return None if watch is None else watch.alarm(definition)

    # -- what dashboards are shown

    def take_changed_sites(self) -> set[str]:
        """The sites whose live values changed since this was last asked ("": system alarms)."""
        changed, self._changed_sites = self._changed_sites, set()
        return changed

    def live(self, site: str, now: datetime) -> LiveSite:
        """The latest of one site; site "" holds the alarms of Steam itself."""
        if not site:
            alarms = _live_alarms(self._system.shown)
            system = LiveBoiler(boiler=SYSTEM_BOILER, readings={}, alarms=alarms, devices=[])
            return LiveSite(site="", at_us=to_us(now), boilers=[system])
        devices: dict[str, list[FollowedDevice]] = {}
        for name, device in self._devices.items():
            devices.setdefault(self._plant.devices[name].boiler, []).append(device)
        known = self._plant.metrics
        boilers = []
        for boiler in self._plant.boilers_of(site):
            watch = self._engine.compiled.boilers[boiler.name]
            readings = watch.newest_readings()
            boilers.append(
                LiveBoiler(
                    boiler=boiler.name,
                    readings={name: readings[name] for name in readings if name in known},
                    alarms=_live_alarms(watch.alarms()),
                    devices=[device.live() for device in devices.get(boiler.name, ())],
                )
            )
        return LiveSite(site=site, at_us=to_us(now), boilers=boilers)

    # -- take-over and change

    def restore(
        self,
        heads: dict[str, AlarmEvent],
        open_alarms: list[AlarmEvent],
        rows: list[Rows],
        recorded_ids: set[str],
        now: datetime,
    ) -> None:
        """Take over from the records, before the first message.

        `heads` is each boiler's newest event, `open_alarms` the newest of each alarm that
        is not NORMAL, `rows` those of the last `restore_span_us`, `recorded_ids` the
        identities recorded since then. Transitions that the rows show and nobody
        recorded come out of the next call.
        """
        engine = self._engine
        engine.now_us = to_us(now)
        engine.journal.restore(heads, recorded_ids)
        for event in open_alarms:
            if event.boiler == SYSTEM_BOILER:
                self._system.fold(event, engine.now_us)
                continue
            alarm = self._alarm(event.boiler, event.definition)
            if alarm is not None:
                alarm.fold(event)
        for boiler in engine.compiled.boilers.values():
            for staleness in boiler.stale.values():
                staleness.active = staleness.alarm.active
        fold_rows(engine, rows)
        for device, newest in _newest_of_each(rows).items():
            if device in self._devices:
                identities = {(each.boot, each.seq) for each in rows if each.device == device}
                self._devices[device].resume(newest.boot, newest.seq, identities)

    def replace_plant(self, plant: Plant, now: datetime) -> None:
        """Follow a changed plant.yaml; its events come out of the next call.

        Definitions that did not change keep their state and timers; devices that are
        gone are forgotten, with what of theirs was waiting.
        """
        engine = self._engine
        engine.now_us = to_us(now)
        self._plant = plant
        for condition in engine.replace_plant(plant):
            for device in self._devices.values():
                device.forget(condition)
        self._follow()
        self._changed_sites.update(plant.sites)


def _time_command(birth: Birth, now_us: int) -> Cmd:
    now_ms = now_us // 1000
    return Cmd(
        v=1,
        id=f"time-{birth.boot}-{birth.conn}-{now_ms}",
        op="time",
        exp=now_ms + _TIME_COMMAND_VALID_MS,
        args={"utc": now_ms},
    )


def _live_alarms(alarms: Iterable[Alarm]) -> list[LiveAlarm]:
    """Those that are not NORMAL, most urgent first."""
    shown = [alarm for alarm in alarms if alarm.state is not AlarmState.NORMAL]
    shown.sort(key=lambda alarm: (alarm.priority, alarm.since_us, alarm.name))
    return [
        LiveAlarm(
            definition=alarm.name,
            type=alarm.type,
            metric=alarm.metric,
            state=alarm.state,
            priority=alarm.priority,
            since_us=alarm.since_us,
            value=alarm.value,
            setpoint=alarm.setpoint,
            acknowledged_by=alarm.acknowledged_by,
        )
        for alarm in shown
    ]


def _newest_of_each(rows: list[Rows]) -> dict[str, Rows]:
    newest: dict[str, Rows] = {}
    for each in rows:
        before = newest.get(each.device)
        if before is None or each.times_us[-1] >= before.times_us[-1]:
            newest[each.device] = each
    return newest
