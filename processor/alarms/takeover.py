"""Taking over: recorded states and stored rows, without recording anything twice."""

from collections.abc import Mapping

import msgspec

from bridge.records import AlarmEvent, AlarmState, Rows
from processor.alarms.compiled import DeviceWatch
from processor.alarms.engine import Engine, codes_of, usable
from processor.alarms.followed import FollowedDevice
from processor.alarms.machine import Alarm
from processor.alarms.system import SYSTEM_BOILER, SystemAlarms


class Records(msgspec.Struct, frozen=True):
    """What the store has.

    Each boiler's newest event, the newest of each alarm that is not NORMAL, the rows of
    the restore span, and the identities recorded lately.
    """

    heads: dict[str, AlarmEvent]
    open_alarms: list[AlarmEvent]
    rows: list[Rows]
    recorded_ids: set[str]


def take_over(
    engine: Engine,
    system: SystemAlarms,
    devices: Mapping[str, FollowedDevice],
    records: Records,
    *,
    first: bool,
) -> None:
    """Set alarms and conditions to where the records end.

    Unless this is the `first` time, only boilers of which somebody else recorded more
    than this journal get their recorded states, and only rows beyond those evaluated
    here are folded into the others.
    """
    journal, heads = engine.journal, records.heads
    boilers = {
        name
        for name in (*engine.compiled.boilers, SYSTEM_BOILER)
        if first or (name in heads and heads[name].n > journal.length(name))
    }
    journal.restore(heads, records.recorded_ids)
    begin_anew(engine, boilers, records.open_alarms)
    if SYSTEM_BOILER in boilers:
        events = [event for event in records.open_alarms if event.boiler == SYSTEM_BOILER]
        system.begin_anew(events, engine.now_us)
    folded: list[Rows] = []
    ahead: dict[str, list[Rows]] = {}
    for each in records.rows:
        device = devices.get(each.device)
        if device is None:
            continue
        if device.is_ahead(each.boot, each.seq):
            ahead.setdefault(each.device, []).append(each)
            folded.append(each)
        elif each.boiler in boilers:
            folded.append(each)
    fold_rows(engine, folded)
    for name, beyond in ahead.items():
        newest = max(beyond, key=lambda each: each.times_us[-1])
        identities = {(each.boot, each.seq) for each in beyond}
        devices[name].resume(newest.boot, newest.seq, identities)
    engine.return_unwatched()


def begin_anew(engine: Engine, boilers: set[str], open_alarms: list[AlarmEvent]) -> None:
    """Set the alarms of some boilers to their recorded states, and conditions to theirs."""
    for name in boilers & engine.compiled.boilers.keys():
        boiler = engine.compiled.boilers[name]
        for alarm in boiler.alarms():
            alarm.resume(Alarm(alarm.site, alarm.boiler, alarm.name, alarm.type, alarm.priority))
        for event in open_alarms:
            recorded = boiler.alarm(event.definition) if event.boiler == name else None
            if recorded is not None:
                recorded.fold(event)
        for watched in boiler.watched.values():
            engine.drop_tentative(watched)
            is_open = watched.alarm.state is not AlarmState.NORMAL
            watched.recorded_us = watched.alarm.last_us if is_open else None
            watched.noted = None
            for condition in watched.conditions:
                condition.begin_anew()
        for staleness in boiler.stale.values():
            staleness.active, staleness.fresh_us = staleness.alarm.active, None
        for bands in boiler.bands.values():
            for band in bands:
                band.settle()


def fold_rows(engine: Engine, rows: list[Rows]) -> None:
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
