"""Where transitions come from, and where it is noted which target has been told of which."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Protocol

import msgspec

from bridge.records import AlarmEvent


class Taken(msgspec.Struct, frozen=True):
    """One transition taken from the source, and the token that marks it done there."""

    token: int
    event: AlarmEvent


class TransitionSource(Protocol):
    """Transitions to notify, kept by the source until they are done.

    What is not done is handed over again after a restart or a lost connection, under a new
    token. All calls come from one thread. Nothing is raised for a source that is away.
    """

    def open(self) -> None:
        """Get ready, or start trying to."""

    def fetch(self, timeout_s: float) -> list[Taken]:
        """Wait at most `timeout_s` for transitions; may return none."""

    def done(self, token: int) -> None:
        """Forget the transition: every target has it, or was given up. Old tokens are ignored."""

    def close(self) -> None:
        """Leave; what is not done stays."""


class Outcome(StrEnum):
    """How a transition ended for one target."""

    SENT = "sent"
    GIVEN_UP = "given_up"


class Ledger(Protocol):
    """Remembers which target is settled for which transition, so that none is told twice.

    It bridges the time between the first target's success and the last one's, over
    restarts where it is durable. Safe from any thread; raises LedgerFailed.
    """

    def open(self) -> None:
        """Get ready."""

    def settled(self, event_id: str) -> set[str]:
        """The targets that are settled for a transition."""

    def note(self, event_ids: Iterable[str], target: str, outcome: Outcome, at_us: int) -> None:
        """Remember an outcome, durably before returning where the ledger is durable."""

    def close(self) -> None:
        """Leave."""


class LedgerFailed(Exception):
    """The ledger cannot be read or written; after a restart a target may be told twice."""


class MemoryLedger:
    """A ledger of the newest transitions that lives as long as the process."""

    def __init__(self, limit: int = 50_000) -> None:
        self._limit = limit
        self._settled: dict[str, set[str]] = {}

    def open(self) -> None:
        """Nothing to do."""

    def settled(self, event_id: str) -> set[str]:
        """The targets that are settled for a transition."""
        return set(self._settled.get(event_id, ()))

    def note(self, event_ids: Iterable[str], target: str, outcome: Outcome, at_us: int) -> None:
        """Remember an outcome; the oldest transition beyond the limit is forgotten."""
        del outcome, at_us
        for event_id in event_ids:
            self._settled.setdefault(event_id, set()).add(target)
        while len(self._settled) > self._limit:
            self._settled.pop(next(iter(self._settled)))

    def close(self) -> None:
        """Nothing to do."""
