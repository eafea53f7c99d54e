"""Troubles of Steam itself on one machine: from thread to thread."""

from collections import deque

from processor.troubles import Trouble

_MOST = 1_000


class EmbeddedTroubles:
    """Hands troubles to the evaluator of the same process; implements TroublesOut."""

    def __init__(self) -> None:
        self._told: deque[Trouble] = deque(maxlen=_MOST)

    def tell(self, troubles: list[Trouble]) -> None:
        """Hand them over; the oldest give way where nobody takes them: they are told again."""
        self._told.extend(troubles)

    def take(self) -> list[Trouble]:
        """What was told since the last call."""
        taken = []
        while self._told:
            taken.append(self._told.popleft())
        return taken
