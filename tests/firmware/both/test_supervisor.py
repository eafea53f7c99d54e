"""Tasks that die and stall, on both interpreters; time is the fake board's."""

import asyncio
import unittest

from device.steamlink.clock import Clock
from device.steamlink.diag import Counters
from device.steamlink.hal import fake
from device.steamlink.logring import LogRing
from device.steamlink.supervisor import Supervisor


class Rig:
    """A supervisor on a fake board whose watchdog bites after 8 s."""

    def __init__(self):
        self.board = fake.Board()
        self.clock = Clock(self.board)
        self.log = LogRing(self.clock)
        self.counters = Counters()
        self.waits = []
        self.supervisor = Supervisor(
            self.clock, self.board.start_watchdog(8000), self.log, self.counters, self.sleep
        )

    async def sleep(self, seconds):
        """The supervisor's sleep: noted, and over at once."""
        self.waits.append(seconds)
        await asyncio.sleep(0)

    def seconds(self, number, ok=()):
        """Let time pass second by second, `ok` checking in at each."""
        for _ in range(number):
            self.board.advance(1000)
            for checkin in ok:
                checkin.ok()
            self.supervisor.turn()


async def turns(number=20):
    """Let every task run."""
    for _ in range(number):
        await asyncio.sleep(0)


class TestCheckins(unittest.TestCase):
    """Who is silent for too long."""

    def setUp(self):
        self.rig = Rig()

    def test_supervisor_feeds_the_watchdog_each_second_while_all_check_in(self):
        """An hour of good life is an hour of feeds."""
        checkin = self.rig.supervisor.watch("link", 5000)
        self.rig.seconds(3600, [checkin])

        self.assertEqual(len(self.rig.board.watchdog.feeds), 1 + 3600)
        self.assertEqual(self.rig.supervisor.overdue(), [])

    def test_supervisor_with_a_stalled_task_stops_feeding_and_the_watchdog_bites(self):
        """One silent task is enough, whatever the others say; its name is left behind."""
        told = []
        self.rig.supervisor.on_overdue = told.append
        good = self.rig.supervisor.watch("sampling", 5000)
        self.rig.supervisor.watch("link", 5000)
        with self.assertRaises(fake.Restarted):
            self.rig.seconds(60, [good])

        # Silent for more than 5 s at the 6th, bitten more than 8 s after the last feed.
        self.assertEqual(self.rig.board.elapsed_ms, 14000)
        self.assertEqual(self.rig.board.reset_cause(), "watchdog")
        self.assertEqual(told, [["link"]])
        self.assertEqual(self.rig.log.lines(), ["6000 stalled link"])
        self.assertEqual(self.rig.counters.get("tasks_stalled"), 1)

    def test_supervisor_with_a_task_that_comes_back_in_time_feeds_again(self):
        """A stall that ends before the watchdog bites is only told."""
        checkin = self.rig.supervisor.watch("link", 5000)
        self.rig.seconds(10)
        checkin.ok()
        self.rig.seconds(4)

        self.assertEqual(self.rig.board.watchdog.feeds[-1], 14000)

    def test_supervisor_does_not_expect_those_without_a_limit_or_at_rest(self):
        """A task that asks NTP each 6 h has none."""
        self.rig.supervisor.watch("clock", 0)
        self.rig.supervisor.watch("portal", None)
        resting = self.rig.supervisor.watch("update", 1000)
        resting.rest()
        self.rig.seconds(100)
        self.assertEqual(self.rig.supervisor.overdue(), [])

        resting.ok()
        self.rig.seconds(2)
        self.assertEqual(self.rig.supervisor.overdue(), ["update"])

    def test_supervisor_limits_hold_across_the_wrap_of_the_ticks(self):
        """At 2**30 ms nobody is overdue who is not."""
        self.rig.board.ticks = (1 << 30) - 5000
        checkin = self.rig.supervisor.watch("link", 2500)
        self.rig.seconds(20, [checkin])
        self.assertEqual(self.rig.supervisor.overdue(), [])

        self.rig.seconds(3)
        self.assertEqual(self.rig.supervisor.overdue(), ["link"])

    def test_supervisor_without_a_watchdog_looks_after_tasks_all_the_same(self):
        """On Linux systemd may be the watchdog."""
        supervisor = Supervisor(self.rig.clock, None)
        supervisor.watch("link", 1000)
        self.rig.board.watchdog = None
        self.rig.board.advance(5000)
        supervisor.turn()

        self.assertEqual(supervisor.overdue(), ["link"])


