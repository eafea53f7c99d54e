"""Keeps the tasks of a device alive, and the watchdog fed only while they are."""

import asyncio
import gc

from .constant import const

SAFE_MODE_AFTER = 5
_TURN_S = const(1)
_LONGEST_BACKOFF_S = const(60)
_SETTLED_MS = const(60000)


class Checkin:
    """By which a task says that it goes on, at least every `limit_ms`; 0 or None: never."""

    def __init__(self, clock: object, limit_ms: "int | None") -> None:
        self.limit_ms = limit_ms
        self._clock = clock
        self._at_ms = clock.up_ms()
        self._waits = False

    def ok(self) -> None:
        """The task goes on."""
        self._at_ms = self._clock.up_ms()
        self._waits = False

    def rest(self) -> None:
        """Nothing is expected until the next `ok`."""
        self._waits = True

    def is_overdue(self) -> bool:
        """Whether the task has been silent for longer than it may."""
        if not self.limit_ms or self._waits:
            return False
        return self._clock.up_ms() - self._at_ms > self.limit_ms


class Supervisor:
    """Runs tasks and feeds `watchdog` (an object with `feed()`, or None).

    `log` (a LogRing) and `counters` are told of deaths and stalls where given;
    `on_overdue(names)` is called once when a task stalls, seconds before the watchdog bites.
    """

    def __init__(
        self,
        clock: object,
        watchdog: object,
        log: object = None,
        counters: object = None,
        sleep: object = asyncio.sleep,
    ) -> None:
        self.deaths = 0
        self.on_overdue = None
        self._clock = clock
        self._watchdog = watchdog
        self._log = log
        self._counters = counters
        self._sleep = sleep
        self._checkins = {}
        self._tasks = {}
        self._told = []

    def watch(self, name: str, limit_ms: "int | None") -> Checkin:
        """Expect a sign of life of `name` at least every `limit_ms` (0 or None: never)."""
        self._checkins[name] = checkin = Checkin(self._clock, limit_ms)
        return checkin

    def spawn(self, name: str, coroutine_function: object, limit_ms: "int | None") -> object:
        """Run `await coroutine_function(checkin)` as a task, anew whenever it dies; the task.

        One that returns is done and no longer watched. It waits 1 to 60 s before each new
        start. A cancellation ends it.
        """
        checkin = self.watch(name, limit_ms)
        task = asyncio.create_task(self._keep(name, coroutine_function, checkin))
        self._tasks[name] = task  # kept, or the collector may take a task that runs
        return task

    def overdue(self) -> "list[str]":
        """The names of those who are silent for longer than they may."""
        return sorted([name for name in self._checkins if self._checkins[name].is_overdue()])

    async def run(self) -> None:
        """Look after everybody each second, for ever."""
        while True:
            self.turn()
            await self._sleep(_TURN_S)

    def turn(self) -> None:
        """Feed the watchdog if nobody is overdue."""
        names = self.overdue()
        if not names:
            if self._watchdog is not None:
                self._watchdog.feed()
        elif names != self._told:
            self._note("stalled", ", ".join(names))
            if self.on_overdue is not None:
                self.on_overdue(names)
        self._told = names

    async def _keep(self, name: str, function: object, checkin: Checkin) -> None:
        backoff_s = 1
        while True:
            started_ms = self._clock.up_ms()
            checkin.ok()
            try:
                await function(checkin)
            except Exception as fault:  # noqa: BLE001 - whatever kills a task, it lives again
                self.deaths += 1
                self._note("died", "{}: {}: {}".format(name, type(fault).__name__, fault))
            else:
                checkin.rest()
                return
            gc.collect()
            if self._clock.up_ms() - started_ms >= _SETTLED_MS:
                backoff_s = 1
            checkin.rest()
            await self._sleep(backoff_s)
            backoff_s = min(2 * backoff_s, _LONGEST_BACKOFF_S)

    def _note(self, what: str, text: str) -> None:
        if self._counters is not None:
            self._counters.add("tasks_" + what)
        if self._log is not None:
            self._log.note(what + " " + text)
