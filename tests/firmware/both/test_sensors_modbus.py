"""Register maps: what a map says becomes readings, and what a unit lacks becomes a code."""

import asyncio
import struct
import unittest

from device.steamlink import contract, forget, modbus, sensors
from device.steamlink.sensors import SensorError
from device.steamlink.sensors.modbus import DEFAULTS, Driver
from tests.firmware.modbus_slave import SILENT, LateLine, Line, Slave
from tests.firmware.wires import Out, no_wait, readings

modbus.sleep_ms = no_wait
MAPS = ("burner_controller", "energy_meter", "feedwater_flow")


def plan(*points, **changes):
    made = {"v": 1, "points": list(points)}
    made.update(changes)
    return made


def driver(slave, register_map, **changes):
    cfg = dict(DEFAULTS)
    cfg.update({"map": register_map, "framing": slave.framing})
    cfg.update(changes)
    made = Driver(Line(slave), cfg)
    made.join()
    return made


def decoded(point, *words, **changes):
    """What one point makes of the words of its registers."""
    slave = Slave()
    complete = {"metric": "m", "address": 0}
    complete.update(point)
    slave.tables[3] = dict(enumerate(words))
    return readings(driver(slave, plan(complete, **changes)))["m"]


def words_of(value):
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return high, low


class TestSensorsModbus(unittest.TestCase):
    def test_modbus_point_types_give_their_values(self):
        """Sign, size, and floats."""
        for kind, words, value in (
            ("u16", (65535,), 65535),
            ("s16", (65535,), -1),
            ("s16", (0x8000,), -32768),
            ("u32", (0xFFFF, 0xFFFE), 4294967294),
            ("s32", (0xFFFF, 0xFFFE), -2),
            ("f32", words_of(-12.5), -12.5),
            ("f32", words_of(0.0), 0),
        ):
            self.assertEqual(decoded({"type": kind}, *words), (value, contract.GOOD))

    def test_modbus_word_order_is_that_of_the_map(self):
        """Low word first is as common as high word first."""
        high, low = words_of(98.25)

        self.assertEqual(decoded({"type": "f32"}, high, low)[0], 98.25)
        self.assertEqual(decoded({"type": "f32"}, low, high, word_order="little")[0], 98.25)
        self.assertEqual(decoded({"type": "u32"}, 1, 0, word_order="little")[0], 1)

    def test_modbus_address_base_moves_every_address(self):
        """What a manual calls register 1 is 0 on the wire."""
        slave = Slave()
        slave.tables[3] = {0: 41, 1: 42}
        at_one = plan({"metric": "m", "address": 1}, base=1)

        self.assertEqual(readings(driver(slave, at_one))["m"][0], 41)
        self.assertEqual(slave.asked, [(1, 3, 0, 1)])

    def test_modbus_scale_and_offset_follow_the_sign(self):
        """It is raw x scale + offset; a whole number without a scale stays whole."""
        value, _ = decoded({"type": "s16", "scale": 0.1, "offset": -40}, 0xFFFF)
        self.assertAlmostEqual(value, -40.1, places=4)
        self.assertIsInstance(decoded({}, 7)[0], int)

    def test_modbus_sentinels_are_no_values(self):
        """Patterns for "not fitted" and "broken" are found before sign and scale; so is NaN."""
        point = {"type": "s16", "scale": 0.1, "absent": [0x7FFF], "failed": [0x8000]}

        self.assertEqual(decoded(point, 0x7FFF), (None, contract.NOT_CONNECTED))
        self.assertEqual(decoded(point, 0x8000), (None, contract.SENSOR_FAILURE))
        self.assertEqual(decoded(point, 0x7FFE)[1], contract.GOOD)
        self.assertEqual(decoded({"type": "f32"}, 0x7FC0, 0), (None, contract.NOT_CONNECTED))
        self.assertEqual(
            decoded({"type": "u32", "absent": [0xFFFFFFFF]}, 0xFFFF, 0xFFFF),
            (None, contract.NOT_CONNECTED),
        )

    def test_modbus_bit_fields_are_cut_out(self):
        """First bit and count, counted from the lowest."""
        for bits, value in (([0, 1], 0), ([1, 1], 1), ([4, 4], 0xA), ([8, 8], 0x5F)):
            self.assertEqual(decoded({"bits": bits}, 0x5FA2)[0], value)

    def test_modbus_codes_are_translated(self):
        """A code that the map does not list is a fault of the map."""
        point = {"values": [[16, 0], [32, 5]]}

        self.assertEqual(decoded(point, 32), (5, contract.GOOD))
        self.assertEqual(decoded(point, 33), (None, contract.CONFIGURATION_ERROR))

    def test_modbus_coils_and_inputs_are_bits(self):
        """Tables of single bits need no type."""
        slave = Slave()
        slave.tables[1] = {10: 1}
        slave.tables[2] = {3: 0}
        got = readings(
            driver(
                slave,
                plan(
                    {"metric": "a", "table": "coil", "address": 10},
                    {"metric": "b", "table": "discrete", "address": 3},
                ),
            )
        )

        self.assertEqual((got["a"][0], got["b"][0]), (1, 0))

    def test_modbus_points_are_asked_for_in_few_questions(self):
        """Neighbours together, over holes up to `gap`, never more than `block`, one table each."""
        points = [{"metric": f"m{at}", "address": at} for at in (9, 0, 1, 5, 20, 21)]
        points.append({"metric": "i", "table": "input", "address": 2, "type": "u32"})
        for settings, asked in (
            ({}, [(0, 2), (5, 1), (9, 1), (20, 2)]),
            ({"gap": 3}, [(0, 10), (20, 2)]),
            ({"gap": 50}, [(0, 22)]),
            ({"gap": 50, "block": 10}, [(0, 10), (20, 2)]),
        ):
            slave = Slave()
            slave.tables[3] = {at: at for at in range(30)}
            slave.tables[4] = {2: 0, 3: 5}
            got = readings(driver(slave, plan(*points, **settings)))
            self.assertEqual([a[2:] for a in slave.asked if a[1] == 3], asked)
            self.assertEqual([a[2:] for a in slave.asked if a[1] == 4], [(2, 2)])
            self.assertEqual(got["i"][0], 5)
            for at in (0, 1, 5, 9, 20, 21):
                self.assertEqual(got[f"m{at}"][0], at)

    def test_modbus_exception_costs_only_its_poll(self):
        """A hole in one block leaves the others good."""
        slave = Slave()
        slave.tables[3] = {0: 7}
        got = readings(
            driver(slave, plan({"metric": "a", "address": 0}, {"metric": "b", "address": 50}))
        )

        self.assertEqual(got["a"], (7, contract.GOOD))
        self.assertEqual(got["b"], (None, contract.CONFIGURATION_ERROR))

    def test_modbus_unit_that_falls_silent_between_polls_keeps_the_first(self):
        """What was read is a reading; the rest is a communication failure."""
        slave = Slave()
        slave.tables[3] = {0: 7, 50: 8, 99: 9}
        slave.script = [lambda frame: frame, lambda frame: SILENT]
        got = readings(
            driver(
                slave,
                plan(
                    {"metric": "a", "address": 0},
                    {"metric": "b", "address": 50},
                    {"metric": "c", "address": 99},
                ),
            )
        )

        lost = (None, contract.COMMUNICATION_FAILURE)
        self.assertEqual(got, {"a": (7, contract.GOOD), "b": lost, "c": lost})
        self.assertEqual(len(slave.asked), 2)

    def test_modbus_unit_that_needs_seconds_gives_no_register_the_value_of_another(self):
        """Its polls begin anew each turn, so that what is owed is never taken for another's."""
        points = [{"metric": "a", "address": 0}, {"metric": "b", "address": 100}]
        for delay_ms in range(100, 1000, 50):
            slave = Slave()
            slave.tables[3] = {0: 111, 100: 222}
            cfg = dict(DEFAULTS)
            cfg.update({"map": plan(*points), "answer_ms": 300})
            line = LateLine(slave, delay_ms)
            unit = Driver(line, cfg)
            unit.join()
            for turn in range(20):
                line.now_ms = max(line.now_ms, turn * 1000)
                try:
                    got = readings(unit)
                except SensorError as fault:
                    self.assertEqual(fault.code, contract.COMMUNICATION_FAILURE)
                    continue
                self.assertEqual(got["a"], (111, contract.GOOD))
                self.assertIn(got["b"], ((222, 192), (None, contract.COMMUNICATION_FAILURE)))

    def test_modbus_unit_whose_turn_is_always_cut_off_is_gone_like_a_silent_one(self):
        """A host that swallows the attempts to connect: each turn ends by its time-out."""
        slave = Slave()
        slave.tables[3] = {0: 7}
        unit = driver(slave, plan({"metric": "m", "address": 0}))
        line = unit._master.bus
        asked = []
        write = line.write

        async def never(data):
            asked.append(data)
            await asyncio.Event().wait()

        async def turn():
            task = asyncio.create_task(unit.begin())
            for _ in range(20):
                await asyncio.sleep(0)
            if not task.done():
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    return None
            await task
            out = Out()
            try:
                await unit.read(out)
            except SensorError as fault:
                return fault.code
            return out.readings["m"]

        async def turns(number):
            told = []
            for _ in range(number):
                told.append(await turn())  # noqa: PERF401 - MicroPython
            return told

        line.write = never
        told = asyncio.run(turns(25))
        lost = contract.COMMUNICATION_FAILURE
        self.assertEqual((len(asked), told.count(None), told.count(lost)), (5, 5, 20))
        line.write = write
        self.assertIn((7, contract.GOOD), asyncio.run(turns(10)))

    def test_modbus_unit_that_is_gone_is_asked_seldom(self):
        """Its time-outs must not cost the other units of the line; it is found again."""
        slave = Slave(units=())
        slave.tables[3] = {0: 7}
        gone = driver(slave, plan({"metric": "m", "address": 0}), retries=0)

        async def turns(number):
            faults = 0
            for _ in range(number):
                await gone.begin()
                try:
                    await gone.read(Out())
                except SensorError as fault:
                    faults += fault.code == contract.COMMUNICATION_FAILURE
            return faults

        self.assertEqual(asyncio.run(turns(63)), 63)
        self.assertTrue(3 + 5 <= len(slave.asked) <= 3 + 7, len(slave.asked))
        slave.units = (1,)
        self.assertTrue(asyncio.run(turns(12)) < 12)
        self.assertEqual(readings(gone)["m"], (7, contract.GOOD))

    def test_modbus_metrics_are_renamed_and_left_out(self):
        """One map serves two units of a plant."""
        slave = Slave()
        slave.tables[3] = {0: 7, 1: 8}
        unit = driver(
            slave,
            plan({"metric": "a", "address": 0, "unit": "bar"}, {"metric": "b", "address": 1}),
            metrics={"a": "fan_pressure", "b": None},
        )

        self.assertEqual(unit.metrics(), [("fan_pressure", "bar", 0, None, None)])
        self.assertEqual(readings(unit), {"fan_pressure": (7, contract.GOOD)})

    def test_modbus_maps_shipped_are_sound(self):
        """Each loads, asks at most three questions, and reads zeros without a fault."""
        for name in MAPS:
            slave = Slave("tcp")
            for code in slave.tables:
                slave.tables[code] = {at: 0 for at in range(100)}  # noqa: C420 - as it says
            unit = driver(slave, name)
            got = readings(unit)
            self.assertEqual(len(got), len(unit.metrics()))
            self.assertTrue(1 <= len(slave.asked) <= 3, name)
            for metric in got:
                self.assertEqual(got[metric][1], contract.GOOD)
            for _, _, decimals, low, high in unit.metrics():
                self.assertTrue(low < high and 0 <= decimals <= 3)

    def test_modbus_burner_map_reads_a_burner(self):
        """The words of a burner at 87.5 % on 3.42 % of oxygen, its stack sensor broken."""
        slave = Slave()
        slave.tables[4] = {0: 5, 1: 875, 2: 0x0003, 3: 0x8000, 4: 342, 5: 65535}
        got = readings(driver(slave, "burner_controller"))

        self.assertEqual(got["burner_state"], (5, contract.GOOD))
        self.assertAlmostEqual(got["firing_rate"][0], 87.5, places=3)
        self.assertEqual(got["flame"], (1, contract.GOOD))
        self.assertEqual(got["flue_gas_temperature"], (None, contract.SENSOR_FAILURE))
        self.assertAlmostEqual(got["oxygen"][0], 3.42, places=3)
        self.assertEqual(got["fuel_pressure"], (None, contract.NOT_CONNECTED))

    def test_modbus_with_wrong_map_is_refused(self):
        """Every fault is told when the sensor is made, before anything is asked."""
        point = {"metric": "m", "address": 0}

        def with_(**changes):
            changed = dict(point)
            changed.update(changes)
            return plan(changed)

        for wrong in (
            "",
            "../secrets",
            "no_such_map",
            {},
            {"v": 2, "points": [point]},
            plan(),
            plan(point, word_order="middle"),
            plan(point, base=1),
            with_(table="file"),
            with_(type="f64"),
            with_(metric="Bad"),
            with_(address=65535, type="u32"),
            with_(write=True),
            with_(scael=2),
            {"v": 1, "points": {"m": 0}},
            {"v": 1, "points": ["m"]},
            plan(point, base="0"),
            plan(point, gap=1.5),
            plan(point, block="60"),
            {"v": 1, "points": [{"metric": "m"}]},
            with_(address="0"),
            with_(scale="0.1"),
            with_(offset=None),
            with_(absent=65535),
            with_(absent=["0"]),
            with_(failed=[1.5]),
            with_(bits=[0]),
            with_(bits=["0", 1]),
            with_(values=7),
            with_(values=[7]),
            with_(values=[[1, "lockout"]]),
            with_(values=[[1, None]]),
        ):
            with self.assertRaises(ValueError):
                driver(Slave(), wrong)
        with self.assertRaises(ValueError):
            driver(Slave(), plan(point), metrics={"x": "y"})

    def test_modbus_with_number_that_is_none_is_refused(self):
        """Each is told by its key, before the unit is asked; on TCP unit 0 is the server itself."""
        point = plan({"metric": "m", "address": 0})
        for key, wrong in (
            ("unit", (300, 0, -1, "1", None, True, 1.5, [])),
            ("answer_ms", ("300", 0, -1, None, True, 1.5, 10**9, float("inf"))),
            ("retries", ("1", -1, None, True, 0.5, 11)),
            ("metrics", (None, [], "m")),
        ):
            for value in wrong:
                changes = {}
                changes[key] = value
                try:
                    driver(Slave(), point, **changes)
                    text = ""
                except ValueError as fault:
                    text = str(fault)
                self.assertTrue(text.startswith(key), (key, value, text))
        driver(Slave("tcp"), point, unit=0)

    def test_modbus_maps_of_frozen_firmware_lie_in_lib(self):
        """Frozen code has a name without a folder, and JSON is not frozen with it."""
        from device.steamlink.sensors import _register_map

        _register_map.__file__ = "frozen/sensors/_register_map.py"
        try:
            _register_map.load("burner_controller", {})
        except ValueError as fault:
            text = str(fault)
        finally:
            forget("sensors._register_map")

        self.assertIn("/lib/steamlink/maps/burner_controller.json", text)

    def test_modbus_sensor_is_made_from_its_configuration(self):
        """As a device's configuration names it."""
        slave = Slave()
        slave.tables[3] = {0: 7}
        made = sensors.make(
            {"kind": "modbus", "bus": "line", "map": plan({"metric": "m", "address": 0})},
            {"line": Line(slave)},
        )

        self.assertEqual(readings(made), {"m": (7, contract.GOOD)})
