"""The thread of one target: waits, sends, retries; whatever it does delays no other."""

import threading
import time
from collections.abc import Callable

import structlog

from processor.counters import TargetCounters
from processor.notifier.outbox import TargetQueue, Waiting
from processor.notifier.source import Outcome
from processor.notifier.target import RoutedTarget, SendFailed
from processor.notifier.text import Notification, Subject, bare

log = structlog.get_logger(__name__)

Render = Callable[[list[Subject], str], Notification]
Settled = Callable[[str, list[Waiting], Outcome], None]


class TargetWorker:
    """Sends what waits for one target, in a daemon thread of its own.

    `settled(target, waiting, outcome)` is called in that thread, right after the target
    accepted or when a notification is given up; `render` makes the text just before.
    """

    def __init__(
        self,
        routed: RoutedTarget,
        queue: TargetQueue,
        render: Render,
        settled: Settled,
        counters: TargetCounters,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.routed = routed
        self._queue = queue
        self._render = render
        self._settled = settled
        self._counters = counters
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._fault = ""
        self._failure: Exception | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(
            target=self._run, name=f"notify-{self.routed.name}", daemon=True
        )
        self._thread.start()

    def offer(self, waiting: Waiting) -> None:
        """Let one subject wait for this target; never blocks."""
        with self._changed:
            evicted = self._queue.offer(waiting)
            self._counters.waiting = len(self._queue)
            self._changed.notify()
        if evicted is not None:
            self._give_up([evicted], "too many wait for this target")

    def failing_for_s(self) -> float:
        """Since how many seconds every attempt has failed; 0 while the target is well."""
        since_s = self._queue.failing_since_s
        return 0.0 if since_s is None else self._monotonic() - since_s

    def stop(self) -> None:
        """Ask the thread to end after what it is sending."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; tells whether it came in time (a send in progress may not let it)."""
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def check(self) -> None:
        """Raise what ended the thread, if anything did: a dead worker must not go unseen."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while (taken := self._wait()) is not None:
                self._attempt(taken)
        except Exception as error:  # noqa: BLE001 - raised by `check`
            self._failure = error

    def _wait(self) -> list[Waiting] | None:
        """What to send next, once it is due; None when stopping."""
        with self._changed:
            while not self._stopping:
                due_in_s = self._queue.due_in_s(self._monotonic())
                if due_in_s == 0.0:
                    return self._queue.take()
                self._changed.wait(due_in_s)
        return None

    def _attempt(self, taken: list[Waiting]) -> None:
        self._counters.retried += 1 if self._queue.failures else 0
        notification = self._text([one.subject for one in taken])
        try:
            self.routed.target.send(notification)
        except SendFailed as failure:
            self._failed(str(failure))
            return
        self._counters.sent += 1
        self._settled(self.routed.name, taken, Outcome.SENT)
        with self._changed:
            self._queue.sent(self._monotonic())
            self._counters.waiting = len(self._queue)
        if self._fault:
            log.info("target takes notifications again", target=self.routed.name)
            self._fault = ""

    def _text(self, subjects: list[Subject]) -> Notification:
        try:
            return self._render(subjects, self.routed.language)
        except Exception:
            # An alarm goes out in poor words rather than not at all.
            log.exception("notification text failed", target=self.routed.name)
            return bare(subjects)

    def _failed(self, reason: str) -> None:
        self._counters.failed += 1
        with self._changed:
            given_up = self._queue.failed(self._monotonic())
            self._counters.waiting = len(self._queue)
        if reason != self._fault:
            self._fault = reason
            log.warning(
                "notification not sent, trying again", target=self.routed.name, reason=reason
            )
        if given_up:
            self._give_up(given_up, reason)

    def _give_up(self, waiting: list[Waiting], reason: str) -> None:
        self._counters.given_up += len(waiting)
        ids = [one.id for one in waiting]
        log.error("notification given up", target=self.routed.name, reason=reason, events=ids[:20])
        self._settled(self.routed.name, waiting, Outcome.GIVEN_UP)
