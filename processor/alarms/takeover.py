"""Taking over: stored rows carried through the engine without recording anything twice."""

from bridge.live import LiveReading
from bridge.quality import GOOD, is_usable
from bridge.records import Rows
from processor.alarms.compiled import DeviceWatch
from processor.alarms.engine import Engine
from processor.alarms.machine import Stimulus


def fold_rows(engine: Engine, rows: list[Rows]) -> None:
    """Bring every condition and the newest readings to where the stored rows end.

    Conditions start from the recorded alarm states. A change that the rows show moves an
    alarm only if it is newer than the alarm's last recorded transition and not recorded
    itself; where alarm and condition still disagree at the end, the condition is right.
    """
    engine.changes = {}
    for each in sorted(rows, key=lambda each: each.times_us[0]):
        device = engine.compiled.devices.get(each.device)
        if device is not None:
            _fold(engine, device, each)
    changes, engine.changes = engine.changes, None
    for condition, (at_us, value) in changes.items():
        watched = condition.watched
        active = any(other.phase.active for other in watched.conditions)
        if active is watched.alarm.active or condition.phase.active is not active:
            continue
        stimulus = Stimulus.ACTIVATE if active else Stimulus.RETURN
        event = watched.alarm.apply(stimulus, at_us, value)
        if event is not None and engine.journal.knows(event):
            # recorded as retroactive or overtaken by an acknowledgement: say it anew
            event = watched.alarm.transition(event.previous, event.state, at_us + 1, value)
        engine.write(event)


def _fold(engine: Engine, device: DeviceWatch, rows: Rows) -> None:
    for index, at_us in enumerate(rows.times_us):
        watch = engine.compiled.watch_of(device, rows.metrics, at_us)
        row: list[float | None] = [0.0]
        for column, value in enumerate(rows.values[index]):
            code = rows.quality.get((index, column), GOOD)
            usable = value is not None and is_usable(code)
            row.append(value if usable else None)
            if usable:
                metric = rows.metrics[column]
                watch.boiler.readings[metric] = LiveReading(value, at_us, code)
                watch.boiler.fresh_us[metric] = at_us
        engine.judge_row(watch, row, at_us, hist=False)
