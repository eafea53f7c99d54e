"""A sensor's turn: its place on the schedule, its time-out, and where its readings go."""

import asyncio

from . import contract
from .constant import const
from .sensors import SensorError, span_ms

_NEVER = const(-1)
_LOOK_MS = const(50)


class Turn:
    """Runs one driver in a task of its own, and is the `out` that the driver puts readings into.

    The sampler tells it the time (`advance`, `trigger`); a driver that hangs is cancelled at its
    time-out and costs the others nothing. A turn that is begun late has its lead and its time-out
    all the same, and while the loop stands still no time-out runs. A driver that never awaits
    cannot be stopped by anything but the watchdog.
    """

    def __init__(self, board, driver, columns, period_ms):
        cfg = driver.cfg
        self.driver = driver
        self.up_ms = 0
        self.pending = False
        self.task = None
        self.columns = columns
        self.span_ms = span_ms(cfg, period_ms)
        self._board = board
        self._lead_ms = min(cfg.get("lead_ms", 0), self.span_ms)
        self._timeout_ms = cfg.get("timeout_ms", 500)
        self._next_ms = 0
        self._target_ms = _NEVER
        self._deadline_ms = 0
        self._busy = False
        self._expired = False
        self._go = asyncio.Event()
        self._due = asyncio.Event()

    def plan(self, up_ms):
        """Have its first turn at `up_ms`, whatever became of an earlier run of the sampler."""
        self._next_ms = up_ms
        self._target_ms = _NEVER
        self.pending = False
        self._revive()

    def _revive(self):
        """Have a task that works: it ends with the sampler, and where its own fault finds no memory."""
        # One that would not be cancelled is still inside its driver, and stays busy until it is out.
        if self.task is None or self.task.done():
            self._busy = self._expired = False
            self._go.clear()
            self.task = asyncio.create_task(self.work())

    def put(self, metric, value, quality=contract.GOOD):
        """Take a reading from the driver: a number or None, with its OPC code."""
        if not self._expired:
            self._board.put(self.columns[metric], value, quality, "", self.up_ms)

    def advance(self, now_ms, late_ms):
        """Do what is due by itself, `late_ms` after it was; return when it next needs this, or None."""
        if self.task.done():
            self._board.count("sensor_exceptions")
            self._revive()
            self._settle()
        # What the loop stood still is not the driver's; looked at often, for that to be known.
        self._deadline_ms += late_ms
        begin_ms = self._next_ms - self._lead_ms
        waits = self._lead_ms and self._target_ms != self._next_ms
        look_ms = now_ms + _LOOK_MS
        if self._busy:
            if not self._expired and now_ms >= self._deadline_ms:
                self._expire(now_ms)
            # It may have ended by then, and begins again without a word to anybody.
            return begin_ms if waits and now_ms < begin_ms < look_ms else look_ms
        if not waits:
            return None
        if now_ms < begin_ms:
            return begin_ms
        self._start(now_ms)
        return look_ms

    def trigger(self, now_ms):
        """A row begins: have the reading ended, or done whole, if its turn has come."""
        if now_ms < self._next_ms:
            return
        mine = self._target_ms == self._next_ms
        if not self._busy and not mine:
            self._start(now_ms)
            mine = True
        # Turns stay on the grid, however late the loop was.
        self._next_ms += (1 + (now_ms - self._next_ms) // self.span_ms) * self.span_ms
        if not self._busy:
            return
        if not mine or self._expired:
            self._board.count("sensor_late")
            return
        self._deadline_ms = max(self._deadline_ms, now_ms + self._timeout_ms)
        self.pending = True
        self._due.set()

    async def work(self):
        """Read whenever it is its turn, for ever."""
        while True:
            try:
                await self._go.wait()
                self._go.clear()
                await self._begin()
                await self.driver.read(self)
            except asyncio.CancelledError:
                if not self._expired:
                    raise
            except SensorError as fault:
                self._fail(fault.code, fault.text)
            except OSError as fault:
                self._fail(contract.COMMUNICATION_FAILURE, "bus: {}".format(fault))
            except Exception as fault:  # noqa: BLE001 - a driver's bug is a fault of its sensor
                self._board.count("sensor_exceptions")
                self._fail(contract.DEVICE_FAILURE, "{}: {}".format(type(fault).__name__, fault))
            self._busy = self._expired = False
            self._settle()

    async def _begin(self):
        """Begin, and wait until it is due; anew if that took so long that it is of an old turn."""
        clock = self._board.clock
        while True:
            await self.driver.begin()
            begun_ms = clock.up_ms()
            await self._due.wait()
            self.up_ms = clock.up_ms()
            if self.up_ms - begun_ms <= self.span_ms:
                return
            self._allow(self.up_ms)

    def _start(self, now_ms):
        self._busy = True
        self._target_ms = self._next_ms
        self._allow(now_ms)
        self._due.clear()
        self._go.set()

    def _allow(self, now_ms):
        self._deadline_ms = max(self._target_ms, now_ms + self._lead_ms) + self._timeout_ms

    def _expire(self, now_ms):
        self.up_ms = now_ms
        self._fail(
            contract.COMMUNICATION_FAILURE, "no answer within {} ms".format(self._timeout_ms)
        )
        self._board.count("sensor_timeouts")
        self._expired = True
        self.task.cancel()
        self._settle()

    def _fail(self, code, text):
        if self._expired:
            return
        self.up_ms = self._board.clock.up_ms()
        for metric in self.columns:
            self._board.put(self.columns[metric], None, code, text, self.up_ms)

    def _settle(self):
        if self.pending:
            self.pending = False
            self._board.settled()
