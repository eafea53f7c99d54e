"""What messages mean: alarms, live values, answers to devices. Pure; `now` is given."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum

import msgspec

from bridge.clock import to_us
from bridge.live import AcknowledgeAlarm, LiveSite
from bridge.messages import Birth, Cmd, Data, Diag, Event, Message, State
from bridge.plant import Plant
from bridge.records import AlarmEvent
from bridge.topics import Kind, Topic
from processor.alarms.engine import Engine
from processor.alarms.followed import FollowedDevice
from processor.alarms.journal import Journal
from processor.alarms.machine import Alarm, Move, Stimulus
from processor.alarms.order import FRONT, HOLD_US, Place
from processor.alarms.showing import live_site, live_system
from processor.alarms.system import MAX_LAG_S, SYSTEM_BOILER, SystemAlarms
from processor.alarms.takeover import Records, catch_up, recorded_by_others, take_over
from processor.troubles import Trouble

_TIME_COMMAND_VALID_MS = 60_000
_SYNCHRONISED = 2
_AHEAD_MS = 5_000
_MAX_COMMANDS = 4_096
_STALE_TROUBLE_US = 300_000_000
_STRAY_US = 60_000_000


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
        self._review_us = self._engine.compiled.next_move_us(to_us(now))
        self._taken = 0
        self._now = now
        self._open: dict[int, int] = {}
        self._waiting: set[FollowedDevice] = set()
        self._changed_sites: set[str] = set(plant.sites)
        self._commands: dict[str, None] = {}

    def _follow(self) -> None:
        before, self._devices = self._devices, {}
        for name, watch in self._engine.compiled.devices.items():
            device = before.pop(name, None) or FollowedDevice(watch, self._engine, self._hold)
            self._devices[name] = device
        for gone in before.values():
            gone.abandon()
            self._waiting.discard(gone)

    def _at(self, now: datetime) -> int:
        """Set the moment of what follows, and give it in epoch µs."""
        self._now = now
        self._engine.now_us = now_us = to_us(now)
        return now_us

    def _hold(self, message: int, change: int) -> None:
        holds = self._open.get(message, 0) + change
        if holds:
            self._open[message] = holds
        else:
            del self._open[message]

    def _events(self) -> list[AlarmEvent]:
        events = self._engine.out
        self._engine.out = []
        if events:
            self._changed_sites.update(event.site for event in events)
        return events

    @property
    def settled(self) -> int:
        """How many of the messages taken so far, from the first, are completely evaluated."""
        return min(self._open) - 1 if self._open else self._taken

    # -- messages

    def take(self, topic: Topic, message: Message, crc: int, now: datetime) -> Taken:
        """Take one message with the crc32 of its payload."""
        engine = self._engine
        self._taken += 1
        engine.message = self._taken
        now_us = engine.now_us if now is self._now else self._at(now)
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
        if place is FRONT and not device.order.reused:
            return False
        if place is Place.DUPLICATE:
            return True
        if device.waits:
            self._waiting.add(device)
        if device.order.reused:
            at_us = message.times_us()[0] if type(message) is Data else message.t * 1000
            now_us = self._engine.now_us
            name = device.watch.name
            self._engine.move(
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
                elif _wants_time(message, now_us):
                    commands.append((topic.site, topic.device, _time_command(message, now_us)))
            case State():
                device.said_state(message)
            case Diag():
                device.said_diag(message)
            case _:
                pass
        return Taken(outcome, self._events(), commands)

    def tick(self, now: datetime, lag_s: float | None) -> list[AlarmEvent]:
        """Let time pass: to be called about 4 times a second with the queue's lag in s.

        Lets go of what waited for 2 s, judges staleness while the lag is below 5 s; not
        while it is not known (None).
        """
        engine, now_us = self._engine, self._at(now)
        self._follow_moves(now_us)
        for device in list(self._waiting):
            device.go_on()
            if not device.waits:
                self._waiting.discard(device)
        engine.confirm(now_us - HOLD_US)
        for move in self._system.tick(now_us, 0.0 if lag_s is None else lag_s):
            engine.move(move)
        if lag_s is not None and lag_s < MAX_LAG_S:
            engine.judge_stale()
        return self._events()

    # -- operators

    def acknowledge(self, command: AcknowledgeAlarm, now: datetime) -> Acknowledged:
        """Acknowledge one alarm; its time is the operator's, but never in the future.

        Refuses a command that was taken before, and one given before the alarm's newest
        activation was recorded: the operator meant an earlier one.
        """
        now_us = self._at(now)
        place = f"{command.definition} at {command.boiler}"
        alarm = self._alarm(command.boiler, command.definition)
        if alarm is None:
            return Acknowledged(refusal=f"no alarm {place}")
        if command.id in self._commands:
            return Acknowledged(refusal=f"command {command.id} for {place} was taken before")
        self._remember(command.id)
        if command.at_us < alarm.activated_us:
            return Acknowledged(
                refusal=f"{place} was activated after the command was given; if it was not, "
                "compare the clocks of dashboard and processor"
            )
        at_us = min(command.at_us, now_us)
        move = Move(alarm, Stimulus.ACKNOWLEDGE, at_us, alarm.value, command.by, command.note)
        if self._engine.move(move) is None:
            return Acknowledged(refusal=f"{place} is {alarm.state.value}: nothing to acknowledge")
        return Acknowledged(self._events())

    def _remember(self, command_id: str) -> None:
        self._commands[command_id] = None
        if len(self._commands) > _MAX_COMMANDS:
            del self._commands[next(iter(self._commands))]

    def take_troubles(self, troubles: Iterable[Trouble], now: datetime) -> list[AlarmEvent]:
        """Raise the system alarms of what a process finds wrong with Steam itself.

        What was told minutes ago, while nobody evaluated, may be over: it is told again if not.
        """
        now_us = self._at(now)
        for each in troubles:
            if each.at_us < now_us - _STALE_TROUBLE_US:
                continue
            move = self._system.trouble(each.name, each.note, each.at_us, now_us)
            self._engine.move(move)
        return self._events()

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
            return live_system(self._system.alarms.values(), to_us(now))
        devices = self._devices.values()
        return live_site(self._plant, self._engine.compiled, devices, site, to_us(now))

    # -- take-over and change

    def begin(self, now: datetime, *, alone: bool) -> None:
        """Begin to evaluate: at the start, and whenever somebody else may have done it since.

        Unless this evaluator is `alone`, others may have recorded what the store has not
        got yet; until `trust` the chains begin anew rather than number it twice.
        """
        self._at(now)
        if not alone:
            self._engine.journal.doubt()
        self._changed_sites.update(("", *self._plant.sites))

    def trust(self) -> None:
        """Everything that others recorded before `begin` has been restored."""
        self._engine.journal.trust()

    def restore(
        self, records: Records, now: datetime, unpublished: Sequence[AlarmEvent] = ()
    ) -> list[AlarmEvent]:
        """Take over from the records after `begin`, before a message is evaluated.

        A boiler's recorded states replace those here only where somebody else recorded
        more than this evaluator, and only rows beyond those evaluated here are folded.
        Transitions that the rows show and nobody recorded come out of the next call.
        Returns what is still to be published of the events that were not yet.
        """
        self._at(now)
        self._engine.journal.withdraw(unpublished)
        others = recorded_by_others(self._engine, records)
        left = self._again(each for each in unpublished if each.boiler not in others)
        take_over(self._engine, self._system, self._devices, records)
        self._changed_sites.update(self._plant.sites)
        return left

    def _again(self, withdrawn: Iterable[AlarmEvent]) -> list[AlarmEvent]:
        journal = self._engine.journal
        again = [journal.write(event, event.recorded_at_us) for event in withdrawn]
        return [event for event in again if event is not None]

    def go_on_unknown(self, now: datetime, unpublished: Sequence[AlarmEvent]) -> list[AlarmEvent]:
        """Evaluate without the records, which may come later: chains begin anew.

        Returns the events not yet published as they are to be recorded now.
        """
        now_us = self._at(now)
        journal = self._engine.journal
        journal.withdraw(unpublished)
        journal.doubt()
        self._engine.compiled.begin_blind(now_us)
        return self._again(unpublished)

    def catch_up(self, records: Records, now: datetime) -> bool:
        """Respect records that came after evaluating began; True where they were news.

        Each alarm's newest transition counts, recorded or made here.
        """
        self._at(now)
        journal = self._engine.journal
        news = any(not journal.knows(event) for event in records.all_events())
        catch_up(self._engine, self._system, self._devices, records)
        self._changed_sites.update(("", *self._plant.sites))
        return news

    def replace_plant(self, plant: Plant, now: datetime) -> None:
        """Follow a changed plant.yaml; its events come out of the next call.

        Definitions that did not change keep their state and timers; devices that are
        gone are forgotten, with what of theirs was waiting.
        """
        self._replace_plant(plant, self._at(now))

    def _replace_plant(self, plant: Plant, now_us: int) -> None:
        engine = self._engine
        self._plant = plant
        for condition in engine.replace_plant(plant):
            for device in self._devices.values():
                device.forget(condition)
        self._follow()
        self._changed_sites.update(plant.sites)
        self._review_us = engine.compiled.next_move_us(now_us)

    def _follow_moves(self, now_us: int) -> None:
        """Look through the plant again once a device has moved, or its earlier rows have come."""
        compiled = self._engine.compiled
        if compiled.strayed:
            compiled.strayed = False
            self._review_us = min(self._review_us, now_us + _STRAY_US)
        if now_us >= self._review_us:
            self._replace_plant(self._plant, now_us)


def _wants_time(birth: Birth, now_us: int) -> bool:
    """Whether a device has no time from NTP, or lost it so long ago that it is ahead.

    Such a one takes commands for expired. What is behind may have waited in a queue.
    """
    return birth.clock < _SYNCHRONISED or (birth.t or 0) - now_us // 1000 > _AHEAD_MS


def _time_command(birth: Birth, now_us: int) -> Cmd:
    """Answer one birth with the time: for that boot and connection, and from its uptime on."""
    now_ms = now_us // 1000
    return Cmd(
        v=1,
        id=f"time-{birth.boot}-{birth.conn}-{now_ms}",
        op="time",
        exp=now_ms + _TIME_COMMAND_VALID_MS,
        args={"utc": now_ms, "boot": birth.boot, "conn": birth.conn, "up": birth.up},
    )
