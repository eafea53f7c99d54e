"""The files of hal/ that need `machine`, on the chips of tests/firmware/stubs: `boards_suite.py`.

MicroPython runs it; ends with 1 if a test failed.
"""
# ruff: noqa: PT009, PT027 - MicroPython has unittest, not pytest

import asyncio
import sys
import unittest

import machine
import network
import onewire
import rp2

from device.steamlink import app, measuring
from device.steamlink.hal import board, dates
from device.steamlink.hal.micro_wlan import Wlan
from tests.firmware import folders
from tests.firmware.name_server import NameServer, loopback

_2026 = 1793440500250  # 2026-10-31 09:55:00.250 UTC, a Saturday


def fault_of(call, *arguments):
    """The text of the ValueError or OSError that a call ends with."""
    try:
        call(*arguments)
    except (ValueError, OSError) as fault:
        return str(fault)
    return ""


class Chip:
    """A chip on SPI or I2C that answers `answer`."""

    def __init__(self, answer):
        self.answer = answer
        self.sent = []

    def transfer(self, data):
        self.sent.append(data)
        return self.answer

    def write(self, data):
        self.sent.append(data)

    def read(self, n):
        return self.answer[:n]


class TestMicro(unittest.TestCase):
    def test_board_of_each_name_is_the_one_of_its_file(self):
        """The port promises the names that configurations use."""
        for name in ("esp32", "pico_w"):
            made = board(name, folder=".")
            self.assertEqual(made.name, name)
            self.assertTrue(made.has_wifi)
            self.assertEqual(made.TICKS_PERIOD, 1 << 30)
            self.assertEqual(made.unique_id(), "240ac4010203")
            self.assertTrue(made.heap_free() > 0)
            self.assertTrue(made.flash_free() > 0)

    def test_reset_causes_have_the_names_of_the_port(self):
        """Those that the chip tells; the rest is unknown."""
        made = board("esp32", folder=".")
        found = []
        for code in (1, 2, 3, 4, 5, 0):
            machine.CAUSE[0] = code
            found.append(made.reset_cause())
        machine.CAUSE[0] = 1
        self.assertEqual(found, ["power_on", "soft", "watchdog", "deep_sleep", "soft", "unknown"])

    def test_firmware_that_crashes_while_it_opens_ends_in_safe_mode(self):
        """main.py resets the chip, which the ESP32 calls a hard reset: no loss of power."""
        folder = folders.new("crashes")
        folders.write(
            folder + "/config.json", '{"site": "m", "device": "d", "mqtt": {"host": "127.0.0.1"}}'
        )

        def broken(*_):
            raise MemoryError

        opens, measuring.open_sensors = measuring.open_sensors, broken
        crashes = 0
        machine.CAUSE[0] = machine.HARD_RESET
        try:
            while crashes < 9:
                started = app.App(board("esp32", folder=folder))
                try:
                    started.open()
                    break
                except MemoryError:
                    crashes += 1
        finally:
            measuring.open_sensors = opens
            machine.CAUSE[0] = machine.PWRON_RESET
            folders.remove(folder)
        self.assertEqual((crashes, started.safe), (5, True))

    def test_watchdog_waits_no_longer_than_the_hardware_can(self):
        """More than 8388 ms is a ValueError of the RP2040."""
        board("pico_w", folder=".").start_watchdog(60000)
        board("esp32", folder=".").start_watchdog(60000)
        board("esp32", folder=".").start_watchdog(8000)
        self.assertEqual([dog.timeout for dog in machine.DOGS[-3:]], [8388, 60000, 8000])

    def test_restart_resets_the_chip_through_every_handler(self):
        """A reset is no Exception that a supervisor could catch."""
        with self.assertRaises(machine.Reset):
            board("esp32", folder=".").restart()

    def test_clock_is_set_in_fields_of_utc(self):
        """Year, month, day, weekday from Monday, hour, minute, second, no subseconds."""
        board("esp32", folder=".").set_utc_ms(_2026)
        self.assertEqual(machine.RTC_SET[-1], (2026, 10, 31, 5, 9, 55, 0, 0))

    def test_clock_of_an_unset_board_is_unknown(self):
        """The ESP32 begins at 2000, the RP2 at 2021, each in its own epoch."""
        self.assertIsNone(dates.plausible_ms(5000000000, 2000))
        self.assertIsNone(dates.plausible_ms(1609459205000000000, 1970))
        self.assertEqual(dates.plausible_ms((_2026 - 946684800000) * 1000000, 2000), _2026)
        self.assertEqual(dates.since(_2026, 2000), _2026 - 946684800000)

    def test_bus_of_unknown_kind_is_refused_with_those_there_are(self):
        """The technician reads what would do."""
        text = fault_of(board("esp32", folder=".").bus, {"kind": "can"})
        for word in ("can", "esp32", "onewire", "spi", "i2c", "pin", "pulse", "uart", "tcp"):
            self.assertIn(word, text)

    def test_bus_with_wrong_field_names_the_field(self):
        """A missing pin, a pin out of range, a pull that is none, a number that is a text."""
        made = board("esp32", folder=".")
        for cfg, words in (
            ({"kind": "pin"}, ("pin None",)),
            ({"kind": "pin", "pin": 99}, ("pin 99", "0 to 48")),
            ({"kind": "pin", "pin": 1, "pull": "left"}, ("pull", "up, down")),
            ({"kind": "pin", "pin": 1, "inverted": 1}, ("inverted",)),
            ({"kind": "spi", "id": 2, "sck": 18, "mosi": 23, "miso": 19}, ("cs None",)),
            ({"kind": "i2c", "id": "0", "scl": 22, "sda": 21}, ("id '0'",)),
            ({"kind": "uart", "id": 2, "tx": 17, "rx": 16, "parity": "mark"}, ("even, odd",)),
            ({"kind": "pulse", "pin": 34, "edge": "both"}, ("edge", "rising, falling")),
            ({"kind": "tcp", "host": "", "port": 502}, ("host",)),
        ):
            text = fault_of(made.bus, cfg)
            for word in words:
                self.assertIn(word, text)


