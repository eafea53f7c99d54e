"""The states of one alarm after ISA-18.2 and OPC UA Part 9 (OPC 10000-9).

| present   | activate | return_to_normal | acknowledge |
|-----------|----------|------------------|-------------|
| NORMAL    | UNACK    | -                | -           |
| UNACK     | -        | RTN_UNACK        | ACKED       |
| ACKED     | -        | NORMAL           | -           |
| RTN_UNACK | UNACK    | -                | NORMAL      |

Sources: ISA-18.2-2016 figure 3 (states A to D); OPC 10000-9 4.3 and 5.7.2 (acknowledging
is separate from being active) and 5.8.2 (ActiveState, OnDelay, OffDelay).
"""

from enum import Enum

import msgspec

from bridge.plant import AlarmDefinition
from bridge.records import AlarmEvent, AlarmState

SYSTEM = "SYSTEM"
"""The `type` of alarms about Steam itself."""


class Stimulus(Enum):
    """What moves an alarm from one state to another."""

    ACTIVATE = "activate"
    RETURN = "return_to_normal"
    ACKNOWLEDGE = "acknowledge"


_NEXT = {
    (AlarmState.NORMAL, Stimulus.ACTIVATE): AlarmState.UNACK,
    (AlarmState.RTN_UNACK, Stimulus.ACTIVATE): AlarmState.UNACK,
    (AlarmState.UNACK, Stimulus.RETURN): AlarmState.RTN_UNACK,
    (AlarmState.ACKED, Stimulus.RETURN): AlarmState.NORMAL,
    (AlarmState.UNACK, Stimulus.ACKNOWLEDGE): AlarmState.ACKED,
    (AlarmState.RTN_UNACK, Stimulus.ACKNOWLEDGE): AlarmState.NORMAL,
}


def next_state(state: AlarmState, stimulus: Stimulus) -> AlarmState | None:
    """The state that follows, or None where the stimulus changes nothing."""
    return _NEXT.get((state, stimulus))


class Alarm:
    """One alarm of one boiler: what it is, and its present state.

    `since_us` is when it was last activated, `last_us` its newest transition;
    `activated_us` and `recorded_us` are when these were recorded (epoch µs).
    """

    __slots__ = (
        "acknowledged_by",
        "activated_us",
        "boiler",
        "last_us",
        "metric",
        "name",
        "priority",
        "recorded_us",
        "setpoint",
        "since_us",
        "site",
        "state",
        "type",
        "value",
    )

    def __init__(self, site: str, boiler: str, name: str, type_: str, priority: int) -> None:
        self.site = site
        self.boiler = boiler
        self.name = name
        self.type = type_
        self.priority = priority
        self.metric = ""
        self.setpoint: float | None = None
        self.state = AlarmState.NORMAL
        self.since_us = 0
        self.last_us = -(2**62)
        self.activated_us = self.recorded_us = 0
        self.value: float | None = None
        self.acknowledged_by = ""

    @classmethod
    def of(cls, site: str, boiler: str, definition: AlarmDefinition) -> "Alarm":
        """The alarm of a definition, NORMAL."""
        alarm = cls(site, boiler, definition.name, definition.type.value, definition.priority)
        alarm.metric = definition.metric
        alarm.setpoint = float(definition.setpoint)
        return alarm

    @property
    def active(self) -> bool:
        """Whether the condition is present in the alarm's state."""
        return self.state is AlarmState.UNACK or self.state is AlarmState.ACKED

    def resume(self, before: "Alarm") -> None:
        """Take over the present state of the same alarm under an earlier definition."""
        self.state, self.value = before.state, before.value
        self.since_us, self.last_us = before.since_us, before.last_us
        self.activated_us, self.recorded_us = before.activated_us, before.recorded_us
        self.acknowledged_by = before.acknowledged_by

    def fold(self, event: AlarmEvent) -> None:
        """Take over the state that a recorded transition led to."""
        if event.retroactive:
            return
        if event.state is AlarmState.UNACK:
            self.activated_us = event.recorded_at_us
        if event.state is AlarmState.UNACK or not self.since_us:
            self.since_us = event.at_us
        self.state = event.state
        self.last_us = max(self.last_us, event.at_us)
        self.recorded_us = event.recorded_at_us
        self.value = event.value
        self.acknowledged_by = event.by if event.state is AlarmState.ACKED else ""

    def transition(
        self,
        previous: AlarmState,
        state: AlarmState,
        at_us: int,
        value: float | None,
        *,
        by: str = "",
        note: str = "",
        retroactive: bool = False,
    ) -> AlarmEvent:
        """A transition of this alarm as a record, without moving it."""
        return AlarmEvent(
            id="",
            site=self.site,
            boiler=self.boiler,
            definition=self.name,
            type=self.type,
            metric=self.metric,
            state=state,
            previous=previous,
            priority=self.priority,
            at_us=at_us,
            recorded_at_us=0,
            value=value,
            setpoint=self.setpoint,
            retroactive=retroactive,
            by=by,
            note=note,
        )


class Move(msgspec.Struct, frozen=True):
    """A stimulus on its way to an alarm: its time (epoch µs), the reading, who and why."""

    alarm: Alarm
    stimulus: Stimulus
    at_us: int
    value: float | None = None
    by: str = ""
    note: str = ""

    def transition(self) -> AlarmEvent | None:
        """The transition that it leads to, not journalled yet; None where nothing moves."""
        alarm = self.alarm
        following = next_state(alarm.state, self.stimulus)
        if following is None:
            return None
        return alarm.transition(
            alarm.state, following, self.at_us, self.value, by=self.by, note=self.note
        )
