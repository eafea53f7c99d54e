"""Reads of the store off the sessions' thread: the same question is asked only once."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar, cast

from bridge.clock import Clock, to_us, utc_now
from bridge.records import AlarmEvent
from store.port import BatchMinute, Series

Answer = TypeVar("Answer")

LIVE_TTL_S = 1.0
"""For how long an answer about a span that reaches into the present is given again."""

PAST_TTL_S = 60.0
"""The same for a span that is over: late rows may still be added to it."""


class HistorySource(Protocol):
    """The part of the store's port (store/port.py) that the dashboard reads."""

    def series(
        self,
        site: str,
        boiler: str,
        metrics: list[str],
        start_us: int,
        end_us: int,
        points: int,
    ) -> list[Series]:
        """Each asked metric over the span, with at most `points` points."""

    def batches(self, start_us: int, end_us: int) -> list[BatchMinute]:
        """The minutes in which batches were processed, oldest first."""

    def alarm_events(
        self, start_us: int, end_us: int, *, boiler: str | None = None, limit: int = 10_000
    ) -> list[AlarmEvent]:
        """Alarm events by `at_us`, newest first."""


class History:
    """Answers from the store, as futures, with single flight and a small LRU.

    Spans are half-open [start_us, end_us) in epoch µs. A future raises StoreError.
    """

    def __init__(
        self,
        source: HistorySource,
        *,
        clock: Clock = utc_now,
        workers: int = 2,
        entries: int = 64,
    ) -> None:
        self._source = source
        self._clock = clock
        self._entries = entries
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="history")
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, tuple[int, Future[object]]] = OrderedDict()

    def series(
        self, site: str, boiler: str, metrics: tuple[str, ...], span: tuple[int, int], points: int
    ) -> Future[list[Series]]:
        """Each asked metric of a boiler over the span, with at most `points` points."""
        start_us, end_us = span

        def ask() -> list[Series]:
            return self._source.series(site, boiler, list(metrics), start_us, end_us, points)

        return self._answer(("series", site, boiler, metrics, span, points), end_us, ask)

    def batches(self, span: tuple[int, int]) -> Future[list[BatchMinute]]:
        """The minutes in which batches were processed within the span, oldest first."""
        return self._answer(("batches", span), span[1], lambda: self._source.batches(*span))

    def alarm_events(
        self, span: tuple[int, int], *, boiler: str | None = None, limit: int = 1_000
    ) -> Future[list[AlarmEvent]]:
        """Alarm events within the span, newest first, at most `limit`."""

        def ask() -> list[AlarmEvent]:
            return self._source.alarm_events(*span, boiler=boiler, limit=limit)

        return self._answer(("alarm_events", span, boiler, limit), span[1], ask)

    def close(self) -> None:
        """Wait for the query that runs and refuse others."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _answer(self, key: Hashable, end_us: int, ask: Callable[[], Answer]) -> Future[Answer]:
        now_us = to_us(self._clock())
        ttl_s = LIVE_TTL_S if end_us > now_us - 60_000_000 else PAST_TTL_S
        with self._lock:
            known = self._answers.get(key)
            if known is not None:
                until_us, future = known
                failed = future.done() and (future.cancelled() or future.exception() is not None)
                if not failed and (not future.done() or now_us < until_us):
                    self._answers.move_to_end(key)
                    return cast("Future[Answer]", future)
            asked = self._pool.submit(ask)
            kept = cast("Future[object]", asked)
            self._answers[key] = (now_us + round(ttl_s * 1e6), kept)
            self._answers.move_to_end(key)
            while len(self._answers) > self._entries:
                self._answers.popitem(last=False)
        return asked


def aligned_span(end_us: int, length_us: int, points: int) -> tuple[int, int]:
    """The span of that length that ends at or just after `end_us`, on a grid.

    The grid is one point's width (at least 1 s), so that sessions that look at the same
    range a moment apart ask the same question.
    """
    grid_us = max(1_000_000, length_us // points)
    end_us = -(-end_us // grid_us) * grid_us
    return end_us - length_us, end_us