class TestWires(unittest.TestCase):
    def setUp(self):
        self.board = board("esp32", folder=".")

    def test_pin_with_pull_up_reads_open_contact_as_one(self):
        """`inverted` turns it round."""
        plain = self.board.bus({"kind": "pin", "pin": 32, "pull": "up"})
        turned = self.board.bus({"kind": "pin", "pin": 32, "pull": "up", "inverted": True})
        self.assertEqual((plain.value(), turned.value()), (1, 0))
        machine.LEVELS[32] = 0
        self.assertEqual((plain.value(), turned.value()), (0, 1))

    def test_pull_on_a_pin_without_one_is_refused_by_an_esp32(self):
        """GPIO34 to 39 would float; with a resistor outside they are pins like others."""
        for kind in ("pin", "pulse"):
            for pin in (34, 39):
                text = fault_of(self.board.bus, {"kind": kind, "pin": pin, "pull": "up"})
                for word in ("pull", "GPIO34 to 39", "resistor"):
                    self.assertIn(word, text)
        for pull in (None, "none"):
            self.board.bus({"kind": "pin", "pin": 34, "pull": pull})
        board("pico_w", folder=".").bus({"kind": "pin", "pin": 34, "pull": "up"})

    def spi(self, cs, phase):
        return self.board.bus(
            {"kind": "spi", "id": 2, "sck": 18, "mosi": 23, "miso": 19, "cs": cs, "phase": phase}
        )

    def test_spi_chips_of_two_modes_share_a_bus(self):
        """Each transfer selects its chip alone, in its mode."""
        machine.SPI_CHIPS[25], machine.SPI_CHIPS[26] = Chip(b"\x01\x02"), Chip(b"\x03\x04")
        first, second = self.spi(25, 1), self.spi(26, 0)
        del machine.SPI_MODES[:]
        self.assertEqual(first.transfer(b"ab"), b"\x01\x02")
        self.assertEqual(first.transfer(b"cd"), b"\x01\x02")
        self.assertEqual(second.transfer(b"ef"), b"\x03\x04")
        self.assertEqual([mode[3] for mode in machine.SPI_MODES], [1, 0])
        self.assertEqual(machine.SPI_CHIPS[25].sent, [b"ab", b"cd"])
        self.assertEqual((machine.LEVELS[25], machine.LEVELS[26]), (1, 1))

    def test_spi_fault_leaves_the_chip_deselected(self):
        """Otherwise the next transfer would talk to two."""

        class Broken:
            def transfer(self, data):
                raise OSError("no")

        machine.SPI_CHIPS[27] = Broken()
        bus = self.spi(27, 0)
        self.assertEqual(fault_of(bus.transfer, b"ab"), "no")
        self.assertEqual(machine.LEVELS[27], 1)

    def test_i2c_reads_a_register_and_tells_who_does_not_answer(self):
        """An absent chip is an OSError."""
        machine.I2C_CHIPS[(0, 0x48)] = chip = Chip(b"\x12\x34")
        bus = self.board.bus({"kind": "i2c", "id": 0, "scl": 22, "sda": 21})
        self.assertEqual(bus.write_read(0x48, b"\x01", 2), b"\x12\x34")
        bus.write(0x48, b"\x01\x02")
        self.assertEqual(bus.read(0x48, 1), b"\x12")
        self.assertEqual(chip.sent, [b"\x01", b"\x01\x02"])
        with self.assertRaises(OSError):
            bus.write(0x49, b"\x01")

    def test_onewire_measures_and_gives_scratchpads(self):
        """With nobody on the wire it says so; an absent sensor reads as ones."""
        bus = self.board.bus({"kind": "onewire", "pin": 27})
        onewire.SENSORS.clear()
        self.assertIn("nobody answers", fault_of(asyncio.run, bus.convert(0)))
        rom = b"\x28\x01\x02\x03\x04\x05\x06\x07"
        onewire.SENSORS[rom] = bytes(range(9))
        asyncio.run(bus.convert(0))
        self.assertEqual(bus.scan(), [rom])
        self.assertEqual(bus.scratchpad(rom), bytes(range(9)))
        self.assertEqual(bus.scratchpad(b"\x28" * 8), b"\xff" * 9)


