"""The deliveries that an evaluator has and has not acknowledged, and what became of each."""

from collections import Counter, deque
from typing import NamedTuple

from processor.counters import EvaluatorCounters
from processor.delivery import Delivery, Origin
from processor.results import PROBE

EVALUATED = "evaluated"
QUARANTINED = "quarantined"
_RETURNED = ""


class Handled(NamedTuple):
    """A delivery that was looked at: `outcome` is evaluated, duplicate, or quarantined for `reason`.

    `in_order` says that the evaluation counts it among those that may wait for others.
    """

    number: int
    outcome: str
    reason: str = ""
    in_order: bool = False


class Unacknowledged:
    """Counts deliveries as received when they come, and as ended when they are acknowledged.

    Probes are acknowledged with the others and not counted: no device sent them.
    """

    def __init__(self, counters: EvaluatorCounters) -> None:
        self._counters = counters
        self._handled: deque[Handled] = deque()
        self._last = 0
        self._ended = 0
        self._acknowledged = 0

    def receive(self, deliveries: list[Delivery]) -> list[Delivery]:
        """Take what came; gives the messages, without probes."""
        if not deliveries:
            return deliveries
        self._last = deliveries[-1].number
        messages = [
            delivery
            for delivery in deliveries
            if delivery.origin is not Origin.PROCESSOR or delivery.body != PROBE
        ]
        redelivered = sum(1 for delivery in messages if delivery.redelivered)
        self._counters.flow.receive(len(messages), redelivered)
        return messages

    def handle(
        self, number: int, outcome: str, reason: str = "", *, in_order: bool = False
    ) -> None:
        """Note what became of a message, in the order of their numbers."""
        self._handled.append(Handled(number, outcome, reason, in_order))

    def give_back(self) -> None:
        """Count what is not acknowledged as returned: its connection is gone, or will be."""
        self._handled = deque(each._replace(outcome=_RETURNED) for each in self._handled)
        unsettled = self._counters.flow.in_flight
        if unsettled:
            self._counters.flow.give_back(unsettled)

    def settle(self, settled: int) -> int | None:
        """Count the ends of what may be acknowledged; up to which number, None for nothing new.

        `settled` is how many of the messages in order, from the first on, are completely
        evaluated.
        """
        handled = self._handled
        number = self._acknowledged
        ends: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        while handled and (not handled[0].in_order or self._ended < settled):
            number, outcome, reason, in_order = handled.popleft()
            self._ended += in_order
            ends[outcome] += 1
            if reason and outcome != _RETURNED:
                refused[reason] += 1
        if not handled:
            number = max(number, self._last)
        if number <= self._acknowledged:
            return None
        self._acknowledged = number
        del ends[_RETURNED]
        self._counters.settle(ends.total(), ends[EVALUATED], ends["duplicate"], refused)
        return number
