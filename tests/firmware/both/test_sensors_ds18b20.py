"""The DS18B20 by its scratchpad."""

import asyncio
import unittest

from device.steamlink import contract, sensors
from device.steamlink.sampler import Sampler
from device.steamlink.sensors import SensorError, ds18b20
from tests.firmware.virtual_time import VirtualTime
from tests.firmware.wires import reading

ROM = bytes((0x28, 0xFF, 0x4B, 0x46, 0x7F, 0x00, 0x01))
ROM += bytes((ds18b20.crc8(ROM),))
SECOND = bytes((0x28, 1, 2, 3, 4, 5, 6))
SECOND += bytes((ds18b20.crc8(SECOND),))


def pad(raw, *, config=0x7F, byte6=0x10):
    """A scratchpad as the chip sends it."""
    head = bytes((raw & 255, raw >> 8, 0x4B, 0x46, config, 0xFF, byte6, 0x10))
    return head + bytes((ds18b20.crc8(head),))


class Bus:
    def __init__(self, *pads, roms=(ROM,)):
        self.pads = list(pads)
        self.roms = list(roms)
        self.conversions = 0
        self.asked = []
        self.hold = None

    def scan(self):
        return self.roms

    async def convert(self, ms=750):
        self.conversions += 1
        self.ms = ms
        if self.hold is not None:
            await self.hold.wait()

    def scratchpad(self, rom):
        self.asked.append(bytes(rom))
        answer = self.pads[0] if len(self.pads) == 1 else self.pads.pop(0)
        if answer is None:
            raise OSError(5)
        return answer


def driver(bus, **changes):
    cfg = dict(ds18b20.DEFAULTS)
    cfg.update({"metric": "t", "decimals": 1, "every_ms": 0})
    cfg.update(changes)
    made = ds18b20.Driver(bus, cfg)
    made.join()
    return made