class TestUart(unittest.TestCase):
    def serial(self, **more):
        cfg = {"kind": "uart", "id": 2, "tx": 17, "rx": 16, "baud": 115200}
        cfg.update(more)
        return board("esp32", folder=".").bus(cfg)

    def test_uart_writes_all_through_a_small_buffer(self):
        """And reads what came in pieces, up to what was asked."""
        heard = []
        machine.UART_ANSWERS[2] = lambda data: heard.append(data) or data
        port = self.serial()

        async def talk():
            await port.write(b"0123456789abc")
            first = await port.read(4, 50)
            rest = await port.read(100, 20)
            await port.write(b"late")
            port.discard()
            return first, rest, await port.read(1, 5)

        self.assertEqual(asyncio.run(talk()), (b"0123", b"456789abc", b""))
        self.assertEqual(b"".join(heard), b"0123456789abclate")

    def test_uart_with_direction_drives_it_only_while_it_sends(self):
        """RS485: who drives on talks into the answer."""
        machine.UART_ANSWERS[2] = lambda data: b""
        port = self.serial(de=4)
        del machine.DIRECTIONS[:]
        asyncio.run(port.write(b"12345678"))
        self.assertEqual(machine.DIRECTIONS, [(4, 1), (4, 0)])

    def test_uart_that_never_sends_lets_go_of_the_line(self):
        """The fault is told, the driver of the line is off."""
        port = self.serial(de=4)
        port._port._busy = 1 << 29
        self.assertIn("does not send", fault_of(asyncio.run, port.write(b"1")))
        self.assertEqual(machine.LEVELS[4], 0)

    def test_uart_parity_and_stop_reach_the_port(self):
        """Even is 0 and odd is 1 for machine.UART."""
        port = self.serial(baud=19200, parity="even", stop=1)
        self.assertEqual(port._port.settings, (19200, 8, 0, 1, 0))
        self.assertEqual(self.serial(parity="none")._port.settings[2], None)


