"""Alarms about Steam itself: what the evaluator finds, and the troubles it is told of."""

from collections.abc import Iterable

from bridge.records import AlarmEvent, AlarmState
from processor.alarms.machine import SYSTEM, Alarm, Move, Stimulus

SYSTEM_BOILER = "_steam"
SYSTEM_PRIORITY = 2
LAGGING = "evaluator_lagging"
MAX_LAG_S = 5.0
LAG_ON_US = 5_000_000
LAG_OVER_US = 30_000_000
_MANY = 500
OVER_US = 60_000_000
"""An alarm without a measure of its own returns to normal when it was not heard of for so long."""


class SystemAlarms:
    """The alarms of the boiler `_steam`; their times are those of what caused them."""

    def __init__(self) -> None:
        self.alarms: dict[str, Alarm] = {}
        self._returns_us: dict[str, int] = {}
        self._lagging_since_us: int | None = None
        self._lag_ok_since_us: int | None = None

    def alarm(self, name: str) -> Alarm:
        """The alarm of that name, made where it is new."""
        alarm = self.alarms.get(name)
        if alarm is None:
            if len(self.alarms) >= _MANY:
                self._forget_normal()
            alarm = self.alarms[name] = Alarm("", SYSTEM_BOILER, name, SYSTEM, SYSTEM_PRIORITY)
        return alarm

    def _forget_normal(self) -> None:
        """Names come from outside: what is over and acknowledged is not kept for ever."""
        self.alarms = {
            name: alarm
            for name, alarm in self.alarms.items()
            if alarm.state is not AlarmState.NORMAL or name in self._returns_us
        }

    def begin_anew(self, open_alarms: Iterable[AlarmEvent], now_us: int) -> None:
        """Take over recorded states; what is active returns unless it shows again."""
        self.alarms, self._returns_us = {}, {}
        self.catch_up(open_alarms, now_us)

    def catch_up(self, events: Iterable[AlarmEvent], now_us: int) -> None:
        """Take over what is recorded of some alarms, where it is newer than what is here."""
        for event in events:
            if event.boiler != SYSTEM_BOILER:
                continue
            alarm = self.alarm(event.definition)
            if event.recorded_at_us <= alarm.recorded_us:
                continue
            alarm.fold(event)
            if alarm.active and event.definition != LAGGING:
                self._returns_us[event.definition] = now_us + OVER_US

    def identity_reused(self, device: str, boot: int, seq: int, at_us: int, now_us: int) -> Move:
        """A device sent another content under an identity used before.

        The alarm returns to normal after 60 s without another.
        """
        note = (
            f"device {device} sent boot {boot}, seq {seq} again with other content; "
            "was it reflashed, or do two boards carry this name?"
        )
        return self.trouble(f"identity_reused_{device}", note, at_us, now_us)

    def trouble(self, name: str, note: str, at_us: int, now_us: int) -> Move:
        """A trouble was told; its alarm returns to normal after 60 s without being told again."""
        self._returns_us[name] = now_us + OVER_US
        return Move(self.alarm(name), Stimulus.ACTIVATE, min(at_us, now_us), note=note)

    def tick(self, now_us: int, lag_s: float) -> list[Move]:
        """Judge the queue's lag (seconds), and let old alarms return to normal."""
        moves = self._judge_lag(now_us, lag_s)
        for name, at_us in list(self._returns_us.items()):
            if now_us >= at_us:
                del self._returns_us[name]
                moves.append(Move(self.alarm(name), Stimulus.RETURN, at_us))
        return moves

    def _judge_lag(self, now_us: int, lag_s: float) -> list[Move]:
        """Lagging from 5 s on, for 5 s; over once it was less for 30 s."""
        if lag_s >= MAX_LAG_S:
            self._lag_ok_since_us = None
            if self._lagging_since_us is None:
                self._lagging_since_us = now_us
            if now_us - self._lagging_since_us < LAG_ON_US:
                return []
            alarm = self.alarm(LAGGING)
            note = "messages wait to be evaluated; staleness is not judged meanwhile"
            alarm.setpoint = MAX_LAG_S
            return [Move(alarm, Stimulus.ACTIVATE, now_us, round(lag_s, 3), note=note)]
        self._lagging_since_us = None
        alarm_now = self.alarms.get(LAGGING)
        if alarm_now is None or not alarm_now.active:
            return []
        if self._lag_ok_since_us is None:
            self._lag_ok_since_us = now_us
        if now_us - self._lag_ok_since_us < LAG_OVER_US:
            return []
        return [Move(alarm_now, Stimulus.RETURN, now_us, round(lag_s, 3))]
