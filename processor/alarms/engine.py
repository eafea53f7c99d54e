"""Judges rows against the definitions of the boilers: the pure core of alarms."""

from collections.abc import Callable, Iterable
from math import isnan, nan

from bridge.messages import Data
from bridge.plant import Plant
from bridge.quality import GOOD, UNCERTAIN
from bridge.records import AlarmEvent, AlarmState
from processor.alarms.compiled import Compiled, DeviceWatch
from processor.alarms.condition import Phase, step
from processor.alarms.journal import Journal
from processor.alarms.late import Memory, Tail, Track
from processor.alarms.machine import Move, Stimulus
from processor.alarms.watch import Band, Condition, Tentative, Watch, Watched

UNUSABLE = nan
Row = list[float | None]
Quality = dict[tuple[int, int], int]
Codes = dict[int, int]
NO_CODES: Codes = {}
_UNWATCHED = "as plant.yaml says, the device that showed it does not watch this boiler any more"
Hold = Callable[[int, int], None]
"""Called with a message's number and +1 (it must wait) or -1 (no longer)."""


class Engine:
    """Every limit alarm of the plant, moved by rows; STALE by the clock.

    Rows of one device come in its order. `out` gathers the journalled transitions. An
    activation shown by a row of an outage (`hist`) waits until a live row, a return or
    2 s have told whether it lasts, and `hold` keeps its message from being settled.
    `now_us` and `message` (the number of the present one) are set by the caller.
    """

    def __init__(self, plant: Plant, journal: Journal, hold: Hold, now_us: int) -> None:
        self.compiled = Compiled(plant, now_us)
        self.journal = journal
        self.out: list[AlarmEvent] = []
        self.now_us = now_us
        self.message = 0
        self._hold = hold
        self._tentative: list[Watched] = []

    def write(self, event: AlarmEvent) -> None:
        """Journal a transition that moves no alarm, unless it is there already."""
        sealed = self.journal.write(event, self.now_us)
        if sealed is not None:
            self.out.append(sealed)

    def move(self, move: Move) -> AlarmEvent | None:
        """Journal a transition and move its alarm; one that is recorded already moves nothing."""
        event = move.transition()
        sealed = None if event is None else self.journal.write(event, self.now_us)
        if sealed is not None:
            move.alarm.fold(sealed)
            self.out.append(sealed)
        return sealed

    def replace_plant(self, plant: Plant) -> list[Condition]:
        """Follow a changed plant.yaml; returns the conditions that are no more.

        Definitions that did not change keep their state and timers. A changed one keeps
        its alarm's state and judges by its new limits from the next reading on. An alarm
        whose definition is gone becomes NORMAL, and one whose device watches another
        boiler now, or none, returns to normal; both with a note.
        """
        self.confirm(self.now_us)
        for alarm in self.compiled.without_definition(plant):
            gone = alarm.transition(
                alarm.state,
                AlarmState.NORMAL,
                self.now_us,
                None,
                note="the definition is no longer in plant.yaml",
            )
            self.write(gone)
        replaced = self.compiled.replace(plant, self.now_us)
        self.return_unwatched(replaced.left)
        return replaced.gone

    def return_unwatched(self, left: Iterable[tuple[str, str]] = ()) -> None:
        """Return the active alarms that no device can clear any more.

        These are all of a boiler without devices, and those `left` (boiler, definition)
        by a device where no other shows the condition.
        """
        unwatched, lost = self.compiled.unwatched(self.now_us), set(left)
        for name, boiler in self.compiled.boilers.items():
            for watched in boiler.watched.values():
                orphaned = name in unwatched or (name, watched.definition.name) in lost
                if (
                    orphaned
                    and watched.alarm.active
                    and not any(condition.phase.active for condition in watched.conditions)
                ):
                    watched.recorded_us = None
                    self.move(Move(watched.alarm, Stimulus.RETURN, self.now_us, note=_UNWATCHED))

    def judge(self, device: DeviceWatch, data: Data, *, hist: bool) -> None:
        """Judge the rows of a message that is next in its device's order."""
        base_us = data.t * 1000 + data.n % 1000
        metrics = data.k
        quality = data.quality() if data.q else None
        for index, row in enumerate(data.r):
            at_us = base_us + int(row[0]) * 1000  # type: ignore[arg-type]
            watch = device.watches.get(metrics) if at_us >= device.since_us else None
            if watch is None:
                watch = self.compiled.watch_of(device, metrics, at_us)
            if quality or None in row:
                codes = codes_of(quality, index) if quality else NO_CODES
                self.note_readings(watch, row, codes, at_us)
                self.judge_row(watch, usable(row, codes), at_us, hist=hist)
                continue
            watch.row, watch.at_us, watch.taken_us = row, at_us, self.now_us
            for column, band in watch.columns:
                value = row[column]
                if not band.low < value < band.high:  # type: ignore[operator]
                    self._judge_band(band, value, at_us, hist=hist)

    def judge_row(self, watch: Watch, row: Row, at_us: int, *, hist: bool) -> None:
        """Judge one row `[dt, value...]` in which None is no value and UNUSABLE not to be used."""
        for column, band in watch.columns:
            value = row[column]
            if value is not None and not band.low < value < band.high:
                self._judge_band(band, None if isnan(value) else value, at_us, hist=hist)

    def _judge_band(self, band: Band, value: float | None, at_us: int, *, hist: bool) -> None:
        for condition in band.conditions:
            changed_us = step(condition.limit, condition.phase, at_us, value)
            tail = condition.tail
            if tail is not None:
                tail.add(condition.limit, condition.phase, at_us, value)
                if not tail.open:
                    condition.tail = None
            if changed_us is not None:
                self._changed(condition, changed_us, value, hist=hist)
            elif condition.watched.tentative is not None and not hist and value is not None:
                self._confirm(condition.watched)
            if condition.watched.recorded_us is not None and value is not None:
                self._compare(condition, at_us, value)
        if value is not None:
            for staleness in band.stale:
                if staleness.active:
                    staleness.saw(at_us)
        band.settle()

    def _changed(
        self, condition: Condition, at_us: int, value: float | None, *, hist: bool
    ) -> None:
        watched = condition.watched
        if self._is_recorded(watched, condition.phase.active, at_us):
            watched.noted = (at_us, value)
            return
        if not condition.phase.active:
            if watched.tentative is not None:
                self._was_over(watched, at_us, value)
            elif not any(each.phase.active for each in watched.conditions):
                self.move(Move(watched.alarm, Stimulus.RETURN, at_us, value))
        elif watched.tentative is not None:
            self._confirm(watched)
        elif hist and not watched.alarm.active:
            watched.tentative = Tentative(at_us, value, self.now_us, self.message)
            self._tentative.append(watched)
            self._hold(self.message, 1)
        else:
            self.move(Move(watched.alarm, Stimulus.ACTIVATE, at_us, value))

    def _is_recorded(self, watched: Watched, active: bool, at_us: int) -> bool:
        """Whether the journal has this change already, or the alarm's records go beyond it."""
        if watched.recorded_us is not None and at_us <= watched.recorded_us:
            return True
        alarm = watched.alarm
        stimulus = Stimulus.ACTIVATE if active else Stimulus.RETURN
        following = Move(alarm, stimulus, at_us).transition()
        return following is not None and self.journal.knows(following)

    def _compare(self, condition: Condition, at_us: int, value: float) -> None:
        """After a take-over: have the readings come beyond what is recorded?"""
        recorded_us, phase = condition.watched.recorded_us, condition.phase
        if recorded_us is not None and at_us > recorded_us and phase.passed is phase.active:
            self._agree(condition.watched, at_us, value)

    def _agree(self, watched: Watched, at_us: int, value: float | None) -> None:
        """The readings have come beyond the alarm's records: what they show is right."""
        watched.recorded_us = None
        active = any(condition.phase.active for condition in watched.conditions)
        if watched.alarm.active is not active:
            stimulus = Stimulus.ACTIVATE if active else Stimulus.RETURN
            changed_us, shown = watched.noted or (at_us, value)
            if self.move(Move(watched.alarm, stimulus, changed_us, shown)) is None:
                self.move(Move(watched.alarm, stimulus, at_us, value))

    def _confirm(self, watched: Watched) -> None:
        """The condition lasts: what an outage hid alarms now."""
        tentative = self._resolve(watched)
        self.move(Move(watched.alarm, Stimulus.ACTIVATE, tentative.at_us, tentative.value))

    def _was_over(self, watched: Watched, at_us: int, value: float | None) -> None:
        """The condition was over before it was known: journalled, moves nothing."""
        tentative = self._resolve(watched)
        alarm = watched.alarm
        active = alarm.transition(
            alarm.state, AlarmState.UNACK, tentative.at_us, tentative.value, retroactive=True
        )
        self.write(active)
        over = alarm.transition(
            AlarmState.UNACK, AlarmState.RTN_UNACK, at_us, value, retroactive=True
        )
        self.write(over)

    def _resolve(self, watched: Watched) -> Tentative:
        tentative = watched.tentative
        if tentative is None:
            raise AssertionError(f"alarm {watched.alarm.name} has no tentative activation")
        watched.tentative = None
        self._tentative.remove(watched)
        self._hold(tentative.message, -1)
        return tentative

    def confirm(self, taken_before_us: int) -> None:
        """Alarm for every tentative activation found by then; nothing newer denied it."""
        for watched in list(self._tentative):
            tentative = watched.tentative
            if tentative is not None and tentative.taken_us <= taken_before_us:
                self._confirm(watched)

    def drop_tentative(self, watched: Watched) -> None:
        """Forget a tentative activation; the records know better."""
        if watched.tentative is not None:
            self._resolve(watched)

    # -- late rows

    def remember(self, device: DeviceWatch) -> Memory:
        """How the conditions of a device stand now, for the rows missing from here on."""
        memory = Memory()
        for condition in device.conditions.values():
            if not condition.phase.resting:
                alarm = condition.watched.alarm
                active = alarm.state if alarm.active else AlarmState.UNACK
                state = active if condition.phase.active else AlarmState.NORMAL
                memory.tracks[condition] = Track(condition.phase.copy(), state)
            if condition.tail is not None:
                condition.tail.follower = memory
            condition.tail = memory.tails[condition] = Tail()
            if condition.band is not None:
                condition.band.settle()
        return memory

    def judge_late(self, device: DeviceWatch, data: Data, memory: Memory) -> None:
        """Judge the rows of a message that fills a gap; all they show is retroactive."""
        memory.touched = True
        quality = data.quality()
        for index, at_us in enumerate(data.times_us()):
            watch = self.compiled.watch_of(device, data.k, at_us)
            row = usable(data.r[index], codes_of(quality, index))
            for column, band in watch.columns:
                reading = row[column]
                if reading is None:
                    continue
                inside = band.inner_low < reading < band.inner_high
                value = None if isnan(reading) else reading
                for condition in band.conditions:
                    if not inside or memory.needs(condition):
                        for event in memory.judge(condition, at_us, value):
                            self.write(event)

    def close(self, memory: Memory) -> None:
        """A gap is filled: judge again what came after it, while it still matters."""
        memory.touched = True
        for condition, tail in memory.tails.items():
            for at_us, value in tail.readings:
                for event in memory.judge(condition, at_us, value):
                    self.write(event)
            track = memory.tracks.get(condition)
            if tail.follower is not None and not tail.settled:
                _hand_on(condition, track, tail.follower)
            elif condition.tail is tail:
                self._adopt(condition, track, tail)

    def _adopt(self, condition: Condition, track: Track | None, tail: Tail) -> None:
        """Go on from how the late engine stands, and alarm or return where that differs.

        The transition's time is that of the first reading after the gap, from which on
        it was known live; the true time stands in the journal as retroactive.
        """
        was_active = condition.phase.active
        condition.phase = Phase() if track is None else track.phase
        condition.tail = None
        if condition.phase.active is not was_active:
            at_us = tail.readings[0][0] if tail.readings else condition.phase.last_us
            if track is not None:
                at_us = max(at_us, track.changed_us + 1)
            self._changed(condition, at_us, None, hist=False)
        if condition.band is not None:
            condition.band.settle()

    # -- staleness

    def judge_stale(self) -> None:
        """Judge every STALE definition at `now_us`."""
        for boiler in self.compiled.boilers.values():
            for staleness in boiler.stale.values():
                metric = staleness.definition.metric
                was_active = staleness.active
                move = staleness.tick(self.now_us, boiler.last_fresh_us(metric))
                if move is not None:
                    self.move(move)
                if staleness.active is not was_active:
                    for band in boiler.bands.get(metric, ()):
                        band.settle()

    # -- readings

    def note_readings(self, watch: Watch, row: Row, codes: Codes, at_us: int) -> None:
        """Note a row's readings one by one, where not all of them are there and good."""
        readings, fresh_us = watch.boiler.readings, watch.boiler.fresh_us
        moment = min(at_us, self.now_us)
        for column, metric in watch.shown:
            value = row[column]
            code = codes.get(column, GOOD) if codes else GOOD
            if value is not None:
                readings[metric] = (value, at_us, code)
                if code >= UNCERTAIN:
                    fresh_us[metric] = moment
            elif code != GOOD:
                readings[metric] = (None, at_us, code)


def codes_of(quality: Quality, index: int) -> Codes:
    """The codes of one row that are not good, by index in the row `[dt, value...]`."""
    return {column + 1: code for (row, column), code in quality.items() if row == index}


def usable(row: Row, codes: Codes) -> Row:
    """The row with UNUSABLE where a reading's code says that it may not be judged."""
    if not codes:
        return row
    judged = row.copy()
    for column, code in codes.items():
        if code < UNCERTAIN:
            judged[column] = UNUSABLE
    return judged


def _hand_on(condition: Condition, track: Track | None, follower: Memory) -> None:
    """Correct where a later gap begins, unless its rows were judged already."""
    if follower.touched:
        return
    if track is None:
        follower.tracks.pop(condition, None)
    else:
        follower.tracks[condition] = track