class TestPulses(unittest.TestCase):
    def test_esp32_counts_with_one_pcnt_unit_an_input(self):
        """Four of them, in hardware, filtered as far as it goes."""
        made = board("esp32", folder=".")
        counters = [
            made.bus({"kind": "pulse", "pin": pin, "edge": "falling", "debounce_us": 12})
            for pin in (34, 35, 36, 39)
        ]
        self.assertEqual([c.settings for c in machine.COUNTERS[-4:]][1], (1, 35, 2, 12000))
        machine.COUNTERS[-4].pulses = 70000
        self.assertEqual([counter.count() for counter in counters], [70000, 0, 0, 0])
        self.assertIn("at most", fault_of(made.bus, {"kind": "pulse", "pin": 32}))

    def test_esp32_refuses_what_its_filter_cannot_do(self):
        """A bouncing contact needs an RC filter, and the text says so."""
        cfg = {"kind": "pulse", "pin": 34, "debounce_us": 5000}
        self.assertIn("RC filter", fault_of(board("esp32", folder=".").bus, cfg))

    def test_esp32_of_old_micropython_says_which_is_needed(self):
        """machine.Counter came with 1.26; no interrupt of Python takes its place."""
        kept = machine.Counter
        del machine.Counter
        try:
            text = fault_of(board("esp32", folder=".").bus, {"kind": "pulse", "pin": 34})
        finally:
            machine.Counter = kept
        self.assertIn("1.26", text)

    def pio(self, debounce_us):
        counter = board("pico_w", folder=".").bus(
            {"kind": "pulse", "pin": 6, "debounce_us": debounce_us}
        )
        return counter, rp2.MACHINES[-1]

    def levels(self, chip, *spans):
        for level, cycles in spans:
            for _ in range(cycles):
                chip.step(level)

    def test_pico_counts_pulses_on_the_instructions_of_its_pio(self):
        """Whatever the registers held at power-up, a count starts at 0."""
        counter, chip = self.pio(0)
        self.assertEqual((chip.freq, chip.pin.number), (1000000, 6))
        self.assertEqual(counter.count(), 0)
        self.levels(chip, *([(0, 20), (1, 20)] * 7))
        self.assertEqual(counter.count(), 7)
        self.levels(chip, (0, 20), (1, 20))
        self.assertEqual(counter.count(), 8)

    def test_pico_counts_a_bouncing_contact_once(self):
        """Bounces at both edges and a glitch amid either level, all shorter than debounce_us."""
        counter, chip = self.pio(200)
        self.levels(chip, (0, 600))
        bounce = [(1, 20), (0, 15), (1, 40), (0, 30)]
        for _ in range(5):
            self.levels(chip, *bounce, (1, 600), (0, 40), (1, 600))
            self.levels(chip, *bounce, (0, 600), (1, 60), (0, 600))
        self.assertEqual(counter.count(), 5)

    def test_pico_counts_on_when_the_register_wraps(self):
        """X has 32 bits; the count has none to lose."""
        counter, chip = self.pio(0)
        self.levels(chip, (0, 20), (1, 20))
        self.assertEqual(counter.count(), 1)
        chip.x = 1  # 4294967295 pulses later
        self.assertEqual(counter.count(), 4294967295)
        self.levels(chip, *([(0, 20), (1, 20)] * 3))
        self.assertEqual(counter.count(), 4294967298)


