"""Runs the loops of a process in threads, until a signal or until one of them fails."""

import gc
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

import structlog

log = structlog.get_logger(__name__)

_COLLECT_AFTER = 20_000


class Loops:
    """Named threads that share one stop; the first failure stops them all."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.failure: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def start(self, name: str, loop: Callable[[threading.Event], None]) -> None:
        """Run `loop(stopping)` in a thread of its own."""
        thread = threading.Thread(target=self._guard, args=(name, loop), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop_on_signals(self) -> None:
        """Stop on SIGTERM and SIGINT (main thread only)."""
        set_on_signals(self.stopping)

    def wait(self) -> None:
        """Wait until told to stop, then until every loop has ended; raises a loop's failure."""
        while not self.stopping.wait(0.5):
            pass
        self.join()

    def wait_for(self, ending: threading.Event, for_s: float | None = None) -> None:
        """Wait until `ending` is set, `for_s` are over or a loop has failed; the loops go on."""
        ends_at = float("inf") if for_s is None else time.monotonic() + for_s
        while time.monotonic() < ends_at and not self.stopping.is_set():
            if ending.wait(0.2):
                return

    def join(self) -> None:
        """End every loop, newest last; raises the first failure."""
        self.stopping.set()
        for thread in self._threads:
            thread.join()
        if self.failure is not None:
            raise self.failure

    def _guard(self, name: str, loop: Callable[[threading.Event], None]) -> None:
        try:
            loop(self.stopping)
        except BaseException as error:
            self.failure = self.failure or error
            log.exception("loop failed", loop=name)
            self.stopping.set()


def collect_rarely() -> None:
    """Let Python look for cycles of garbage less often, in this whole process.

    The data path holds thousands of records without cycles; looking through them took a
    sixth of the recorder's time at the default of 700.
    """
    gc.set_threshold(_COLLECT_AFTER)


def set_on_signals(event: threading.Event) -> None:
    """Set `event` on SIGTERM and SIGINT (main thread only)."""

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        # No logging here: the interrupted thread may hold the log's lock.
        event.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
