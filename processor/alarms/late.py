"""Judging the rows of an outage where the device's own order puts them.

A gap in a device's messages keeps a `Memory`: how every condition stood before it. The
missing rows, when they come, carry on from there, in their own order, and everything that
they show is journalled as retroactive: it moves no alarm. Since the rows after the gap
were judged without them, the memory also keeps those rows' readings (`Tail`), for as long
as what came before can still matter. Once the gap is filled the tail is judged again:
afterwards both engines agree, or the tail still matters and the late one is right.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bridge.records import AlarmEvent, AlarmState
from processor.alarms.condition import Limit, Phase, step

if TYPE_CHECKING:
    from processor.alarms.watch import Condition

MAX_TAIL = 4_096


class Tail:
    """A condition's readings since a gap, until they settle it whatever was in the gap.

    They settle it once the limit has been passed, or not passed, for the whole delay.
    After 4,096 readings the tail is `cut`: the gap's end is then left as it was judged.
    """

    __slots__ = (
        "cut",
        "follower",
        "known_us",
        "last_us",
        "passed",
        "readings",
        "settled",
        "stopped",
    )

    def __init__(self) -> None:
        self.readings: list[tuple[int, float | None]] = []
        self.follower: Memory | None = None
        self.settled = False
        self.cut = False
        self.passed = False
        self.stopped = False
        self.known_us: int | None = None
        self.last_us = 0

    @property
    def open(self) -> bool:
        """Whether what was in the gap still matters, and no other gap came since."""
        return not (self.settled or self.cut or self.follower is not None)

    def add(self, limit: Limit, phase: Phase, at_us: int, value: float | None) -> None:
        """Note a reading that `phase` has just judged."""
        self.readings.append((at_us, value))
        self.cut = len(self.readings) >= MAX_TAIL
        if value is None:
            self.stopped = True
            return
        if self.known_us is not None and self.stopped:
            self.known_us += max(0, at_us - self.last_us)
        self.stopped = False
        self.last_us = at_us
        if self.known_us is None:
            if not limit.decides(value):
                return
            self.known_us, self.passed = at_us, phase.passed
        elif phase.passed is not self.passed:
            self.known_us, self.passed = at_us, phase.passed
        self.known_us = min(self.known_us, at_us)
        delay_us = limit.on_us if self.passed else limit.off_us
        self.settled = phase.active is phase.passed and at_us - self.known_us >= delay_us


class Track:
    """One condition as the late engine sees it, and the alarm state that goes with it.

    While `unknown`, the first reading that settles the limit says how it stands, without
    a transition.
    """

    __slots__ = ("changed_us", "phase", "state", "unknown")

    def __init__(self, phase: Phase, state: AlarmState, *, unknown: bool = False) -> None:
        self.phase = phase
        self.state = state
        self.unknown = unknown
        self.changed_us = -(2**62)

    def copy(self) -> "Track":
        """The same track, to be carried on by itself."""
        return Track(self.phase.copy(), self.state, unknown=self.unknown)


class Memory:
    """How the conditions of one device stood before a gap, carried on by the gap's rows.

    Only what does not rest is kept; `unknown` is a gap whose beginning nobody knows.
    """

    __slots__ = ("tails", "touched", "tracks", "unknown")

    def __init__(self, *, unknown: bool = False) -> None:
        self.tracks: dict[Condition, Track] = {}
        self.tails: dict[Condition, Tail] = {}
        self.unknown = unknown
        self.touched = False

    def fork(self) -> "Memory":
        """The same standing, without the readings after the gap."""
        twin = Memory(unknown=self.unknown)
        twin.tracks = {condition: track.copy() for condition, track in self.tracks.items()}
        return twin

    def forget(self, condition: "Condition") -> None:
        """Drop a condition whose definition is gone."""
        self.tracks.pop(condition, None)
        self.tails.pop(condition, None)

    def needs(self, condition: "Condition") -> bool:
        """Tell whether every reading of a condition must be judged."""
        return self.unknown or condition in self.tracks

    def judge(
        self, condition: "Condition", at_us: int, value: float | None
    ) -> Iterator[AlarmEvent]:
        """Judge one late reading; yields what it shows, as retroactive transitions."""
        track = self.tracks.get(condition)
        if track is None:
            track = Track(Phase(), AlarmState.NORMAL, unknown=self.unknown)
        if track.unknown:
            self._begin(condition, track, value)
            return
        changed_us = step(condition.limit, track.phase, at_us, value)
        if changed_us is not None:
            yield _transition(condition, track, changed_us, value)
        if track.phase.resting and not self.unknown:
            self.tracks.pop(condition, None)
        else:
            self.tracks[condition] = track

    def _begin(self, condition: "Condition", track: Track, value: float | None) -> None:
        limit = condition.limit
        if value is not None and limit.decides(value):
            active = limit.sign * value >= limit.trip
            track.phase = Phase(active=active)
            track.state = AlarmState.UNACK if active else AlarmState.NORMAL
            track.unknown = False
            self.tracks[condition] = track


def _transition(
    condition: "Condition", track: Track, at_us: int, value: float | None
) -> AlarmEvent:
    previous = track.state
    if track.phase.active:
        track.state = AlarmState.UNACK
    elif previous is AlarmState.ACKED:
        track.state = AlarmState.NORMAL
    else:
        track.state = AlarmState.RTN_UNACK
    track.changed_us = at_us
    alarm = condition.watched.alarm
    return alarm.transition(previous, track.state, at_us, value, retroactive=True)