class TestWlan(unittest.TestCase):
    def setUp(self):
        network.AIR.clear()
        network.AIR["plant"] = "secret-word"
        network.WEDGED[0] = False
        self.wlan = Wlan(3)

    def up(self, ssid="plant", password="secret-word", timeout_ms=4000):
        return fault_of(asyncio.run, self.wlan.up(ssid, password, timeout_ms))

    def test_wlan_joins_and_tells_signal_and_address(self):
        """Its radio does not sleep."""
        self.assertFalse(self.wlan.is_up())
        self.assertEqual((self.wlan.rssi(), self.wlan.address()), (None, ""))
        self.assertEqual(self.up(), "")
        self.assertTrue(self.wlan.is_up())
        self.assertEqual((self.wlan.rssi(), self.wlan.address()), (-61, "192.0.2.9"))
        self.assertEqual(network.MADE[-1].settings["pm"], 0)

    def test_wlan_asks_the_name_server_it_was_given(self):
        """Without one, as before it joined, the name is an OSError: nothing is held up."""

        async def look_up():
            server = NameServer(loopback)
            task = asyncio.create_task(server.run())
            faults = []
            network.NAME_SERVER[0] = server.address
            try:
                await self.wlan.lookup("unit.plant.example")
            except OSError as fault:
                faults.append(str(fault))
            await self.wlan.up("plant", "secret-word", 4000)
            found = await self.wlan.lookup("unit.plant.example")
            network.NAME_SERVER[0] = "0.0.0.0"
            try:
                await self.wlan.lookup("unit.plant.example")
            except OSError as fault:
                faults.append(str(fault))
            task.cancel()
            await asyncio.sleep(0)
            server.close()
            return found, faults

        found, faults = asyncio.run(look_up())
        self.assertEqual(found, "127.0.0.1")
        self.assertEqual(len(faults), 2)

    def test_wlan_with_wrong_password_says_so_before_the_time_is_up(self):
        """Three seconds, in which the driver may still be trying."""
        self.assertIn("password", self.up(password="wrong-word", timeout_ms=60000))

    def test_wlan_without_access_point_ends_at_the_timeout(self):
        """And can be tried again at once."""
        self.assertIn("no connection within 300 ms", self.up("nowhere", "x", 300))
        self.assertEqual(self.up(), "")

    def test_wlan_wedged_comes_back_after_a_reset(self):
        """The radio is off and on, the join afterwards is a new one."""
        self.assertEqual(self.up(), "")
        network.WEDGED[0] = True
        self.assertFalse(self.wlan.is_up())
        self.assertIn("no connection", self.up(timeout_ms=200))
        asyncio.run(self.wlan.reset())
        network.WEDGED[0] = False
        self.assertEqual(self.up(), "")

    def test_wlan_opens_a_network_of_its_own(self):
        """WPA2 with a password, open without."""
        self.assertEqual(asyncio.run(self.wlan.access_point("steam-1", "")), "192.168.4.1")
        self.assertEqual(network.MADE[-1].settings, {"ssid": "steam-1", "security": 0})
        self.wlan.close_access_point()
        self.assertFalse(network.MADE[-1].active())
        self.wlan.close_access_point()
        asyncio.run(self.wlan.access_point("steam-1", "12345678"))
        self.assertEqual(network.MADE[-1].settings["security"], 3)

    def test_wlan_country_that_is_none_is_ignored(self):
        """Wi-Fi with the wrong channels is better than none."""
        network.COUNTRY.clear()
        self.wlan.country("BR")
        self.wlan.country("nowhere")
        self.assertEqual(network.COUNTRY, ["BR"])


def main():
    """Run them; 0 when all passed."""
    suite = unittest.TestSuite()
    for case in (TestMicro, TestWires, TestUart, TestPulses, TestWlan):
        suite.addTest(case)
    result = unittest.TestRunner().run(suite)
    for trace in result.exceptions:
        print(trace)
    return 1 if result.failuresNum or result.errorsNum else 0


sys.exit(main())
