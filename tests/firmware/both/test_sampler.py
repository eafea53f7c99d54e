"""Rows on an absolute schedule, with sensors that behave and sensors that do not."""

import asyncio
import random
import unittest

from device.steamlink import contract
from device.steamlink.chain import Chain
from device.steamlink.sampler import Sampler
from device.steamlink.sensors import Sensor, SensorError
from device.steamlink.sensors._making import COMMON
from tests.firmware.virtual_time import VirtualTime, settle


class Thermometer(Sensor):
    """Reads what the test sets, when the test lets it."""

    def __init__(self, name="a", value=1.0, **cfg):
        complete = dict(COMMON)
        complete.update(cfg)
        complete["metric"] = name
        super().__init__(None, complete)
        self.value = value
        self.begins = ()  # ms of each wait of a beginning
        self.takes_ms = 0
        self.hangs_in = ""
        self.stubborn = False
        self.raises = None
        self.begun = []
        self.read_at = []
        self.time = None

    async def begin(self):
        self.begun.append(self.time.up_ms())
        await self._maybe_hang("begin")
        for ms in self.begins:
            await self.time.sleep_ms(ms)

    async def read(self, out):
        await self._maybe_hang("read")
        if self.takes_ms:
            await self.time.sleep_ms(self.takes_ms)
        if self.raises is not None:
            raise self.raises
        self.read_at.append(self.time.up_ms())
        if self.value is not None:
            self.put(out, self.value)

    async def _maybe_hang(self, where):
        while self.hangs_in == where:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if not self.stubborn:
                    raise


def slow(name="a", **changes):
    """A sensor that converts for 750 ms, with the lead and time-out of a DS18B20."""
    cfg = {"lead_ms": 850, "timeout_ms": 500}
    cfg.update(changes)
    sensor = Thermometer(name, 5.0, **cfg)
    sensor.begins = (750,)
    return sensor


class Counters:
    def __init__(self):
        self.by_name = {}

    def add(self, name, n=1):
        self.by_name[name] = self.by_name.get(name, 0) + n


class Bench:
    """A sampler on virtual time, with all that it told."""

    def __init__(self, *sensors, **changes):
        self.time = VirtualTime(changes.pop("now_ms", 0))
        for sensor in sensors:
            sensor.time = self.time
        self.rows = []
        self.edges = []
        self.faults = []
        self.counters = Counters()
        settings = {
            "period_ms": 1000,
            "on_row": self.take,
            "on_edge": self.edges.append,
            "on_fault": self.faults.append,
            "counters": self.counters,
            "sleep_ms": self.time.sleep_ms,
        }
        settings.update(changes)
        self.sampler = Sampler(sensors, self.time, **settings)
        self.task = None

    def take(self, up_ms, values, codes):
        self.rows.append((up_ms, values, codes))

    def run(self, *steps):
        """Sample through steps: ms to pass, or a function to call between, whose coroutine is awaited."""

        async def all_steps():
            self.task = asyncio.create_task(self.sampler.run())
            for step in steps:
                if isinstance(step, int):
                    await self.time.pass_ms(step)
                else:
                    awaitable = step()
                    if awaitable is not None:
                        await awaitable
                    await settle()
            self.task.cancel()
            try:  # noqa: SIM105 - MicroPython has no contextlib
                await self.task
            except asyncio.CancelledError:
                pass
            await settle()

        asyncio.run(all_steps())
        return self


