"""Taking over: recorded states and stored rows, without recording anything twice."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter

import msgspec

from bridge.records import AlarmEvent, AlarmState, Rows
from processor.alarms.compiled import DeviceWatch
from processor.alarms.engine import Engine, codes_of, usable
from processor.alarms.followed import FollowedDevice
from processor.alarms.machine import Alarm
from processor.alarms.system import SYSTEM_BOILER, SystemAlarms
from processor.alarms.watch import BoilerWatch


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """What the store has.

    Each boiler's newest event, the newest of each alarm that is not NORMAL, the rows of
    the restore span, and all events recorded lately: those since `since_us` (epoch µs).
    """

    heads: Mapping[str, AlarmEvent] = {}
    open_alarms: Sequence[AlarmEvent] = ()
    rows: Sequence[Rows] = ()
    events: Sequence[AlarmEvent] = ()
    since_us: int = 0

    def all_events(self) -> Iterator[AlarmEvent]:
        """Every event, some more than once."""
        yield from self.heads.values()
        yield from self.open_alarms
        yield from self.events

    def with_pending(self, pending: Iterable[AlarmEvent]) -> "Records":
        """These records as they will be once `pending`, published and not stored yet, are stored."""
        heads = dict(self.heads)
        newest = {(event.boiler, event.definition): event for event in self.open_alarms}
        known = {event.id: event for event in self.events}
        for event in sorted(pending, key=attrgetter("recorded_at_us", "n")):
            known.setdefault(event.id, event)
            head = heads.get(event.boiler)
            if head is None or event.recorded_at_us > head.recorded_at_us:
                heads[event.boiler] = event
            alarm = (event.boiler, event.definition)
            before = newest.get(alarm)
            if not event.retroactive and (
                before is None or event.recorded_at_us > before.recorded_at_us
            ):
                newest[alarm] = event
        return msgspec.structs.replace(
            self,
            heads=heads,
            open_alarms=[e for e in newest.values() if e.state is not AlarmState.NORMAL],
            events=list(known.values()),
        )


def recorded_by_others(engine: Engine, records: Records) -> set[str]:
    """The boilers of which somebody else recorded more than this journal has."""
    journal = engine.journal
    return {
        event.boiler
        for event in records.all_events()
        if event.recorded_at_us > journal.head(event.boiler).recorded_us
        and not journal.knows(event)
    }


def take_over(
    engine: Engine,
    system: SystemAlarms,
    devices: Mapping[str, FollowedDevice],
    records: Records,
) -> None:
    """Set alarms and conditions to where the records end, before anything is evaluated.

    Only boilers of which somebody else recorded more than this journal has get their
    recorded states, and only rows beyond those evaluated here are folded into the others.
    """
    boilers = recorded_by_others(engine, records)
    _remember(engine, records)
    begin_anew(engine, boilers, records)
    if SYSTEM_BOILER in boilers:
        system.begin_anew(records.open_alarms, engine.now_us)
    ahead = _ahead(devices, records.rows)
    beyond = {id(each) for rows in ahead.values() for each in rows}
    fold_rows(engine, [e for e in records.rows if id(e) in beyond or e.boiler in boilers])
    _resume(devices, ahead)
    engine.return_unwatched()


def catch_up(
    engine: Engine,
    system: SystemAlarms,
    devices: Mapping[str, FollowedDevice],
    records: Records,
) -> None:
    """Respect records that came while messages were evaluated already.

    Each alarm's newest transition counts, recorded or made here. Rows are folded of
    devices not heard from; for the others, what was evaluated here is newer.
    """
    newest = _newest(records)
    _remember(engine, records)
    for name, boiler in engine.compiled.boilers.items():
        taken = {
            alarm
            for alarm in boiler.alarms()
            if _catch_up(alarm, newest.get((name, alarm.name)), records.since_us)
        }
        _settle(engine, boiler, taken, anew=False)
    events = [event for (boiler, _), event in newest.items() if boiler == SYSTEM_BOILER]
    system.catch_up(events, engine.now_us)
    unheard = {name: device for name, device in devices.items() if not device.was_heard}
    ahead = _ahead(unheard, records.rows)
    fold_rows(engine, [each for rows in ahead.values() for each in rows])
    _resume(unheard, ahead)
    engine.return_unwatched()


def _catch_up(alarm: Alarm, newest: AlarmEvent | None, since_us: int) -> bool:
    """Take over the newest recorded transition where it is newer than the alarm's own."""
    if newest is not None and newest.recorded_at_us > alarm.recorded_us:
        alarm.fold(newest)
        return True
    if newest is None and alarm.state is not AlarmState.NORMAL and alarm.recorded_us < since_us:
        # Of old its newest record would be among the open alarms, were it not NORMAL.
        alarm.resume(Alarm(alarm.site, alarm.boiler, alarm.name, alarm.type, alarm.priority))
        return True
    return False


