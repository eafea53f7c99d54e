"""The thread in which a recorder writes, so that it can go on receiving meanwhile."""

import threading
import time
from collections.abc import Callable

import structlog

from processor.gathering import Gathered
from processor.keeping import AWAY_PAUSE
from processor.writing import Abandoned, Writing, Written

log = structlog.get_logger(__name__)

_LAST_WORD_S = 1.0


class Worker:
    """The writer's thread: one flush in work and one waiting, finished in order."""

    def __init__(self, writing: Writing, wake: Callable[[], None]) -> None:
        self._writing = writing
        self._wake = wake
        self._ready = threading.Condition()
        self._waiting: Gathered | None = None
        self._finished: list[Written] = []
        self._ended = False
        self._closing = False
        self._stopping = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def open(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def free(self) -> bool:
        """Whether another flush can be handed over."""
        return self._waiting is None

    def submit(self, gathered: Gathered) -> None:
        """Hand over one flush; only while `free`."""
        with self._ready:
            self._waiting = gathered
            self._ready.notify_all()

    def finished(self) -> list[Written]:
        """What came to its end since the last call; raises what ended the thread."""
        with self._ready:
            done, self._finished = self._finished, []
            if self._error is not None:
                raise self._error
            return done

    def close(self, last: Gathered | None, patience_s: float) -> list[Written]:
        """Finish, `last` included, within `patience_s` in all; returns what came to its end.

        Where nothing can be written at this moment, at once. A write that hangs is left
        to itself: whatever it does, its messages are not acknowledged.
        """
        deadline = time.monotonic() + patience_s
        if self._writing.held:
            self._stopping.set()
        with self._ready:
            self._wait_until(lambda: self._waiting is None or self._ended, deadline)
            if last is not None and self._waiting is None:
                self._waiting = last
            self._closing = True
            self._ready.notify_all()
            self._wait_until(lambda: self._ended, deadline)
        self._stopping.set()
        with self._ready:
            if not self._ready.wait_for(lambda: self._ended, _LAST_WORD_S):
                log.warning("left a write that does not end; its messages go back to the broker")
            done, self._finished = self._finished, []
            return done

    def _wait_until(self, reached: Callable[[], bool], deadline: float) -> None:
        self._ready.wait_for(reached, max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        try:
            while self._next():
                gathered = self._take()
                if gathered is not None:
                    self._finish(self._writing.commit(gathered, self._stopping))
                else:
                    self._finish(self._writing.retry())
            self._finish(self._writing.retry(now=True))
        except Abandoned:
            log.warning("stopped while holding; the broker will hand the messages over again")
        except BaseException as error:  # noqa: BLE001 - told to the loop, which ends with it
            self._error = error
            self._wake()
        finally:
            with self._ready:
                self._ended = True
                self._ready.notify_all()

    def _finish(self, written: Written) -> None:
        if written.messages:
            with self._ready:
                self._finished.append(written)
            self._wake()

    def _next(self) -> bool:
        """Wait for a flush, or until the quarantine is to be tried again; False at the end."""
        with self._ready:
            while self._waiting is None:
                if self._closing:
                    return False
                if not self._writing.waiting:
                    self._ready.wait()
                elif not self._ready.wait(AWAY_PAUSE.total_seconds()):
                    break
        return True

    def _take(self) -> Gathered | None:
        with self._ready:
            gathered, self._waiting = self._waiting, None
            self._ready.notify_all()
        if gathered is not None:
            self._wake()
        return gathered