class TestSampler(unittest.TestCase):
    def test_sampler_rows_stand_on_multiples_of_the_period(self):
        """The schedule is absolute: it does not drift from the start or from work."""
        bench = Bench(Thermometer(), now_ms=12345678).run(5000)

        self.assertEqual(
            [row[0] for row in bench.rows], [12346000, 12347000, 12348000, 12349000, 12350000]
        )
        self.assertEqual(bench.sampler.jitter, [0, 0, 0, 0, 0])

    def test_sampler_rows_have_a_column_for_each_metric(self):
        """The columns are the metrics of the sensors in their order."""
        bench = Bench(Thermometer("a", 1.25), Thermometer("b", 7, decimals=0)).run(1000)

        self.assertEqual(bench.sampler.names, ["a", "b"])
        self.assertEqual(bench.rows, [(1000, [1.2, 7], {})])

    def test_sampler_held_up_skips_what_it_missed(self):
        """After two seconds of a blocked loop the next row is on the grid again."""
        bench = Bench(Thermometer())

        def hold_up():
            bench.time.late_ms = 2300

        bench.run(2500, hold_up, 5000)

        self.assertEqual([row[0] for row in bench.rows], [1000, 2000, 5300, 6000, 7000])
        self.assertEqual(bench.counters.by_name["periods_missed"], 2)
        self.assertEqual(sorted(bench.sampler.jitter), [0, 0, 0, 0, 2300])

    def test_sampler_of_hanging_sensor_keeps_the_others(self):
        """A driver that never answers costs its own metric, nobody else's and no time."""
        stuck, live = Thermometer("a", timeout_ms=300), Thermometer("b", 5.0)
        stuck.hangs_in = "read"
        bench = Bench(stuck, live).run(3000, 400)

        self.assertEqual([row[0] for row in bench.rows], [1000, 2000, 3000])
        for _, values, codes in bench.rows:
            self.assertEqual(values, [None, 5.0])
            self.assertEqual(codes, {0: contract.COMMUNICATION_FAILURE})
        self.assertEqual(bench.counters.by_name["sensor_timeouts"], 3)

    def test_sampler_of_sensor_that_recovers_reads_it_again(self):
        """A time-out ends the reading, not the sensor."""
        sensor = Thermometer("a", 5.0, timeout_ms=300)
        sensor.hangs_in = "begin"

        def recover():
            sensor.hangs_in = ""

        bench = Bench(sensor).run(1500, recover, 1000)

        self.assertEqual(bench.rows[-1], (2000, [5.0], {}))

    def test_sampler_of_sensor_that_will_not_be_cancelled_goes_on(self):
        """One that swallows its cancellation stays bad and is not started twice."""
        sensor, live = Thermometer("a", timeout_ms=300), Thermometer("b", 5.0)
        sensor.hangs_in, sensor.stubborn = "read", True

        def let_go():
            sensor.hangs_in = ""
            sensor.stubborn = False
            for turn in bench.sampler._turns:
                turn.task.cancel()

        bench = Bench(sensor, live)
        bench.run(4000, let_go)

        self.assertEqual(len(sensor.begun), 1)
        self.assertEqual([row[1] for row in bench.rows], [[None, 5.0]] * 4)
        self.assertEqual(bench.counters.by_name["sensor_timeouts"], 1)
        self.assertEqual(bench.counters.by_name["sensor_late"], 3)

    def run_twice(self, sensor, die_ms, **changes):
        """Sample, let the sampler die at `die_ms`, start it again a second later; the bench."""
        bench = Bench(sensor, **changes)

        async def steps():
            begin_row = bench.sampler._begin_row

            def die(*args):
                bench.sampler._begin_row = begin_row
                raise MemoryError

            first = asyncio.create_task(bench.sampler.run())
            await bench.time.pass_ms(die_ms)
            bench.sampler._begin_row = die
            await bench.time.pass_ms(1000)
            self.assertTrue(first.done())
            with self.assertRaises(MemoryError):
                await first
            second = asyncio.create_task(bench.sampler.run())
            await bench.time.pass_ms(10000)
            second.cancel()
            try:  # noqa: SIM105 - MicroPython has no contextlib
                await second
            except asyncio.CancelledError:
                pass
            await settle()

        asyncio.run(steps())
        return bench

    def test_sampler_begun_again_reads_sensor_that_was_busy(self):
        """The sampler's own death in the middle of a conversion costs a sensor a row or two."""
        sensor = Thermometer("a", 5.0, lead_ms=750, timeout_ms=500)
        bench = self.run_twice(sensor, 4500)

        self.assertEqual([row[1:] for row in bench.rows[-8:]], [([5.0], {})] * 8)
        self.assertEqual(bench.counters.by_name.get("sensor_timeouts"), None)

    def test_sampler_begun_again_reads_sensor_that_hung(self):
        """A sensor that was past its time-out when the sampler died is read when it answers again."""
        for stubborn in (False, True):
            sensor = Thermometer("a", 5.0, timeout_ms=300)
            sensor.hangs_in, sensor.stubborn = "read", stubborn
            bench = Bench(sensor)

            async def steps(sensor=sensor, bench=bench, stubborn=stubborn):
                for _ in range(2):
                    run = asyncio.create_task(bench.sampler.run())
                    await bench.time.pass_ms(1500)
                    run.cancel()
                    await settle()
                self.assertEqual(len(sensor.begun) == 1, stubborn)
                sensor.hangs_in, sensor.stubborn = "", False
                bench.sampler._turns[0].task.cancel()
                run = asyncio.create_task(bench.sampler.run())
                await bench.time.pass_ms(5000)
                run.cancel()
                await settle()

            asyncio.run(steps())
            self.assertEqual([row[1:] for row in bench.rows[-3:]], [([5.0], {})] * 3)

    def test_sampler_of_sensor_whose_task_died_reads_it_again(self):
        """Even telling of a fault may find no memory; the sensor is not lost for that."""
        sensor = Thermometer("a", 5.0)
        bench = Bench(sensor)
        put = bench.sampler.put

        def no_memory(*args):
            bench.sampler.put = put
            raise MemoryError

        def fail():
            sensor.raises = OSError(5)
            bench.sampler.put = no_memory

        def recover():
            sensor.raises = None

        bench.run(2500, fail, 1000, recover, 4000)

        self.assertEqual([row[1:] for row in bench.rows[-3:]], [([5.0], {})] * 3)
        self.assertEqual(bench.counters.by_name["sensor_exceptions"], 1)

    def test_sampler_of_raising_sensor_tells_code_and_text(self):
        """SensorError gives its code, OSError is the bus, anything else is a bug and counted."""
        for fault, code in (
            (SensorError(contract.SENSOR_FAILURE, "short"), contract.SENSOR_FAILURE),
            (OSError(5), contract.COMMUNICATION_FAILURE),
            (MemoryError(), contract.DEVICE_FAILURE),
            (ZeroDivisionError("x"), contract.DEVICE_FAILURE),
        ):
            sensor = Thermometer()
            sensor.raises = fault
            bench = Bench(sensor).run(12000)
            self.assertEqual(len(bench.rows), 12)
            self.assertEqual(bench.rows[0], (1000, [None], {0: code}))
            self.assertEqual(len(bench.faults), 1)
            self.assertEqual(bench.faults[0]["code"], code)
        self.assertEqual(bench.counters.by_name["sensor_exceptions"], 12)

    def test_sampler_begins_slow_sensor_early(self):
        """A conversion of 750 ms is begun 800 ms ahead, so its value is there in time."""
        slow = Thermometer(lead_ms=800)
        Bench(slow).run(3000)

        self.assertEqual(slow.begun, [200, 1200, 2200])
        self.assertEqual(slow.read_at, [1000, 2000, 3000])

    def assert_good(self, bench, since_ms=0):
        """Every row since then has values, no fault was told and no sensor timed out."""
        self.assertEqual([row for row in bench.rows if row[0] >= since_ms and row[2]], [])
        self.assertEqual(bench.faults, [])
        self.assertEqual(bench.counters.by_name.get("sensor_timeouts"), None)

    def test_sampler_begun_shortly_before_a_row_reads_slow_sensor(self):
        """The first turn has no time for its lead; it is late once, and not for ever."""
        for now_ms in range(5000, 6000, 30):
            bench = Bench(slow(), now_ms=now_ms).run(8000)
            self.assert_good(bench, now_ms + 2000)

    def test_sampler_stalled_once_reads_slow_sensor_again(self):
        """Whenever the loop stands still and however long, the next turns come back to the grid."""
        for at_ms in range(4000, 5000, 110):
            for stall_ms in (20, 260, 600, 1500):
                bench = Bench(slow())
                bench.run(at_ms, lambda: bench.time.stall(stall_ms), 8000)  # noqa: B023 - called at once
                self.assert_good(bench, at_ms + stall_ms + 2000)
                self.assertEqual(bench.rows[-1][0] % 1000, 0)
                self.assertEqual(bench.sampler._turns[0].driver.read_at[-1] % 1000, 0)

    def test_sampler_stalled_over_the_time_of_a_row_keeps_sensors_good(self):
        """A handshake or the flash takes longer than a time-out: no sensor is at fault."""
        sensors = [
            Thermometer("lead{}".format(lead_ms), 5.0, lead_ms=lead_ms, timeout_ms=200)
            for lead_ms in (0, 44, 60)
        ]
        bench = Bench(*sensors)
        bench.run(11990, lambda: bench.time.stall(250), 5000)

        self.assertEqual(bench.rows[11], (12240, [5.0] * 3, {}))
        self.assert_good(bench)

    def test_sampler_stalled_over_the_turn_of_a_seldom_sensor_reads_it_at_once(self):
        """The row that comes late has all sensors whose time has come meanwhile."""
        seldom = Thermometer("a", 5.0, every_ms=5000, lead_ms=44, timeout_ms=200)
        bench = Bench(seldom)
        bench.run(9900, lambda: bench.time.stall(1200), 9000)

        self.assertEqual(seldom.read_at, [1000, 6000, 11100, 16000])
        self.assert_good(bench)

    def test_sampler_stalled_while_a_sensor_works_does_not_call_it_faulty(self):
        """Of its time-out only what the loop ran is taken, wherever in many waits it stood."""
        for at_ms in range(9940, 10250, 10):
            sensor = Thermometer("a", 5.0, lead_ms=44, timeout_ms=200)
            sensor.begins = (10, 10, 10, 10)
            sensor.takes_ms = 60
            bench = Bench(sensor)
            stall = lambda bench=bench: bench.time.stall(240)  # noqa: E731 - of this bench
            bench.run(at_ms, stall, 15, stall, 15, stall, 5000)
            self.assert_good(bench)

    def test_sampler_whose_rows_are_long_in_writing_keeps_sensors_good(self):
        """Flash that takes 240 ms for a row is none of the sensors' faults."""
        bench = Bench(slow(), Thermometer("b", 5.0, lead_ms=44, timeout_ms=200))

        def write(*row):
            bench.take(*row)
            bench.time.now_ms += 240

        bench.sampler._on_row = write
        bench.run(60000)

        self.assert_good(bench, 2000)

    def test_sampler_stalled_for_long_begins_a_reading_anew(self):
        """What was converted before is of an old turn: it is not shown as the value of now."""
        sensor = slow()
        read, converted = sensor.read, []

        async def read_and_tell(out):
            converted.append(out.up_ms - sensor.begun[-1])
            await read(out)

        sensor.read = read_and_tell
        bench = Bench(sensor)
        bench.run(9950, lambda: bench.time.stall(8000), 10000)

        self.assertEqual(max(converted), 850)
        gone = {0: contract.COMMUNICATION_FAILURE}
        late = [row for row in bench.rows if row[0] > 9000]
        self.assertEqual(
            late[:3], [(17950, [None], gone), (18000, [None], gone), (19000, [5.0], {})]
        )
        self.assert_good(bench, 19000)

    def test_sampler_stalled_at_random_has_slow_sensor_good_within_two_spans(self):
        """From any phase, after any stall, also by whoever takes rows: a value, and no fault."""
        random.seed(4)
        for _ in range(30):
            sensor, start_ms = slow(), random.randrange(100000)
            contact = Thermometer("b", 5.0, lead_ms=44, timeout_ms=200)
            bench = Bench(sensor, contact, now_ms=start_ms)
            stalls = []

            def write(*row, bench=bench):
                bench.take(*row)
                bench.time.now_ms += random.choice((0, 0, 0, 3, 90, 300))

            async def stall(bench=bench, stalls=stalls):
                begin_ms = bench.time.up_ms()
                await bench.time.stall(random.randrange(1, 3500))
                stalls.append((begin_ms, bench.time.up_ms()))

            bench.sampler._on_row = write
            steps = [2500]
            for _ in range(10):
                for _ in range(random.choice((1, 1, 2, 3))):
                    steps.extend((stall, random.randrange(1, 60)))
                steps.append(random.randrange(2500, 4500))
            bench.run(*steps)

            self.assertEqual(bench.faults, [])
            self.assertEqual(bench.counters.by_name.get("sensor_timeouts"), None)
            checked = 0
            for number, (_, end_ms) in enumerate(stalls):
                until_ms = end_ms + 2000
                if number + 1 < len(stalls) and stalls[number + 1][0] < until_ms:
                    continue
                checked += 1
                read_at = [at for at in sensor.read_at if end_ms <= at <= until_ms]
                rows = [row[1:] for row in bench.rows if end_ms <= row[0] <= until_ms]
                self.assertTrue(read_at, (start_ms, end_ms))
                self.assertEqual(rows[-1], ([5.0, 5.0], {}), (start_ms, end_ms))
            self.assertEqual(checked, 10)

    def test_sampler_of_short_period_begins_each_reading_in_time(self):
        """A contact is looked at ahead of each row, though rows are 50 ms apart."""
        contact = Thermometer("a", 1.0, lead_ms=44, timeout_ms=200)
        contact.begins = (10, 10, 10, 10)
        Bench(contact, period_ms=50).run(1000)

        self.assertEqual(contact.read_at, list(range(50, 1001, 50)))

    def test_sampler_of_sensor_that_hangs_after_a_stall_times_it_out(self):
        """Late as its turn may be begun: what never answers is told, again and again."""
        for where in ("begin", "read"):
            sensor = slow(timeout_ms=300)
            bench = Bench(sensor)

            def hang(sensor=sensor, where=where):
                sensor.hangs_in = where

            bench.run(9990, lambda: bench.time.stall(600), hang, 30000)  # noqa: B023 - called at once

            self.assertTrue(bench.counters.by_name["sensor_timeouts"] >= 15)
            self.assertEqual(bench.rows[-1][1:], ([None], {0: contract.COMMUNICATION_FAILURE}))
            self.assertEqual([fault["text"] for fault in bench.faults], ["no answer within 300 ms"])

    def test_sampler_of_sensor_slower_than_its_span_reads_it_each_second_span(self):
        """What begins and reads for longer than a span, but within its time-out, has values."""
        for lead_ms, begin_ms, read_ms in (
            (0, 1100, 0),
            (0, 0, 1100),
            (1000, 1500, 0),
            (500, 700, 600),
        ):
            sensor = Thermometer("a", 5.0, lead_ms=lead_ms, timeout_ms=1500)
            sensor.begins, sensor.takes_ms = (begin_ms,), read_ms
            bench = Bench(sensor).run(60000)
            self.assert_good(bench, 3000)
            self.assertTrue(len(sensor.read_at) >= 29)

    def test_sampler_of_late_sensor_closes_row_after_half_a_period(self):
        """What comes later is in the next row, with no value lost to the others."""
        late, live = Thermometer("a", 3.0, timeout_ms=900), Thermometer("b", 5.0)
        late.takes_ms = 700
        told = []
        bench = Bench(late, live)

        def take(up_ms, values, codes):
            told.append((bench.time.up_ms(), up_ms, values, codes))

        bench.sampler._on_row = take
        bench.run(2600)

        waiting = {0: contract.WAITING_FOR_INITIAL_DATA}
        self.assertEqual(told, [(1500, 1000, [None, 5.0], waiting), (2500, 2000, [3.0, 5.0], {})])

    def test_sampler_of_seldom_sensor_holds_its_value(self):
        """A sensor read each five seconds keeps its value in the rows between."""
        seldom = Thermometer("a", 3.0, every_ms=4500)
        bench = Bench(seldom, Thermometer("b", 5.0)).run(11000)

        self.assertEqual(seldom.read_at, [1000, 6000, 11000])
        self.assertEqual([row[1:] for row in bench.rows], [([3.0, 5.0], {})] * 11)
        self.assertEqual(bench.sampler.metrics[0][5], 5000)

    def test_sampler_of_sensor_that_puts_nothing_ages_its_value(self):
        """After two periods a value is only the last usable, after five it is gone."""
        sensor = Thermometer()

        def fall_silent():
            sensor.value = None

        bench = Bench(sensor).run(1000, fall_silent, 7000)

        self.assertEqual(
            [row[2].get(0) for row in bench.rows], [None, None, None, 68, 68, 68, 24, 24]
        )
        self.assertEqual([row[1][0] for row in bench.rows], [1.0] * 6 + [None] * 2)

    def test_sampler_of_sensor_that_puts_nothing_tells_it(self):
        """Two rows may be old for a stall; at the third the sensor itself is silent."""
        for silent_ms, told in ((4000, []), (5000, [contract.LAST_USABLE])):
            sensor = Thermometer()

            def fall_silent(sensor=sensor):
                sensor.value = None

            bench = Bench(sensor).run(12000, fall_silent, silent_ms)
            self.assertEqual([fault["code"] for fault in bench.faults], told)

    def test_sampler_of_raising_listener_samples_on(self):
        """Whatever becomes of a row or an event, the next row comes in time."""

        def burst(*details):
            raise ValueError("full")

        bench = Bench(
            Thermometer("a", 9.0),
            on_row=burst,
            on_edge=burst,
            limits=[{"metric": "a", "type": "HI", "setpoint": 5}],
        ).run(3000)

        self.assertEqual(bench.counters.by_name, {"rows_failed": 3, "events_failed": 1})

    def test_sampler_of_failing_chain_keeps_the_others(self):
        """A metric whose chain raises has no value and says so; rows, limits and events go on."""
        broken = Thermometer("a", "text")
        bench = Bench(
            broken,
            Thermometer("b", 9.0),
            limits=[
                {"metric": "a", "type": "HI", "setpoint": 5},
                {"metric": "b", "type": "HI", "setpoint": 5},
            ],
        )

        def mend():
            broken.value = 7.0

        bench.run(11000, mend, 1000)

        self.assertEqual([row[1] for row in bench.rows], [[None, 9.0]] * 11 + [[7.0, 9.0]])
        self.assertEqual([row[2] for row in bench.rows], [{0: contract.DEVICE_FAILURE}] * 11 + [{}])
        self.assertEqual([edge["metric"] for edge in bench.edges], ["b", "a"])
        self.assertEqual(
            bench.faults, [{"metric": "a", "code": contract.DEVICE_FAILURE, "text": "TypeError"}]
        )
        self.assertEqual(bench.counters.by_name, {"sensor_exceptions": 11})

    def test_sampler_of_failing_limit_keeps_the_row(self):
        """A limit that raises is counted; the row and the other limits are there."""
        bench = Bench(
            Thermometer("a", 9.0),
            limits=[
                {"metric": "a", "type": "HI", "setpoint": "5"},
                {"metric": "a", "type": "HI", "setpoint": 5},
            ],
        ).run(2000)

        self.assertEqual([row[1] for row in bench.rows], [[9.0]] * 2)
        self.assertEqual(len(bench.edges), 1)
        self.assertEqual(bench.counters.by_name, {"events_failed": 2})

    def test_sampler_of_seldom_sensor_filters_it(self):
        """A median of three hides a spike however long the sensor's period is."""
        for every_ms in (1000, 10000, 30000):
            sensor = Thermometer("a", 90.0, every_ms=every_ms, timeout_ms=300)
            sensor.chains = [Chain({"median": 3})]

            def to(value, sensor=sensor):
                return lambda: setattr(sensor, "value", value)

            bench = Bench(sensor).run(2 * every_ms, to(150.0), every_ms, to(90.0), 2 * every_ms)

            self.assertEqual({row[1][0] for row in bench.rows}, {90.0})

    def test_sampler_limits_tell_each_edge_once(self):
        """An edge where the value gets there, the other where it came back by the deadband."""
        sensor = Thermometer("a", 5.0)
        steps = []
        for value in (9.9, 10.0, 10.5, 9.7, 9.5, 9.4, 10.2):
            steps.append(lambda value=value: setattr(sensor, "value", value))
            steps.append(10000)
        bench = Bench(
            sensor, limits=[{"metric": "a", "type": "HIHI", "setpoint": 10, "deadband": 0.5}]
        ).run(*steps)

        self.assertEqual(
            [(edge["active"], edge["value"]) for edge in bench.edges],
            [(True, 10.0), (False, 9.4), (True, 10.2)],
        )
        self.assertEqual(bench.edges[0]["metric"], "a")
        self.assertEqual(bench.edges[0]["type"], "HIHI")

    def test_sampler_of_value_that_hovers_at_its_limit_tells_seldom(self):
        """Water that swings about its mark is told once in ten seconds, the first time at once."""
        sensor = Thermometer("a", 10.1)
        steps = []
        for number in range(60):
            value = 10.1 if number % 2 == 0 else 9.9
            steps.append(lambda value=value: setattr(sensor, "value", value))
            steps.append(1000)
        at = []
        bench = Bench(sensor, limits=[{"metric": "a", "type": "HI", "setpoint": 10}])
        bench.sampler._on_edge = lambda told: at.append((bench.time.up_ms(), told["active"]))
        bench.run(*steps)

        self.assertEqual(at[0], (1000, True))
        self.assertTrue(2 <= len(at) <= 6)
        for index in range(1, len(at)):
            self.assertTrue(at[index][0] - at[index - 1][0] >= 10000)
        self.assertEqual(bench.counters.by_name["edges_held"], 60 - len(at))

    def test_sampler_limit_tells_how_it_stands_when_its_sensor_fell_silent(self):
        """An edge held back is told after its ten seconds though no value comes any more."""
        sensor = Thermometer("a", 11.0)

        def to(value):
            def change():
                sensor.value = value

            return change

        bench = Bench(sensor, limits=[{"metric": "a", "type": "HI", "setpoint": 10}]).run(
            2000, to(9.0), 1000, to(None), 20000
        )

        self.assertEqual(
            [(edge["active"], edge["value"]) for edge in bench.edges], [(True, 11.0), (False, 9.0)]
        )

    def test_sampler_low_limit_at_start_tells_it(self):
        """A boiler that is low on water when the device starts is told at the first row."""
        bench = Bench(
            Thermometer("a", 20.0), limits=[{"metric": "a", "type": "LOLO", "setpoint": 25}]
        ).run(3000)

        self.assertEqual([edge["active"] for edge in bench.edges], [True])

    def test_sampler_limits_see_what_smoothing_hides(self):
        """The edge is told at once though the published value is a median."""
        sensor = Thermometer("a", 5.0)
        sensor.chains = [Chain({"median": 5})]

        def rise():
            sensor.value = 12.0

        bench = Bench(sensor, limits=[{"metric": "a", "type": "HI", "setpoint": 10}]).run(
            5000, rise, 1000
        )

        self.assertEqual([edge["value"] for edge in bench.edges], [12.0])
        self.assertEqual(bench.rows[-1][1], [5.0])

    def test_sampler_limit_of_unknown_metric_is_counted(self):
        """A limit whose sensor could not be made costs nothing else."""
        bench = Bench(Thermometer(), limits=[{"metric": "zz", "type": "HI", "setpoint": 1}])

        self.assertEqual(bench.counters.by_name, {"limits_without_metric": 1})

    def test_sampler_edge_and_fault_come_before_their_row(self):
        """So that whoever takes the row knows that it is urgent."""
        order = []
        sensor = Thermometer("a", 9.0)

        def fail():
            sensor.raises = SensorError(8, "open")

        Bench(
            sensor,
            limits=[{"metric": "a", "type": "HI", "setpoint": 5}],
            on_row=lambda *row: order.append("row"),
            on_edge=lambda details: order.append("edge"),
            on_fault=lambda details: order.append("fault"),
        ).run(11000, fail, 1000)

        self.assertEqual(order, ["edge"] + ["row"] * 11 + ["fault", "row"])

    def test_sampler_of_loose_wire_tells_seldom(self):
        """A sensor that flaps each second is told once in ten, and how it stands in the end."""
        sensor = Thermometer()
        steps = []
        for number in range(40):

            def flap(bad=number % 2 == 0):
                sensor.raises = SensorError(8, "open") if bad else None

            steps.extend((flap, 1000))
        bench = Bench(sensor).run(*steps, 20000)

        self.assertTrue(2 <= len(bench.faults) <= 6)
        self.assertEqual(bench.faults[-1], {"metric": "a", "code": 192, "text": "good again"})

    def test_sampler_of_same_metric_twice_is_refused(self):
        """A column has one sensor."""
        with self.assertRaises(ValueError):
            Bench(Thermometer("a"), Thermometer("a"))

    def test_sampler_when_cancelled_stops_every_task(self):
        """Nothing reads on after the end."""
        sensor = Thermometer()
        bench = Bench(sensor)
        bench.run(2000)

        asyncio.run(bench.time.pass_ms(5000))
        self.assertEqual(len(sensor.read_at), 2)

    def test_sampler_keeps_jitter_of_last_rows_only(self):
        """The record of jitter is bounded."""
        bench = Bench(Thermometer(), period_ms=100).run(30000)

        self.assertEqual(len(bench.sampler.jitter), 256)

    def test_sampler_without_sensors_gives_empty_rows(self):
        """Nothing to read is no reason to die."""
        self.assertEqual(Bench().run(2000).rows, [(1000, [], {}), (2000, [], {})])
