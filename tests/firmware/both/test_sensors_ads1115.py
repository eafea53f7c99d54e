"""4-20 mA over an ADS1115, judged by NAMUR NE 43."""

import asyncio
import unittest

from device.steamlink import contract
from device.steamlink.sensors import ads1115
from tests.firmware.wires import no_wait, reading

ads1115.sleep_ms = no_wait


class Chip:
    """An ADS1115 with a current in mA through 100 ohm on each of its channels."""

    def __init__(self, *currents):
        self.currents = list(currents)
        self.config = 0x8583
        self.busy_looks = 0
        self.counts = None
        self.converting = 0
        self.overlaps = 0
        self.gone = False

    def write(self, addr, data):
        self._there(addr)
        self.overlaps += self.converting
        self.config = data[1] << 8 | data[2]
        self.converting = 1
        self._left = self.busy_looks

    def write_read(self, addr, data, n):
        self._there(addr)
        if data[0] == 1:
            ready = self._left <= 0
            self._left -= 1
            word = self.config & 0x7FFF | (0x8000 if ready else 0)
        else:
            self.converting = 0
            channel = self.config >> 12 & 3
            range_mv = (6144, 4096, 2048, 1024, 512, 256)[self.config >> 9 & 7]
            counts = self.counts
            if counts is None:
                counts = round(self.currents[channel] * 100 * 32768 / range_mv)
            word = min(counts, 32767) & 0xFFFF
        return bytes((word >> 8, word & 255))

    def _there(self, addr):
        if self.gone or addr != 0x48:
            raise OSError(19)


def driver(chip, **changes):
    cfg = dict(ads1115.DEFAULTS)
    cfg.update(
        {"metric": "p", "unit": "bar", "decimals": 2, "low": None, "high": None, "scale": [0, 16]}
    )
    cfg.update(changes)
    return ads1115.Driver(chip, cfg)


