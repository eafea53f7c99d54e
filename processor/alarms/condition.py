"""Whether the condition of an alarm definition holds: setpoint, deadband and delays.

Two steps, after OPC 10000-9 (OPC UA Part 9) 5.8.2 (OnDelay, OffDelay) and 5.8.18
(limits and their deadband), judged reading by reading in event time:

1. The limit. A reading at the setpoint or beyond it passes the limit. The limit stays
   passed until a reading is back by the deadband (with deadband 0: back at all), so a
   reading inside the deadband changes nothing.
2. The delay. The condition becomes active once the limit was passed for `on_delay_s`
   without a break, and inactive once it was not passed for `off_delay_s` without a
   break; a break restarts the timer. It changes at the moment when the delay had run
   out, and only once a reading at or after that moment shows that it lasted. Both are
   functions of the readings alone: which row happened to prove it does not matter, and
   time by itself proves nothing (a silent metric is the business of STALE).

A reading of bad quality neither sets nor clears: it stops a running timer, and the time
around it, from the usable reading before to the next, does not count. No value (null) is
no reading: rows may carry metrics of different periods. A clock that was set back
restarts a running timer.
"""

from bridge.plant import AlarmDefinition, AlarmType

_HIGH = (AlarmType.HI, AlarmType.HIHI)


class Limit:
    """A definition made ready for comparing; `sign` turns low alarms into high ones.

    `trip` and `clear` are in the turned scale: passed at `trip` and above, no longer
    passed below `trip` and at `clear` or below. Delays are in µs.
    """

    __slots__ = ("clear", "off_us", "on_us", "sign", "trip")

    def __init__(self, definition: AlarmDefinition) -> None:
        self.sign = 1.0 if definition.type in _HIGH else -1.0
        self.trip = self.sign * definition.setpoint
        # 0.3 - 0.1 is 0.19999999999999998; a plant person means 0.2
        self.clear = round(self.trip - definition.deadband, 9)
        self.on_us = round(definition.on_delay_s * 1_000_000)
        self.off_us = round(definition.off_delay_s * 1_000_000)

    def decides(self, value: float) -> bool:
        """Tell whether a reading settles the limit whatever was before it."""
        turned = self.sign * value
        return turned >= self.trip or turned <= self.clear


class Phase:
    """Where a condition stands: the limit, since when, and what the delays made of it.

    `passed` is the limit, `active` the condition; a timer runs where they differ, since
    `since_us` (epoch µs). `last_us` is the last usable reading while a timer runs.
    """

    __slots__ = ("active", "last_us", "passed", "since_us", "stopped")

    def __init__(self, *, active: bool = False) -> None:
        self.passed = active
        self.active = active
        self.since_us = 0
        self.last_us = 0
        self.stopped = False

    def copy(self) -> "Phase":
        """The same phase, to be carried on by itself."""
        twin = Phase()
        twin.passed, twin.active, twin.stopped = self.passed, self.active, self.stopped
        twin.since_us, twin.last_us = self.since_us, self.last_us
        return twin

    @property
    def resting(self) -> bool:
        """Whether the condition is inactive and no timer runs."""
        return not (self.passed or self.active)


def step(limit: Limit, phase: Phase, at_us: int, value: float | None) -> int | None:
    """Judge one reading (None: of bad quality) and return when the condition changed, if it did.

    The new condition is then `phase.active`. Readings come in the order in which the
    device took them.
    """
    if value is None:
        phase.stopped = phase.passed is not phase.active
        return None
    if phase.stopped:
        phase.since_us += max(0, at_us - phase.last_us)
        phase.stopped = False
    phase.last_us = at_us
    turned = limit.sign * value
    if phase.passed:
        if turned < limit.trip and turned <= limit.clear:
            phase.passed = False
            phase.since_us = at_us
    elif turned >= limit.trip:
        phase.passed = True
        phase.since_us = at_us
    if phase.passed is phase.active:
        return None
    phase.since_us = min(phase.since_us, at_us)
    changed_us = phase.since_us + (limit.on_us if phase.passed else limit.off_us)
    if at_us < changed_us:
        return None
    phase.active = phase.passed
    return changed_us
