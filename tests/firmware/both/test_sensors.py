"""Drivers made by name from a configuration, and configurations that are wrong."""

import asyncio
import unittest

from device.steamlink import contract, sensors
from device.steamlink.sampler import Sampler
from device.steamlink.sensors import _making
from tests.firmware.virtual_time import VirtualTime
from tests.firmware.wires import Spi

KINDS = (
    "ads1115",
    "digital",
    "ds18b20",
    "max31855",
    "max31856",
    "max31865",
    "modbus",
    "pulse",
    "simulated",
)

POINT = {"metric": "a", "address": 0}


class Board:
    def __init__(self):
        self.made = []

    def bus(self, cfg):
        if cfg["kind"] == "broken":
            raise ValueError("kind 'broken' is unknown")
        self.made.append(cfg)
        return Spi(bytes((0x01, 0x90, 0x19, 0x00)))


def make(*configurations, period_ms=1000, **buses):
    values = {"buses": buses, "sensors": list(configurations)}
    values["sampling"] = {"period_ms": period_ms}
    return sensors.make_all(values, Board())


class TestSensors(unittest.TestCase):
    def test_sensors_each_kind_names_itself_and_its_bus(self):
        """The file's name is the kind, and its defaults leave the common keys common."""
        for kind in KINDS:
            module = _making._module(kind)
            self.assertEqual(module.KIND, kind)
            self.assertIsInstance(module.BUS, str)
            self.assertIsInstance(module.DEFAULTS, dict)
            self.assertTrue(issubclass(module.Driver, sensors.Sensor))

    def test_sensors_made_have_chains_by_their_own_keys(self):
        """A chain takes what the sensor says, and what it says of one metric."""
        made, faults = make(
            {
                "kind": "simulated",
                "metrics": ["steam_pressure", "oxygen"],
                "median": 3,
                "chain": {"oxygen": {"median": 1, "calibrate": [[0, 1]], "deadband": 0.2}},
                "deadband": 0.05,
            }
        )

        self.assertEqual(faults, [])
        chains = made[0].chains
        for up_ms in range(3):
            pressure = [chains[0].feed(v, 192, up_ms)[0] for v in (5, 9, 5)]
        self.assertEqual(pressure[-1], 5)
        self.assertEqual(chains[1].feed(3, 192, 0)[0], 4)
        sampler = Sampler(made, VirtualTime(), period_ms=1000, on_row=print)
        self.assertEqual(sampler.deadbands, {"steam_pressure": 0.05, "oxygen": 0.2})

    def test_sensors_of_one_bus_share_it(self):
        """A bus is made once."""
        board = Board()
        made, faults = sensors.make_all(
            {
                "buses": {"spi": {"kind": "spi"}},
                "sensors": [
                    {"kind": "max31855", "bus": "spi", "metric": "a"},
                    {"kind": "max31855", "bus": "spi", "metric": "b"},
                ],
            },
            board,
        )

        self.assertEqual((len(made), faults, len(board.made)), (2, [], 1))
        self.assertIs(made[0].bus, made[1].bus)

    def test_sensors_with_wrong_configuration_cost_only_themselves(self):
        """Each fault is told with its place; the metric is there as a configuration error."""
        wrong = [
            {"kind": "max31855", "bus": "nope", "metric": "a"},
            {"kind": "max31855", "bus": "bad", "metric": "b"},
            {"kind": "thermostat", "metric": "c"},
            {"kind": "../x", "metric": "d"},
            {"kind": "__init__", "metric": "e"},
            {"kind": "max31855", "bus": "spi", "metric": "f", "medain": 3},
            {"kind": "max31855", "bus": "spi", "metric": "g", "median": 4},
            {"kind": "max31855", "bus": "spi", "metric": "h", "low": 5, "high": "x"},
            {"kind": "max31855", "bus": "spi", "metric": "i", "timeout_ms": -1},
            {"kind": "max31855", "bus": "spi", "metric": "j", "calibrate": [[1]]},
            {"kind": "max31855", "bus": "spi", "metric": "k", "chain": {"k": {"mode": 1}}},
            {"kind": "max31855", "bus": "spi", "metric": "l", "decimals": 9},
            {"kind": "max31855", "bus": "spi", "metric": "m", "chain": 7},
        ]
        made, faults = make(
            *wrong,
            {"kind": "max31855", "bus": "spi", "metric": "right"},
            spi={"kind": "spi"},
            bad={"kind": "broken"},
        )

        self.assertEqual(len(made), len(wrong) + 1)
        self.assertEqual(len(faults), len(wrong) + 1)
        self.assertEqual(faults[0], "buses.bad: kind 'broken' is unknown")
        self.assertIn("medain", faults[6])
        rows = []
        time = VirtualTime()
        sampler = Sampler(
            made,
            time,
            period_ms=1000,
            on_row=lambda *row: rows.append(row),
            sleep_ms=time.sleep_ms,
        )

        async def run():
            task = asyncio.create_task(sampler.run())
            await time.pass_ms(1000)
            task.cancel()
            try:  # noqa: SIM105 - MicroPython has no contextlib
                await task
            except asyncio.CancelledError:
                pass

        asyncio.run(run())
        _, values, codes = rows[0]
        self.assertEqual(values[-1], 25)
        self.assertEqual(
            sorted(codes.items()),
            [(number, contract.CONFIGURATION_ERROR) for number in range(len(wrong))],
        )

    def test_sensors_with_number_that_is_none_are_refused(self):
        """Each is told by its key; none of them reaches a row or a birth."""
        for key, value in (
            ("low", "0"),
            ("high", True),
            ("rate", "1"),
            ("rate", -1),
            ("gap_ms", "10"),
            ("gap_ms", -1),
            ("deadband", "0.1"),
            ("deadband", -1),
            ("decimals", 1.5),
            ("decimals", "1"),
            ("decimals", 7),
            ("decimals", True),
            ("every_ms", True),
            ("unit", 5),
            ("unit", None),
        ):
            cfg = {"kind": "max31855", "bus": "spi", "metric": "a"}
            cfg[key] = value
            made, faults = make(cfg, spi={"kind": "spi"})
            self.assertEqual(len(faults), 1, (key, value))
            self.assertIn(key, faults[0])
            self.assertEqual(made[0].metrics(), [("a", "", 1, None, None)])

    def test_sensors_with_time_out_that_nothing_can_keep_are_refused(self):
        """At 0 ms no answer is in time: the sensor would never have a value."""
        for timeout_ms, good in ((0, False), (1, False), (49, False), (50, True), (60000, True)):
            cfg = {"kind": "max31855", "bus": "spi", "metric": "a", "timeout_ms": timeout_ms}
            _, faults = make(cfg, spi={"kind": "spi"})
            wrong = "sensors[0]: timeout_ms {}: a whole number from 50".format(timeout_ms)
            self.assertEqual(faults, [] if good else [wrong])

    def test_sensors_that_take_longer_than_their_period_are_refused(self):
        """Such a one would have no value each period; told with its place and the period it needs."""
        for kind, changes, period_ms, needs_ms in (
            ("ds18b20", {}, 1000, None),
            ("ds18b20", {}, 500, 850),
            ("ds18b20", {"every_ms": 600}, 500, None),
            ("ds18b20", {"convert_ms": 94}, 250, None),
            ("ds18b20", {"convert_ms": 1500}, 1000, 1600),
            ("ds18b20", {"convert_ms": 1500, "every_ms": 1600}, 1000, None),
            ("ds18b20", {"lead_ms": 2550}, 1000, None),
            ("max31855", {"lead_ms": 1001}, 1000, None),
            ("max31856", {"average": 16}, 500, 702),
            ("max31865", {}, 100, None),
            ("max31865", {}, 50, 81),
            ("digital", {"debounce_ms": 2000}, 1000, 2004),
            ("digital", {}, 50, None),
        ):
            cfg = {"kind": kind, "bus": "bus", "metric": "a"}
            cfg.update(changes)
            made, faults = make(cfg, period_ms=period_ms, bus={"kind": "any"})
            self.assertEqual(len(faults), 0 if needs_ms is None else 1, (cfg, faults))
            if faults:
                self.assertTrue(faults[0].startswith("sensors[0]: "), faults)
                self.assertTrue(faults[0].endswith("every_ms {} or more".format(needs_ms)), faults)
                self.assertEqual(made[0].metrics()[0][0], "a")

    def test_sensors_are_begun_no_earlier_than_their_period_allows(self):
        """A Modbus unit that is read each 200 ms is asked as early as can be, and not refused."""
        cfg = {"kind": "modbus", "bus": "line", "map": {"v": 1, "points": [POINT]}}
        made, faults = make(dict(cfg, lead_ms=1500), period_ms=1000, line={"kind": "uart"})
        self.assertEqual((faults, made[0].cfg["lead_ms"]), ([], 1000))
        made, faults = make(cfg, period_ms=200, line={"kind": "uart"})
        self.assertEqual((faults, made[0].cfg["lead_ms"]), ([], 200))
        made, faults = make(cfg, line={"kind": "uart"})
        self.assertEqual((faults, made[0].cfg["lead_ms"]), ([], 500))

    def test_sensors_of_one_1_wire_bus_all_begin_for_the_longest(self):
        """Whichever is made first; who cannot wait so long is not made to by those after it."""
        slow = {"kind": "ds18b20", "bus": "w1", "metric": "a", "convert_ms": 1500, "every_ms": 2000}
        quick = {"kind": "ds18b20", "bus": "w1", "metric": "b", "every_ms": 5000}
        for pair in ((slow, quick), (quick, slow)):
            made, faults = make(*pair, w1={"kind": "onewire"})
            self.assertEqual((faults, [one.cfg["lead_ms"] for one in made]), ([], [1600, 1600]))
        quick["every_ms"] = 0
        made, faults = make(quick, slow, w1={"kind": "onewire"})

        self.assertEqual((made[0].cfg["lead_ms"], len(faults)), (850, 1))
        self.assertEqual(
            faults[0],
            "sensors[1]: convert_ms 1500 for b, as those of a bus wait for the longest: begun 1600 ms "
            "ahead, a reading takes more than its period of 1000 ms; give it every_ms 1600 or more",
        )

    def test_sensors_with_any_wrong_value_of_a_driver_are_refused_by_its_key(self):
        """Whatever stands where a driver wants a number, a switch or a list; it says which."""
        wrong = ("x", -1, None, True, 10**9, [], 2.5, float("inf"))
        for kind, more, keys in (
            ("ads1115", {}, ("address", "channel", "shunt_ohm", "range_mv", "scale", "cut_off")),
            ("ds18b20", {}, ("rom", "convert_ms")),
            ("max31856", {}, ("type", "mains_hz", "average")),
            ("max31865", {}, ("wires", "mains_hz", "lead_ohm")),
            ("modbus", {"map": {"v": 1, "points": [{"metric": "a", "address": 0}]}}, ("unit",)),
        ):
            for key in keys:
                for value in wrong:
                    if (key, value) in (("shunt_ohm", 2.5), ("lead_ohm", 2.5), ("average", True)):
                        continue
                    cfg = {"kind": kind, "bus": "bus", "metric": "a"}
                    cfg.update(more)
                    cfg[key] = value
                    _, faults = make(cfg, bus={"kind": "any"})
                    self.assertEqual(len(faults), 1, (kind, key, value))
                    self.assertIn(key, faults[0])

    def test_sensors_with_number_of_a_driver_that_is_none_are_refused(self):
        """Those that have no upper end."""
        for kind, key, least in (
            ("ads1115", "persist_ms", 0),
            ("max31865", "r0", 1),
            ("max31865", "reference", 101),
            ("modbus", "answer_ms", 1),
            ("modbus", "retries", 0),
            ("pulse", "per_unit", 1),
            ("pulse", "high", 1),
            ("pulse", "window_ms", 1),
        ):
            for value in ("x", least - 1 if least != 101 else 100, None, True, [], float("inf")):
                cfg = {"kind": kind, "bus": "bus", "metric": "a"}
                if kind == "modbus":
                    cfg["map"] = {"v": 1, "points": [{"metric": "a", "address": 0}]}
                if kind == "pulse":
                    cfg["high"] = 10
                cfg[key] = value
                _, faults = make(cfg, bus={"kind": "any"})
                self.assertEqual(len(faults), 1, (kind, key, value))
                self.assertIn(key, faults[0])

    def test_sensors_refused_leave_a_modbus_bus_to_the_others(self):
        """Whatever is wrong with the first: its answer_ms, its chain or its name."""
        for wrong in (
            {"answer_ms": "300"},
            {"answer_ms": 900, "median": 4},
            {"answer_ms": 900, "metrics": {"a": "Bad Name"}},
        ):
            line = {"kind": "uart"}
            cfgs = [
                {
                    "kind": "modbus",
                    "bus": "line",
                    "map": {"v": 1, "points": [{"metric": name, "address": 1}]},
                    "unit": unit,
                }
                for unit, name in enumerate(("a", "b", "c"), 1)
            ]
            cfgs[0].update(wrong)
            made, faults = make(*cfgs, line=line)
            self.assertEqual((len(made), len(faults)), (2, 1), faults)
            self.assertTrue(faults[0].startswith("sensors[0]: "), faults)

    def test_sensors_with_wrong_special_of_a_metric_are_refused(self):
        """What a chain takes of one metric is checked as that of all."""
        for special in ({"gap_ms": "10"}, {"deadband": "1"}, {"rate": "1"}, 5, [5]):
            cfg = {"kind": "max31855", "bus": "spi", "metric": "a", "chain": {"a": special}}
            _, faults = make(cfg, spi={"kind": "spi"})
            self.assertEqual(len(faults), 1, special)
            self.assertIn("chain.a", faults[0])

    def test_sensors_of_map_with_wrong_point_are_refused(self):
        """A birth with it would be refused, and the device would never be greeted."""
        for key, value in (
            ("decimals", 1.5),
            ("decimals", -1),
            ("decimals", "1"),
            ("decimals", 7),
            ("unit", 5),
            ("low", "0"),
            ("high", "9"),
        ):
            point = {"metric": "oxygen", "address": 0}
            point[key] = value
            made, faults = make(
                {"kind": "modbus", "bus": "line", "map": {"v": 1, "points": [point]}},
                line={"kind": "uart"},
            )
            self.assertEqual((made, len(faults)), ([], 1), (key, value))
            self.assertIn("oxygen: " + key, faults[0])

    def test_sensors_of_contact_know_what_its_cut_wire_reads(self):
        """The bus says it: by its pull, turned about where the bus or the sensor is inverted."""
        for pull, bus_inverted, inverted, cut in (
            ("up", False, False, 1),
            ("up", False, True, 0),
            ("up", True, False, 0),
            ("up", True, True, 1),
            ("down", False, False, 0),
            ("down", True, False, 1),
        ):
            bus = {"kind": "pin", "pull": pull, "inverted": bus_inverted}
            cfg = {"kind": "digital", "bus": "pin", "metric": "low_water", "inverted": inverted}
            for fail_safe in (0, 1):
                cfg["fail_safe"] = fail_safe
                _, faults = make(cfg, pin=bus)
                self.assertEqual(faults == [], fail_safe == cut, (bus, cfg))

    def test_sensors_of_contact_that_contradicts_its_bus_are_refused(self):
        """A pull down reads 0 with the wire cut, whatever the sensor says of it."""
        cfg = {"kind": "digital", "bus": "pin", "metric": "low_water", "open_reads": 1}
        for pull, fail_safe, good in (
            ("down", 1, False),
            ("down", None, False),
            ("up", 1, True),
            (None, 1, True),
            ("none", 1, True),
        ):
            cfg["fail_safe"] = fail_safe
            _, faults = make(cfg, pin={"kind": "pin", "pull": pull})
            self.assertEqual(faults == [], good, (pull, faults))

    def test_sensors_of_contact_without_pull_tell_its_cut_wire(self):
        """Where the resistor is outside the board, the sensor says it or fail_safe is refused."""
        cfg = {"kind": "digital", "bus": "pin", "metric": "low_water", "fail_safe": 1}
        _, faults = make(cfg, pin={"kind": "pin"})

        self.assertEqual(len(faults), 1)
        self.assertIn("open_reads", faults[0])

    def test_sensors_without_usable_metric_are_left_out(self):
        """What has no name cannot be shown; what is measured twice is measured once."""
        made, faults = make(
            {"kind": "simulated", "metrics": []},
            {"kind": "simulated", "metrics": ["oxygen", "oxygen"]},
            {"kind": "max31855", "bus": "spi", "metric": "Bad Name"},
            {"kind": "max31855", "bus": "spi"},
            {"kind": "max31855", "bus": "spi", "metric": "a"},
            {"kind": "max31855", "bus": "spi", "metric": "a"},
            "text",
            None,
            spi={"kind": "spi"},
        )

        self.assertEqual((len(made), len(faults)), (1, 7))

    def test_sensors_beyond_the_contract_are_left_out(self):
        """A message has at most 64 metrics."""
        made, faults = make(
            *[{"kind": "max31855", "bus": "spi", "metric": f"m{n}"} for n in range(66)],
            spi={"kind": "spi"},
        )

        self.assertEqual(len(faults), 2)
        self.assertEqual(len(made), 64)

    def test_sensors_on_a_tcp_bus_speak_modbus_tcp(self):
        """The frames follow the bus, unless the sensor says otherwise."""
        points = [{"metric": "a", "address": 0}]
        made, faults = make(
            {"kind": "modbus", "bus": "lan", "map": {"v": 1, "points": points}},
            {
                "kind": "modbus",
                "bus": "line",
                "map": {"v": 1, "points": points},
                "metrics": {"a": "b"},
            },
            lan={"kind": "tcp"},
            line={"kind": "uart"},
        )

        self.assertEqual(faults, [])
        self.assertEqual([one.cfg["framing"] for one in made], ["tcp", "rtu"])
