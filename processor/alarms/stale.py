"""Whether a metric is stale: judged by the clock, the only thing here that is."""

from bridge.plant import AlarmDefinition
from processor.alarms.machine import Alarm, Move, Stimulus


class Staleness:
    """One STALE definition of a boiler.

    Active once the newest usable reading of the metric, from whatever device, is older
    than `setpoint` seconds and stays so for `on_delay_s`; its time is that reading's plus
    both. Over once readings are fresh again for `off_delay_s`; its time is the first
    fresh reading's plus the delay. A metric never seen is counted from `known_us`, when
    the evaluator first heard of the definition, and none from before `blind_us`, up to
    which readings may have come that nobody here has seen.
    """

    __slots__ = (
        "active",
        "alarm",
        "blind_us",
        "definition",
        "fresh_us",
        "known_us",
        "limit_us",
        "off_us",
        "on_us",
    )

    def __init__(self, alarm: Alarm, definition: AlarmDefinition, known_us: int) -> None:
        self.alarm = alarm
        self.definition = definition
        self.limit_us = round(definition.setpoint * 1_000_000)
        self.on_us = round(definition.on_delay_s * 1_000_000)
        self.off_us = round(definition.off_delay_s * 1_000_000)
        self.known_us = known_us
        self.blind_us = -(2**62)
        self.active = alarm.active
        self.fresh_us: int | None = None

    def saw(self, at_us: int) -> None:
        """Note a usable reading while active."""
        if self.fresh_us is None:
            self.fresh_us = at_us

    def tick(self, now_us: int, newest_us: int | None) -> Move | None:
        """Judge at the present moment by the newest usable reading's time (None: never)."""
        last_us = self.known_us if newest_us is None else newest_us
        if not self.active:
            last_us = max(last_us, self.blind_us)
        if now_us - last_us >= self.limit_us:
            self.fresh_us = None
            stale_us = last_us + self.limit_us + self.on_us
            if self.active or now_us < stale_us:
                return None
            self.active = True
            return Move(self.alarm, Stimulus.ACTIVATE, stale_us, (now_us - last_us) / 1_000_000)
        if not self.active or newest_us is None:
            return None
        self.saw(newest_us)
        over_us = (self.fresh_us or newest_us) + self.off_us
        if now_us < over_us:
            return None
        self.active, self.fresh_us = False, None
        return Move(self.alarm, Stimulus.RETURN, over_us, (now_us - newest_us) / 1_000_000)