def _newest(records: Records) -> dict[tuple[str, str], AlarmEvent]:
    newest: dict[tuple[str, str], AlarmEvent] = {}
    for event in (*records.events, *records.open_alarms):
        place = event.boiler, event.definition
        known = newest.get(place)
        if not event.retroactive and (known is None or event.recorded_at_us > known.recorded_at_us):
            newest[place] = event
    return newest


def _remember(engine: Engine, records: Records) -> None:
    """Have the journal know what is recorded, and the alarms when they were activated."""
    engine.journal.restore(records.heads, (event.id for event in records.all_events()))
    for event in (*records.events, *records.open_alarms):
        boiler = engine.compiled.boilers.get(event.boiler)
        alarm = None if boiler is None else boiler.alarm(event.definition)
        if alarm is not None and event.state is AlarmState.UNACK and not event.retroactive:
            alarm.activated_us = max(alarm.activated_us, event.recorded_at_us)


def begin_anew(engine: Engine, boilers: set[str], records: Records) -> None:
    """Set the alarms of some boilers to their recorded states, and conditions to theirs."""
    for name in boilers & engine.compiled.boilers.keys():
        boiler = engine.compiled.boilers[name]
        alarms = set(boiler.alarms())
        for alarm in alarms:
            fresh = Alarm(alarm.site, alarm.boiler, alarm.name, alarm.type, alarm.priority)
            fresh.activated_us = alarm.activated_us
            alarm.resume(fresh)
        for event in records.open_alarms:
            recorded = boiler.alarm(event.definition) if event.boiler == name else None
            if recorded is not None:
                recorded.fold(event)
        _settle(engine, boiler, alarms, anew=True)


def _settle(engine: Engine, boiler: BoilerWatch, taken: set[Alarm], *, anew: bool) -> None:
    """Bring the conditions of alarms whose state was `taken` from the records to terms with it.

    They begin `anew`, or else only where they differ from the alarm.
    """
    for watched in boiler.watched.values():
        alarm = watched.alarm
        if alarm not in taken:
            continue
        if anew or alarm.active:
            engine.drop_tentative(watched)
        is_open = alarm.state is not AlarmState.NORMAL
        watched.recorded_us = alarm.last_us if is_open else None
        watched.noted = None
        if anew or any(each.phase.active is not alarm.active for each in watched.conditions):
            for condition in watched.conditions:
                condition.begin_anew()
    for staleness in boiler.stale.values():
        if staleness.alarm in taken:
            staleness.active, staleness.fresh_us = staleness.alarm.active, None
    for bands in boiler.bands.values():
        for band in bands:
            band.settle()


def _ahead(devices: Mapping[str, FollowedDevice], rows: Sequence[Rows]) -> dict[str, list[Rows]]:
    """The rows, by device, that lie beyond what was evaluated here."""
    ahead: dict[str, list[Rows]] = {}
    for each in rows:
        device = devices.get(each.device)
        if device is not None and device.is_ahead(each):
            ahead.setdefault(each.device, []).append(each)
    return ahead


def _resume(devices: Mapping[str, FollowedDevice], ahead: Mapping[str, list[Rows]]) -> None:
    for name, beyond in ahead.items():
        newest = max(beyond, key=lambda each: each.times_us[-1])
        identities = {(each.boot, each.seq) for each in beyond}
        devices[name].resume(newest, identities)


def fold_rows(engine: Engine, rows: Sequence[Rows]) -> None:
    """Bring every condition and the newest readings to where the stored rows end.

    Conditions start from the recorded alarm states. A change that the rows show moves an
    alarm only if it is newer than the alarm's last recorded transition and not recorded
    itself. Rows may end before the records do, or beyond: once a reading lies beyond
    them, alarm and condition are compared, and the condition is right.
    """
    for each in sorted(rows, key=lambda each: each.times_us[0]):
        device = engine.compiled.devices.get(each.device)
        if device is not None:
            _fold(engine, device, each)


def _fold(engine: Engine, device: DeviceWatch, rows: Rows) -> None:
    for index, at_us in enumerate(rows.times_us):
        watch = engine.compiled.watch_of(device, rows.metrics, at_us)
        row: list[float | None] = [0.0, *rows.values[index]]
        codes = codes_of(rows.quality, index)
        engine.note_readings(watch, row, codes, at_us)
        engine.judge_row(watch, usable(row, codes), at_us, hist=False)
