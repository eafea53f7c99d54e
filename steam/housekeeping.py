"""What the embedded deployment does for its own store: old data goes every hour."""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import structlog

from bridge.clock import Clock
from store.errors import StoreError

log = structlog.get_logger(__name__)

_EVERY_S = 3600.0


class Prunable(Protocol):
    """A store that removes what is older than its retention when asked."""

    def prune(self, now: datetime) -> int:
        """Remove what is too old; returns how many records went."""


def pruning(store: Prunable, clock: Clock) -> Callable[[threading.Event], None]:
    """A loop that prunes every hour until told to stop."""

    def loop(stopping: threading.Event) -> None:
        while not stopping.wait(_EVERY_S):
            try:
                gone = store.prune(clock())
            except StoreError as error:
                log.warning("old data not removed, trying again in an hour", reason=str(error))
            else:
                log.info("old data removed", records=gone)

    return loop
