"""A recorded minute whose values cross every limit but one, and its log in order."""

import random

from tests.unit.processor.alarms.sending import (
    LEVEL,
    PRESSURE,
    Sender,
    data,
    definition,
    plant_with,
)

DEFINITIONS = (
    definition("hihi", setpoint=12.0),
    definition("hi", setpoint=10.0, deadband=1.0, on_delay_s=3, off_delay_s=2),
    definition("lo", type_="LO", setpoint=4.0, deadband=2.0),
    definition("level", metric=LEVEL, type_="LOLO", setpoint=20.0, deadband=10.0, off_delay_s=5),
    definition("never", metric=LEVEL, type_="HIHI", setpoint=99.0, on_delay_s=1),
)
LAST = 60


def recording(seed: int) -> list:
    """A minute of messages whose values wander across every limit but one."""
    chance = random.Random(seed)
    pressure, level, messages = 8.0, 40.0, []
    for seq in range(1, LAST + 1):
        pressure = min(14.0, max(2.0, pressure + chance.choice([-3, -1, -0.5, 0, 0.5, 1, 3])))
        level = min(60.0, max(5.0, level + chance.choice([-15, -5, 0, 5, 15])))
        shown = None if chance.random() < 0.05 else pressure
        quality = {"0,1": 0} if chance.random() < 0.05 else None
        row = (shown, level)
        messages.append(data(seq, row, metrics=(PRESSURE, LEVEL), quality=quality))
    return messages


def in_order(messages) -> Sender:
    """The log of the messages as the device took them."""
    sender = Sender(plant_with(*DEFINITIONS))
    for message in messages:
        sender.send(message, at=message.n)
    sender.tick(at=LAST + 10)
    return sender