class TestDs18b20(unittest.TestCase):
    def test_ds18b20_of_data_sheet_words_gives_their_temperatures(self):
        """The table of the data sheet: sign, sixteenths, both ends."""
        for raw, celsius in (
            (0x07D0, 125),
            (0x0550, 85),
            (0x0191, 25.0625),
            (0x00A2, 10.125),
            (0x0008, 0.5),
            (0x0000, 0),
            (0xFFF8, -0.5),
            (0xFF5E, -10.125),
            (0xFE6F, -25.0625),
            (0xFC90, -55),
        ):
            self.assertEqual(reading(driver(Bus(pad(raw)))), (celsius, contract.GOOD))

    def test_ds18b20_crc_of_application_note_is_right(self):
        """The rom of Maxim's application note 27: 02 1C B8 01 00 00 00 has the CRC A2."""
        self.assertEqual(ds18b20.crc8(bytes((0x02, 0x1C, 0xB8, 0x01, 0, 0, 0))), 0xA2)

    def test_ds18b20_at_85_after_power_up_is_not_a_reading(self):
        """85.0 with byte 6 at 0x0C is what the chip shows before its first conversion."""
        self.assertEqual(
            reading(driver(Bus(pad(0x0550, byte6=0x0C)))),
            (None, contract.WAITING_FOR_INITIAL_DATA),
        )

    def test_ds18b20_at_85_after_84_is_a_reading(self):
        """A boiler may be at 85: a clone whose byte 6 never changes is believed near it."""
        bus = Bus(pad(0x0540), pad(0x0550, byte6=0x0C))
        thermometer = driver(bus)

        self.assertEqual(reading(thermometer), (84, contract.GOOD))
        self.assertEqual(reading(thermometer), (85, contract.GOOD))

    def test_ds18b20_with_one_wrong_crc_is_asked_again(self):
        """One disturbed answer costs nothing."""
        bad = bytes((0x91, 0x02)) + pad(0x0191)[2:]

        self.assertEqual(reading(driver(Bus(bad, pad(0x0191)))), (25.0625, contract.GOOD))

    def test_ds18b20_with_wrong_crc_is_a_communication_failure(self):
        """Every single flipped bit is found."""
        for bit in range(72):
            broken = bytearray(pad(0x0191))
            broken[bit // 8] ^= 1 << bit % 8
            self.assertEqual(
                reading(driver(Bus(bytes(broken)))), (None, contract.COMMUNICATION_FAILURE)
            )

    def test_ds18b20_of_dead_bus_is_not_connected(self):
        """All ones is a pulled-up wire with nobody on it; so is an OSError."""
        self.assertEqual(reading(driver(Bus(b"\xff" * 9))), (None, contract.NOT_CONNECTED))
        self.assertEqual(reading(driver(Bus(None))), (None, contract.NOT_CONNECTED))
        self.assertEqual(reading(driver(Bus(roms=()))), (None, contract.NOT_CONNECTED))

    def test_ds18b20_of_shorted_bus_is_no_zero_degrees(self):
        """All zeros has a right CRC and is no reading."""
        self.assertEqual(reading(driver(Bus(bytes(9)))), (None, contract.COMMUNICATION_FAILURE))

    def test_ds18b20_at_9_bits_drops_undefined_bits(self):
        """Below the resolution the bits mean nothing."""
        self.assertEqual(reading(driver(Bus(pad(0x0197, config=0x1F)))), (25.0, contract.GOOD))

    def test_ds18b20_named_by_rom_is_the_one_asked(self):
        """Hex with dashes or without."""
        bus = Bus(pad(0x0191), roms=(ROM, SECOND))
        text = "".join([f"{byte:02x}" for byte in SECOND])
        reading(driver(bus, rom=text[:2] + "-" + text[2:]))

        self.assertEqual(bus.asked, [SECOND])

    def test_ds18b20_without_rom_among_several_is_a_configuration_error(self):
        """It does not guess, and lists up to eight as `rom` takes them."""
        for roms, listed in (((ROM, SECOND), 2), ((ROM,) + (SECOND,) * 11, 8)):
            bus = Bus(pad(0x0191), roms=roms)
            try:
                asyncio.run(driver(bus).begin())
            except SensorError as fault:
                code, text = fault.code, fault.text
            self.assertEqual(code, contract.CONFIGURATION_ERROR)
            self.assertIn("{} DS18B20".format(len(roms)), text)
            found = text.split("rom: ")[1].split(", ")
            self.assertEqual(len(found), listed)
            for number, name in enumerate(found):
                reading(driver(bus, rom=name))
                self.assertEqual(bus.asked[-1], roms[number])

    def test_ds18b20_of_one_bus_wait_for_the_slowest(self):
        """Whoever begins has all of them convert."""
        bus = Bus(pad(0x0191))
        first = driver(bus, convert_ms=100)
        driver(bus, convert_ms=750)
        reading(first)

        self.assertEqual(bus.ms, 750)

    def test_ds18b20_of_long_conversion_is_read_in_each_turn(self):
        """It begins earlier by as much, and so has a value at each of its times."""
        time = VirtualTime()
        bus = Bus(pad(0x0191))
        bus.convert = time.sleep_ms
        slow = {"kind": "ds18b20", "bus": "w1", "metric": "t", "convert_ms": 1500, "every_ms": 2000}
        rows = []
        sampler = Sampler(
            [sensors.make(slow, {"w1": bus})],
            time,
            period_ms=1000,
            on_row=lambda *row: rows.append(row),
            sleep_ms=time.sleep_ms,
        )

        async def run():
            task = asyncio.create_task(sampler.run())
            await time.pass_ms(20000)
            task.cancel()
            await asyncio.sleep(0)

        asyncio.run(run())
        self.assertEqual(len(rows), 20)
        self.assertEqual({(row[1][0], row[2].get(0)) for row in rows[2:]}, {(25.1, None)})

    def test_ds18b20_replaced_by_another_is_found(self):
        """Without a rom, the next one on the wire is taken once the first is gone."""
        bus = Bus(pad(0x0191), None, pad(0x0191))
        thermometer = driver(bus)
        reading(thermometer)
        reading(thermometer)
        bus.roms = [SECOND]

        self.assertEqual(reading(thermometer), (25.0625, contract.GOOD))
        self.assertEqual(bus.asked[-1], SECOND)

    def test_ds18b20_with_bad_rom_is_refused(self):
        """A mistyped rom is found by its CRC."""
        for rom in ("zz", "28ff", "28ff4b467f000100", "10ff4b467f0001aa"):
            with self.assertRaises(ValueError):
                driver(Bus(), rom=rom)

    def test_ds18b20_of_one_bus_share_a_conversion(self):
        """Two begin at once: the bus converts once, both wait for its end."""
        bus = Bus(pad(0x0191), roms=(ROM, SECOND))
        first = driver(bus, rom="".join([f"{byte:02x}" for byte in ROM]))
        second = driver(bus, rom="".join([f"{byte:02x}" for byte in SECOND]))

        async def both():
            bus.hold = asyncio.Event()
            tasks = [asyncio.create_task(one.begin()) for one in (first, second)]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            done_early = [task.done() for task in tasks]
            bus.hold.set()
            for task in tasks:
                await task
            return done_early

        self.assertEqual(asyncio.run(both()), [False, False])
        self.assertEqual(bus.conversions, 1)

    def test_ds18b20_timed_out_joins_the_running_conversion(self):
        """A slow bus is not asked to convert again while it converts."""
        bus = Bus(pad(0x0191))
        thermometer = driver(bus)

        async def work():
            bus.hold = asyncio.Event()
            first = asyncio.create_task(thermometer.begin())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            first.cancel()
            try:  # noqa: SIM105 - MicroPython has no contextlib
                await first
            except asyncio.CancelledError:
                pass
            second = asyncio.create_task(thermometer.begin())
            await asyncio.sleep(0)
            bus.hold.set()
            await second

        asyncio.run(work())
        self.assertEqual(bus.conversions, 1)

    def test_ds18b20_conversion_that_fails_frees_the_bus(self):
        """The next turn converts anew."""
        bus = Bus(pad(0x0191))
        convert = bus.convert

        async def burst(ms):
            raise OSError(5)

        bus.convert = burst
        thermometer = driver(bus)
        for _ in range(2):
            try:
                reading(thermometer)
                self.fail("no OSError")
            except OSError:
                pass
        bus.convert = convert

        self.assertEqual(reading(thermometer), (25.0625, contract.GOOD))
