"""Which windows of the roll-ups are due: pure, with `now` as a value.

A window is computed anew, from the rows, once it is over, and again whenever rows came into
it afterwards: late data is included, and doing it twice changes nothing.
"""

import threading
from collections.abc import Iterable
from datetime import datetime

import msgspec

from bridge.clock import to_us
from bridge.records import Rows
from bridge.series import ROLL_UPS

Place = tuple[str, str]
"""(site, boiler)"""

GRACE_US = 10_000_000
"""How long after its end a window is computed: rows of its last seconds are on their way."""

MINUTE_US = min(ROLL_UPS)
_MOST_PLACES = 4
_MOST_WINDOWS = 60
_MOST_WINDOWS_OF_ALL = 10
_LONGEST_OF_ALL_US = max(ROLL_UPS)
"""100 boilers at a row every 2 s take InfluxDB 2.7 s for an hour; a query may take 30 s."""
_ALL: frozenset[Place] = frozenset({("", "")})


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A span of windows of one width to be computed, for one boiler or (None) for all."""

    width_us: int
    start_us: int
    end_us: int
    place: Place | None


class Touched:
    """The windows into which rows were stored; safe from any thread.

    A window that more than four boilers touched counts as touched by all, so that this holds
    at most a few entries for each minute of the retention, whatever comes.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minutes: dict[int, frozenset[Place]] = {}
        self._newest: dict[Place, int] = {}
        self._windows: dict[int, dict[int, frozenset[Place]]] = {width: {} for width in ROLL_UPS}

    def __len__(self) -> int:
        return len(self._minutes) + sum(map(len, self._windows.values()))

    def add(self, stored: Iterable[Rows]) -> None:
        """Note rows that were stored; costs little for those of the minute seen last."""
        newest = self._newest
        for rows in stored:
            times_us = rows.times_us
            minute = times_us[0] // MINUTE_US
            place = (rows.site, rows.boiler)
            if newest.get(place) != minute or times_us[-1] // MINUTE_US != minute:
                with self._lock:
                    for each in {at_us // MINUTE_US for at_us in times_us}:
                        self._minutes[each] = _joined(self._minutes.get(each), {place})
                    newest[place] = minute

    def add_span(self, start_us: int, end_us: int) -> None:
        """Note that rows of unknown boilers may have been stored in the span."""
        with self._lock:
            for minute in range(start_us // MINUTE_US, -(-end_us // MINUTE_US)):
                self._minutes[minute] = _ALL

    def give_back(self, jobs: Iterable[Job]) -> None:
        """Note jobs that could not be done."""
        with self._lock:
            for job in jobs:
                places = _ALL if job.place is None else frozenset({job.place})
                windows = self._windows[job.width_us]
                for start_us in range(job.start_us, job.end_us, job.width_us):
                    windows[start_us] = _joined(windows.get(start_us), places)

    def take(self, now: datetime, oldest_us: int | None = None) -> list[Job]:
        """What is due, oldest and narrowest first; what is not over yet stays.

        Windows that begin before `oldest_us` are left out: the rows of these may be gone in
        part, and what was computed when they were there is better.
        """
        with self._lock:
            minutes, self._minutes = self._minutes, {}
            self._newest.clear()
            jobs: list[Job] = []
            for width_us, windows in self._windows.items():
                for minute, places in minutes.items():
                    start_us = minute * MINUTE_US // width_us * width_us
                    windows[start_us] = _joined(windows.get(start_us), places)
                over_us = to_us(now) - GRACE_US - width_us
                due = {start: places for start, places in windows.items() if start <= over_us}
                for start_us in due:
                    del windows[start_us]
                jobs += _jobs(width_us, due, oldest_us)
        return jobs


def _joined(known: frozenset[Place] | None, more: Iterable[Place]) -> frozenset[Place]:
    if known is None:
        return frozenset(more)
    joined = known.union(more)
    return _ALL if joined & _ALL or len(joined) > _MOST_PLACES else joined


def _jobs(width_us: int, due: dict[int, frozenset[Place]], oldest_us: int | None) -> Iterable[Job]:
    """Windows that follow one another, for the same boilers, in one job each."""
    by_place: dict[Place | None, list[int]] = {}
    for start_us in sorted(due):
        if oldest_us is None or start_us >= oldest_us:
            for place in due[start_us]:
                by_place.setdefault(None if place in _ALL else place, []).append(start_us)
    for chosen, starts in by_place.items():
        most = _MOST_WINDOWS
        if chosen is None:
            most = min(_MOST_WINDOWS_OF_ALL, max(1, _LONGEST_OF_ALL_US // width_us))
        first = previous = starts[0]
        for start_us in [*starts[1:], -1]:
            follows = start_us == previous + width_us
            if not follows or start_us - first >= most * width_us:
                end_us = previous + width_us
                yield Job(width_us=width_us, start_us=first, end_us=end_us, place=chosen)
                first = start_us
            previous = start_us
