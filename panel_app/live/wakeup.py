"""Data-free wakes from the feed's thread to a session's document."""

import threading
from collections.abc import Callable

from panel_app.data.hub import LiveHub


class Wakeup:
    """Asks one document for a tick whenever the hub has moved; bursts become one tick.

    `schedule` (Document.add_next_tick_callback) is the only call of a document that
    another thread may make.
    """

    def __init__(
        self,
        hub: LiveHub,
        schedule: Callable[[Callable[[], None]], object],
        tick: Callable[[], None],
    ) -> None:
        self._hub = hub
        self._schedule = schedule
        self._tick = tick
        self._lock = threading.Lock()
        self._pending = False
        self._unsubscribe: Callable[[], None] | None = None

    @property
    def armed(self) -> bool:
        """Whether the hub wakes this session."""
        return self._unsubscribe is not None

    def arm(self) -> None:
        """Begin to be woken; the document must be on the browser's side already."""
        if self._unsubscribe is None:
            self._unsubscribe = self._hub.subscribe(self.wake)

    def disarm(self) -> None:
        """Be woken no longer."""
        unsubscribe, self._unsubscribe = self._unsubscribe, None
        if unsubscribe is not None:
            unsubscribe()

    def wake(self) -> None:
        """Ask for a tick, unless one is asked for already; any thread."""
        with self._lock:
            if self._pending:
                return
            self._pending = True
        self._schedule(self._run)

    def _run(self) -> None:
        with self._lock:
            self._pending = False
        if self.armed:
            self._tick()
