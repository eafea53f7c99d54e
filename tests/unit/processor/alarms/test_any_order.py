"""The alarm log does not depend on the order in which a device's messages arrive.

Two properties, for one device and no acknowledging:

1. Messages shuffled and doubled within the 2 s for which the order waits give the same
   events, in the same sequence and with the same flags, as messages in order.
2. Blocks of messages missing and sent later as `hist`, oldest first, however they mix
   with live ones: every transition of the log in order is in the log, and in the end the
   same conditions are present. What is in the log besides comes only from rows judged
   live while those before them were missing: nothing where every block arrives before
   the order stops waiting, and never a definition whose readings cross no limit.
"""

import random
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.records import AlarmState
from processor.alarms.journal import verify
from tests.unit.processor.alarms.recording import DEFINITIONS, LAST, in_order, recording
from tests.unit.processor.alarms.sending import START, Sender, plant_with


def identities(sender) -> list[tuple[str, bool]]:
    """Each event's identity and flag, in the sequence of the log."""
    return [(event.id, event.retroactive) for event in sender.events]


def present(sender) -> set[str]:
    """The alarms whose condition is present."""
    boilers = sender.evaluation.live("mill", sender.now).boilers
    alarms = [alarm for boiler in boilers for alarm in boiler.alarms]
    return {alarm.definition for alarm in alarms if alarm.state is AlarmState.UNACK}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6).map(random.Random))
def test_log_of_messages_shuffled_within_the_wait_is_the_log_in_order(seed, chance):
    """Shuffled and doubled within 2 s: the same events, sequence and flags."""
    messages = recording(seed)
    arrivals = []
    for message in messages[1:]:
        arrivals.append((message.n + chance.uniform(0, 1.7), message))
        if chance.random() < 0.3:
            arrivals.append((message.n + chance.uniform(0, 1.7), message))
    arrivals.sort(key=lambda arrival: arrival[0])

    sender = Sender(plant_with(*DEFINITIONS))
    sender.send(messages[0], at=1)
    for at, message in arrivals:
        sender.send(message, at=at)
        sender.tick()
    sender.tick(at=LAST + 10)

    assert identities(sender) == identities(in_order(messages))
    assert sender.evaluation.settled == 1 + len(arrivals)


def late_arrivals(messages, chance) -> list[tuple[float, object, bool]]:
    """(moment, message, hist): some blocks come later, oldest first, some of it twice."""
    arrivals, missing, seq = [], [], 2
    while seq <= LAST:
        length = chance.randint(1, 12)
        block = messages[seq - 1 : seq - 1 + length]
        seq += length
        if chance.random() < 0.4:
            missing.append(block)
        else:
            arrivals += [(message.n, message, False) for message in block]
    since = 0.0
    for block in missing:
        begin = max(since, block[-1].n + chance.choice([0.2, 1.0, 4.0, 15.0]))
        for index, message in enumerate(block):
            since = begin + index * 0.1
            arrivals.append((since, message, True))
            if chance.random() < 0.1:
                arrivals.append((since, message, True))
    arrivals.sort(key=lambda arrival: arrival[0])
    return arrivals


def tick_until(sender, at):
    """Let time pass up to a moment, a quarter of a second at a time."""
    while sender.now < START + timedelta(seconds=at - 0.25):
        sender.tick(at=(sender.now - START).total_seconds() + 0.25)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6).map(random.Random))
def test_log_with_blocks_sent_later_holds_the_log_in_order(seed, chance):
    """Blocks sent later as hist: nothing of the log in order is missing; the end is the same."""
    messages = recording(seed)
    sender = Sender(plant_with(*DEFINITIONS))
    sender.send(messages[0], at=1)
    arrivals = late_arrivals(messages, chance)
    for at, message, is_hist in arrivals:
        tick_until(sender, at)
        if is_hist:
            sender.hist(message, at=at)
        else:
            sender.send(message, at=at)
    tick_until(sender, (sender.now - START).total_seconds() + 5)

    plain = in_order(messages)
    assert {event.id for event in plain.events} <= {event.id for event in sender.events}
    assert present(sender) == present(plain)
    assert "never" not in {event.definition for event in sender.events}
    assert verify(sender.events) == []
    assert sender.evaluation.settled == 1 + len(arrivals)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 40), st.integers(1, 15))
def test_log_with_a_block_sent_before_the_wait_ends_is_the_log_in_order(seed, first, length):
    """A short outage whose rows come as hist within the wait leaves no trace in the log."""
    messages = recording(seed)
    block = messages[first - 1 : first - 1 + length]
    sender = Sender(plant_with(*DEFINITIONS))
    for message in messages:
        if message in block:
            continue
        sender.send(message, at=message.n)
        if message.n == block[-1].n + 1:
            for missing in block:
                sender.hist(missing)
    sender.tick(at=LAST + 10)

    plain = {event.id for event in in_order(messages).events}
    assert {event.id for event in sender.events} == plain
