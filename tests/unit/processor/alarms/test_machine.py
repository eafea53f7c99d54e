"""The states of one alarm: ISA-18.2 by table, and any history against a plain model."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bridge.records import AlarmState
from processor.alarms.journal import verify
from processor.alarms.machine import Alarm, Move, Stimulus, next_state
from tests.unit.processor.alarms.sending import (
    Sender,
    data,
    definition,
    plant_with,
    row_us,
    us,
)

NORMAL, UNACK = AlarmState.NORMAL, AlarmState.UNACK
ACKED, RTN_UNACK = AlarmState.ACKED, AlarmState.RTN_UNACK


@pytest.mark.parametrize(
    ("state", "stimulus", "following"),
    [
        (NORMAL, Stimulus.ACTIVATE, UNACK),
        (NORMAL, Stimulus.RETURN, None),
        (NORMAL, Stimulus.ACKNOWLEDGE, None),
        (UNACK, Stimulus.ACTIVATE, None),
        (UNACK, Stimulus.RETURN, RTN_UNACK),
        (UNACK, Stimulus.ACKNOWLEDGE, ACKED),
        (ACKED, Stimulus.ACTIVATE, None),
        (ACKED, Stimulus.RETURN, NORMAL),
        (ACKED, Stimulus.ACKNOWLEDGE, None),
        (RTN_UNACK, Stimulus.ACTIVATE, UNACK),
        (RTN_UNACK, Stimulus.RETURN, None),
        (RTN_UNACK, Stimulus.ACKNOWLEDGE, NORMAL),
    ],
)
def test_alarm_state_after_each_stimulus_is_that_of_isa_18_2(state, stimulus, following):
    """The twelve cells of the table of states."""
    assert next_state(state, stimulus) is following


def moved(alarm, *stimulus, **more):
    """Move an alarm as the engine does, and give the transition."""
    event = Move(alarm, *stimulus, **more).transition()
    assert event is not None
    alarm.fold(event)
    return event


def test_alarm_transition_carries_definition_value_and_operator():
    """A transition says what the alarm is, what caused it and who acknowledged it."""
    alarm = Alarm.of("mill", "b1", definition(setpoint=10, priority=1))
    moved(alarm, Stimulus.ACTIVATE, 5, 11.0)

    event = moved(alarm, Stimulus.ACKNOWLEDGE, 9, 11.0, by="ana", note="seen")

    assert (event.state, event.previous, event.at_us) == (ACKED, UNACK, 9)
    assert (event.boiler, event.definition, event.type, event.priority) == ("b1", "hi", "HI", 1)
    assert (event.value, event.setpoint, event.by, event.note) == (11.0, 10.0, "ana", "seen")
    assert (alarm.since_us, alarm.acknowledged_by) == (5, "ana")


def test_alarm_that_returned_forgets_who_acknowledged():
    """Who acknowledged belongs to the state ACKED alone."""
    alarm = Alarm.of("mill", "b1", definition())
    moved(alarm, Stimulus.ACTIVATE, 5)
    moved(alarm, Stimulus.ACKNOWLEDGE, 6, by="ana")

    moved(alarm, Stimulus.RETURN, 7)

    assert (alarm.state, alarm.acknowledged_by) == (NORMAL, "")


class AlarmHistory(RuleBasedStateMachine):
    """Readings and acknowledgements in any order; the model keeps the whole history."""

    def __init__(self) -> None:
        super().__init__()
        self.definition = definition(deadband=1.0, on_delay_s=2, off_delay_s=3)
        self.sender = Sender(plant_with(self.definition))
        self.seconds = 0
        self.seq = 0
        self.passed_since: tuple[bool, int] = (False, 0)
        self.active = False
        self.state = NORMAL
        self.log: list[tuple[str, AlarmState, int]] = []

    @rule(pause=st.integers(1, 3), value=st.sampled_from([8.5, 9.0, 9.5, 10.0, 12.0]))
    def read(self, pause, value):
        """A usable reading some seconds later."""
        self.seconds += pause
        self.seq += 1
        self.sender.send(data(self.seq, (value,), at=self.seconds), at=self.seconds)
        at_us = row_us(self.seconds, self.seq) - us(0)
        passed, since_us = self.passed_since
        if (value >= 10.0) if not passed else (value <= 9.0):
            passed, since_us = not passed, at_us
            self.passed_since = passed, since_us
        changed_us = since_us + (2_000_000 if passed else 3_000_000)
        if passed != self.active and at_us >= changed_us:
            self.active = passed
            if passed:
                self.enter(UNACK, changed_us)
            else:
                self.enter(NORMAL if self.state is ACKED else RTN_UNACK, changed_us)

    @rule()
    def acknowledge(self):
        """An operator acknowledges."""
        done = self.sender.acknowledge()
        at_us = self.seconds * 1_000_000
        if self.state is UNACK:
            self.enter(ACKED, at_us)
        elif self.state is RTN_UNACK:
            self.enter(NORMAL, at_us)
        else:
            assert done.refusal

    def enter(self, state, at_us):
        """Note a transition of the model."""
        if (state, at_us) in [(noted, moment) for _, noted, moment in self.log]:
            self.state = state
            return
        self.state = state
        self.log.append(("hi", state, at_us))

    @invariant()
    def agrees(self):
        """State, log and chain are what the model says."""
        assert self.sender.state() is self.state
        assert self.sender.log == self.log
        assert verify(self.sender.events) == []


AlarmHistory.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAlarmHistory = AlarmHistory.TestCase
