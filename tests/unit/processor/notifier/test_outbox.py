"""The queue of one target: order, grouping, spacing, retries, bounds."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from processor.backoff import Backoff
from processor.notifier.outbox import TargetQueue, Waiting
from tests.unit.processor.notifier.fakes import event


def queue(spacing_s=0.0, group_above=10, limit=100, first_s=2.0):
    return TargetQueue(spacing_s, group_above, Backoff(first_s, 300.0, random.Random(1)), limit)


def waiting(number, give_up_at_s=1e9):
    return Waiting(id=f"e{number}", subject=event(number), give_up_at_s=give_up_at_s)


def urgent(number, priority):
    return Waiting(id=f"e{number}", subject=event(number, priority=priority), give_up_at_s=1e9)


def ids(taken):
    return [one.id for one in taken]


def test_queue_empty_is_never_due():
    """Nothing waits, so there is nothing to wake up for."""
    assert queue().due_in_s(0.0) is None


def test_queue_few_waiting_are_sent_one_by_one_in_order():
    """Up to the limit of grouping each transition is a notification of its own."""
    mine = queue()
    for number in range(10):
        mine.offer(waiting(number))

    sent = []
    while mine.due_in_s(0.0) is not None:
        sent.append(ids(mine.take()))
        mine.sent(0.0)

    assert sent == [[f"e{number}"] for number in range(10)]


def test_queue_flood_is_sent_as_one():
    """More than the limit of grouping go together."""
    mine = queue(group_above=10)
    for number in range(11):
        mine.offer(waiting(number))

    assert ids(mine.take()) == [f"e{number}" for number in range(11)]


def test_queue_after_a_send_waits_the_spacing():
    """The service's spacing is kept between two sends, and the first goes at once."""
    mine = queue(spacing_s=5.5)
    mine.offer(waiting(1))
    mine.offer(waiting(2))
    assert mine.due_in_s(100.0) == 0.0

    mine.take()
    mine.sent(100.0)

    assert mine.due_in_s(100.0) == 5.5
    assert mine.due_in_s(106.0) == 0.0


def test_queue_failures_wait_longer_each_time_up_to_five_minutes():
    """The waits double with jitter between half and whole, and a success starts anew."""
    mine = queue(first_s=2.0)
    mine.offer(waiting(1))
    waits = []
    for _ in range(12):
        mine.take()
        mine.failed(0.0)
        waits.append(mine.due_in_s(0.0))

    for number, wait_s in enumerate(waits):
        whole = min(300.0, 2.0 * 2**number)
        assert whole / 2 <= wait_s <= whole
    mine.take()
    mine.sent(0.0)
    mine.offer(waiting(2))
    mine.take()
    mine.failed(0.0)
    assert mine.due_in_s(0.0) <= 2.0


def test_queue_failed_keeps_order_before_what_came_meanwhile():
    """What could not be sent goes first again."""
    mine = queue()
    mine.offer(waiting(1))
    mine.take()
    mine.offer(waiting(2))

    assert mine.failed(0.0) == []

    assert ids(mine.take()) == ["e1"]
    mine.sent(1000.0)
    assert ids(mine.take()) == ["e2"]


def test_queue_gives_up_only_after_the_deadline_and_a_try():
    """Before its time a transition is retried; after it, the next failure is the last."""
    mine = queue()
    mine.offer(waiting(1, give_up_at_s=3600.0))
    mine.take()
    assert mine.failed(3599.0) == []

    mine.take()
    given_up = mine.failed(3600.0)

    assert ids(given_up) == ["e1"]
    assert len(mine) == 0


def test_queue_failing_since_its_first_failure():
    """How long a target fails is counted from the first failure of the row."""
    mine = queue()
    mine.offer(waiting(1))
    for now_s in (10.0, 20.0):
        mine.take()
        mine.failed(now_s)
    assert (mine.failures, mine.failing_since_s) == (2, 10.0)

    mine.take()
    mine.sent(30.0)

    assert (mine.failures, mine.failing_since_s) == (0, None)


def test_queue_full_gives_up_the_oldest_that_is_not_being_sent():
    """The bound holds, the newest is kept, what is on its way stays."""
    mine = queue(limit=3)
    for number in range(3):
        mine.offer(waiting(number))
    mine.take()

    evicted = mine.offer(waiting(3))

    assert evicted.id == "e1"
    mine.sent(0.0)
    assert ids(mine.take()) == ["e2"]


def test_queue_full_gives_up_the_least_urgent():
    """A priority 1 alarm outlives those of priority 4, however long it has waited."""
    mine = queue(limit=3)
    for number, priority in enumerate((1, 4, 3)):
        mine.offer(urgent(number, priority))

    evicted = [mine.offer(urgent(3, 2)), mine.offer(urgent(4, 4))]

    assert ids(evicted) == ["e1", "e4"]


class QueueMachine(RuleBasedStateMachine):
    """Whatever happens, each transition ends once: sent, given up, or still waiting."""

    def __init__(self):
        super().__init__()
        self.queue = queue(limit=7, group_above=3)
        self.now_s = 0.0
        self.offered = 0
        self.ended = []

    @rule(patience_s=st.floats(0, 1000))
    def offer(self, patience_s):
        """One more waits, for so long."""
        self.offered += 1
        evicted = self.queue.offer(waiting(self.offered, self.now_s + patience_s))
        if evicted is not None:
            self.ended.append(evicted.id)

    @rule(step_s=st.floats(0, 400))
    def wait(self, step_s):
        """Time passes."""
        self.now_s += step_s

    @rule(works=st.booleans(), meanwhile=st.integers(0, 9))
    def attempt(self, works, meanwhile):
        """Send what is due, while others come."""
        if self.queue.due_in_s(self.now_s) != 0.0:
            return
        taken = self.queue.take()
        for _ in range(meanwhile):
            self.offer(500.0)
        if works:
            self.queue.sent(self.now_s)
            self.ended += ids(taken)
        else:
            self.ended += ids(self.queue.failed(self.now_s))

    @invariant()
    def every_transition_ends_once(self):
        """Nothing is lost and nothing ends twice."""
        assert len(self.ended) == len(set(self.ended))
        assert len(self.ended) + len(self.queue) == self.offered

    @invariant()
    def bounded(self):
        """The limit holds, plus one while all that waits is being sent."""
        assert len(self.queue) <= 7 + 1


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=40, stateful_step_count=30)
TestQueueMachine.__doc__ = "Random runs of offers, waits, successes and failures."


@settings(max_examples=40)
@given(st.integers(1, 700), st.integers(1, 50))
def test_queue_drains_all_once(count, group_above):
    """A working target gets every transition exactly once, in order."""
    mine = TargetQueue(0.0, group_above, Backoff(1, 1, random.Random(1)))
    for number in range(count):
        mine.offer(waiting(number))

    sent = []
    while len(mine):
        sent += ids(mine.take())
        mine.sent(0.0)

    assert sent == [f"e{number}" for number in range(count)]