class TestTasks(unittest.TestCase):
    """Tasks that the supervisor runs."""

    def run_with(self, test):
        """Run a coroutine function with a rig."""
        asyncio.run(test(Rig()))

    def test_supervisor_starts_a_task_that_dies_again_with_backoff(self):
        """1, 2, 4 s and so on to 60; each death is counted and logged."""

        async def dies(checkin):
            await asyncio.sleep(0)
            raise ValueError("no way")

        async def test(rig):
            task = rig.supervisor.spawn("link", dies, 5000)
            await turns(40)
            task.cancel()
            self.assertEqual(rig.waits[:9], [1, 2, 4, 8, 16, 32, 60, 60, 60])
            self.assertTrue(rig.supervisor.deaths >= 9)
            self.assertEqual(rig.counters.get("tasks_died"), rig.supervisor.deaths)
            self.assertIn("died link: ValueError: no way (x", rig.log.lines()[0])

        self.run_with(test)

    def test_supervisor_survives_every_exception_of_a_task(self):
        """Memory, network, a bug: all the same."""
        faults = [MemoryError(), OSError(12), KeyError("x"), RuntimeError("deep"), EOFError()]

        async def dies(checkin):
            if faults:
                raise faults.pop()
            await asyncio.Event().wait()

        async def test(rig):
            task = rig.supervisor.spawn("link", dies, 0)
            await turns(40)
            self.assertEqual((rig.supervisor.deaths, faults), (5, []))
            self.assertFalse(task.done())
            task.cancel()

        self.run_with(test)

    def test_supervisor_that_waits_for_a_restart_is_not_starved(self):
        """A task in its backoff is expected to be silent."""

        async def dies(checkin):
            raise OSError("gone")

        async def test(rig):
            gate = asyncio.Event()

            async def sleep(seconds):
                await gate.wait()

            rig.supervisor._sleep = sleep
            task = rig.supervisor.spawn("link", dies, 1000)
            await turns()
            rig.seconds(60)
            self.assertEqual(rig.supervisor.overdue(), [])
            task.cancel()

        self.run_with(test)

    def test_supervisor_expects_a_restarted_task_again(self):
        """Its limit counts from its new start."""
        starts = []

        async def stalls_at_its_second(checkin):
            starts.append(1)
            if len(starts) == 1:
                raise OSError("gone")
            await asyncio.Event().wait()

        async def test(rig):
            task = rig.supervisor.spawn("link", stalls_at_its_second, 3000)
            await turns()
            rig.seconds(3)
            self.assertEqual(rig.supervisor.overdue(), [])
            rig.seconds(1)
            self.assertEqual(rig.supervisor.overdue(), ["link"])
            task.cancel()

        self.run_with(test)

    def test_supervisor_forgets_the_deaths_of_a_task_that_lived_for_a_minute(self):
        """Its backoff begins at 1 s again."""

        async def test(rig):
            async def lives(checkin):
                rig.board.watchdog = None
                rig.board.advance(1000 if len(rig.waits) < 4 else 60000)
                raise OSError("gone")

            task = rig.supervisor.spawn("link", lives, 0)
            await turns()
            task.cancel()
            self.assertEqual(rig.waits[:7], [1, 2, 4, 8, 1, 1, 1])

        self.run_with(test)

    def test_supervisor_lets_a_cancellation_through(self):
        """A cancelled task ends, is not counted as dead and not started again."""
        ended = []

        async def waits(checkin):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

        async def test(rig):
            task = rig.supervisor.spawn("link", waits, 5000)
            await turns()
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            await turns()
            self.assertEqual((ended, rig.supervisor.deaths, rig.waits), (["cancelled"], 0, []))

        self.run_with(test)

    def test_supervisor_is_done_with_a_task_that_returns(self):
        """It is neither started again nor expected."""
        starts = []

        async def returns(checkin):
            starts.append(1)
            checkin.ok()

        async def test(rig):
            await rig.supervisor.spawn("portal", returns, 1000)
            rig.seconds(60)
            self.assertEqual((len(starts), rig.supervisor.overdue()), (1, []))

        self.run_with(test)

    def test_supervisor_runs_for_ever_each_second(self):
        """`run` looks after everybody and sleeps for a second in between."""

        async def test(rig):
            task = asyncio.create_task(rig.supervisor.run())
            await turns(10)
            task.cancel()
            self.assertEqual(rig.waits[:5], [1] * 5)
            self.assertTrue(len(rig.board.watchdog.feeds) > 5)

        self.run_with(test)


if __name__ == "__main__":
    unittest.main()
