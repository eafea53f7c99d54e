"""Time that passes when a test says so, on both interpreters."""

import asyncio

_TURNS = 12


async def settle():
    """Let every task run until it waits."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


class VirtualTime:
    """A clock whose sleepers wake in order, at their very millisecond, when `pass_ms` gets there."""

    def __init__(self, now_ms=0):
        self.now_ms = now_ms
        self.late_ms = 0  # what the loop is held up by, once
        self._sleepers = []
        self._order = 0

    def up_ms(self):
        return self.now_ms

    async def sleep_ms(self, ms):
        event = asyncio.Event()
        self._order += 1
        self._sleepers.append((self.now_ms + ms, self._order, event))
        await event.wait()

    async def pass_ms(self, ms):
        """Have `ms` pass."""
        end_ms = self.now_ms + ms
        await settle()
        while True:
            soonest = None
            for sleeper in self._sleepers:
                if soonest is None or sleeper[:2] < soonest[:2]:
                    soonest = sleeper
            if soonest is None or soonest[0] > end_ms:
                break
            self._sleepers.remove(soonest)
            self.now_ms = max(self.now_ms, soonest[0] + self.late_ms)
            self.late_ms = 0
            soonest[2].set()
            await settle()
        self.now_ms = max(self.now_ms, end_ms)

    async def stall(self, ms):
        """Have nobody run for `ms`; who should have woken meanwhile wakes then, all at once."""
        self.now_ms += ms
        overdue = [sleeper for sleeper in self._sleepers if sleeper[0] <= self.now_ms]
        for sleeper in sorted(overdue, key=lambda one: one[:2]):
            self._sleepers.remove(sleeper)
            sleeper[2].set()
        await settle()