class TestAds1115(unittest.TestCase):
    def test_ads1115_scales_current_to_value(self):
        """4 mA is the low end, 20 mA the high end, 12 mA the middle."""
        for current, value in ((4, 0), (12, 8), (20, 16), (8, 4)):
            got, code = reading(driver(Chip(current)))
            self.assertAlmostEqual(got, value, delta=0.002)
            self.assertEqual(code, contract.GOOD)

    def test_ads1115_with_falling_scale_has_a_rising_range(self):
        """Some level transmitters give 20 mA when empty."""
        level = driver(Chip(8), scale=[100, 0])

        self.assertAlmostEqual(reading(level)[0], 75, delta=0.02)
        self.assertEqual(level.metrics()[0][3:], (0, 100))

    def test_ads1115_of_differential_pressure_takes_the_root(self):
        """A quarter of the span is half the flow; near nothing is nothing."""
        for current, value in ((4, 0), (8, 5), (20, 10), (4.1, 0)):
            got, _ = reading(driver(Chip(current), scale=[0, 10], root=True))
            self.assertAlmostEqual(got, value, delta=0.003)

    def test_ads1115_follows_namur_bands(self):
        """3.8 to 20.5 good, towards 3.6 and 21 uncertain at the end of the scale."""
        for current, value, code in (
            (3.80, 0, contract.GOOD),
            (3.79, 0, contract.EU_EXCEEDED),
            (3.65, 0, contract.EU_EXCEEDED),
            (20.50, 16, contract.GOOD),
            (20.51, 16, contract.EU_EXCEEDED),
            (20.90, 16, contract.EU_EXCEEDED),
        ):
            self.assertEqual(reading(driver(Chip(current))), (value, code))

    def test_ads1115_failure_current_itself_is_a_failure(self):
        """Transmitters are set to 3.6 or 21 mA, and what measures it is a little off."""
        for current in (3.50, 3.60, 3.61, 20.95, 21.00, 21.05):
            self.assertEqual(
                reading(driver(Chip(current))), (None, contract.SENSOR_FAILURE), current
            )

    def test_ads1115_failure_must_last_four_seconds(self):
        """Until then the last value stands as last usable; then it is gone."""
        chip = Chip(12)
        pressure = driver(chip)
        good = reading(pressure, 0)[0]
        chip.currents[0] = 3.5

        got = [reading(pressure, up_ms) for up_ms in (1000, 3000, 4999, 5000, 6000)]

        held = (good, contract.LAST_USABLE)
        bad = (None, contract.SENSOR_FAILURE)
        self.assertEqual(got, [held, held, held, bad, bad])

    def test_ads1115_failure_that_ends_in_time_is_none(self):
        """A dip of two seconds, and the count starts anew."""
        chip = Chip(12)
        pressure = driver(chip)
        for up_ms, current, code in (
            (0, 12, contract.GOOD),
            (1000, 2, contract.LAST_USABLE),
            (3000, 12, contract.GOOD),
            (4000, 2, contract.LAST_USABLE),
            (7000, 2, contract.LAST_USABLE),
            (8000, 2, contract.SENSOR_FAILURE),
            (9000, 12, contract.GOOD),
        ):
            chip.currents[0] = current
            self.assertEqual(reading(pressure, up_ms)[1], code)

    def test_ads1115_that_never_had_a_value_fails_at_once(self):
        """There is nothing to hold."""
        self.assertEqual(reading(driver(Chip(21.3))), (None, contract.SENSOR_FAILURE))

    def test_ads1115_without_current_is_not_connected(self):
        """A broken wire is told from a failed transmitter, and noise below zero is no current."""
        self.assertEqual(reading(driver(Chip(0.1))), (None, contract.NOT_CONNECTED))
        self.assertEqual(reading(driver(Chip(-0.05))), (None, contract.NOT_CONNECTED))

    def test_ads1115_at_full_scale_is_a_failure(self):
        """A converter at its end tells nothing of the current."""
        chip = Chip(12)
        chip.counts = 0x7FFF

        self.assertEqual(
            reading(driver(chip, range_mv=2048, shunt_ohm=95)), (None, contract.SENSOR_FAILURE)
        )

    def test_ads1115_that_never_converts_has_failed(self):
        """Its ready bit never comes."""
        chip = Chip(12)
        chip.busy_looks = 99

        self.assertEqual(reading(driver(chip)), (None, contract.DEVICE_FAILURE))

    def test_ads1115_slow_once_is_waited_for(self):
        """The oscillator of the chip may be a tenth slower."""
        chip = Chip(12)
        chip.busy_looks = 1

        self.assertEqual(reading(driver(chip))[1], contract.GOOD)

    def test_ads1115_off_the_bus_raises_oserror(self):
        """The sampler makes it a communication failure."""
        chip = Chip(12)
        chip.gone = True
        with self.assertRaises(OSError):
            reading(driver(chip))

    def test_ads1115_channels_of_one_chip_take_turns(self):
        """Four drivers that begin at once never start a conversion in another's."""
        chip = Chip(4, 8, 12, 20)
        drivers = [driver(chip, channel=number, metric=f"m{number}") for number in range(4)]

        async def begin():
            tasks = [asyncio.create_task(one.begin()) for one in drivers]
            for task in tasks:
                await task

        async def wait(ms):
            await asyncio.sleep(0)

        ads1115.sleep_ms = wait
        asyncio.run(begin())
        ads1115.sleep_ms = no_wait

        self.assertEqual([round(one.current(), 1) for one in drivers], [4, 8, 12, 20])
        self.assertEqual(chip.overlaps, 0)

    def test_ads1115_with_impossible_settings_is_refused(self):
        """Channel, range, shunt and scale are checked."""
        for changes in (
            {"channel": 4},
            {"range_mv": 3300},
            {"shunt_ohm": 250},
            {"shunt_ohm": 0},
            {"scale": [5, 5]},
            {"scale": [5]},
        ):
            with self.assertRaises(ValueError):
                driver(Chip(12), **changes)
