"""What the embedded deployment does for its own files: old data goes every hour."""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import structlog

from bridge.clock import Clock
from store.errors import StoreError

log = structlog.get_logger(__name__)

_EVERY_S = 3600.0


class Prunable(Protocol):
    """A place that removes what is older than it is to keep when asked."""

    def prune(self, now: datetime) -> int:
        """Remove what is too old; returns how many records went."""


def pruning(places: Sequence[Prunable], clock: Clock) -> Callable[[threading.Event], None]:
    """A loop that prunes every hour until told to stop."""

    def loop(stopping: threading.Event) -> None:
        while not stopping.wait(_EVERY_S):
            for place in places:
                prune(place, clock)

    return loop


def prune(place: Prunable, clock: Clock) -> None:
    """Prune once; a failure is told and tried again with the next round."""
    try:
        gone = place.prune(clock())
    except (StoreError, sqlite3.Error) as error:
        log.warning("old data not removed, trying again in an hour", reason=str(error))
    else:
        log.info("old data removed", place=type(place).__name__, records=gone)
