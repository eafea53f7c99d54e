"""The MAX31855 by its word of 32 bits."""

import unittest

from device.steamlink import contract
from device.steamlink.sensors import max31855
from tests.firmware.wires import Spi, reading


def word(hot14, cold12=0x190, low3=0):
    """A word: 14 bits of thermocouple, 12 of cold junction, the three fault bits."""
    bits = hot14 << 18 | (1 << 16 if low3 else 0) | cold12 << 4 | low3
    return bits.to_bytes(4, "big")


def read(answer):
    cfg = dict(max31855.DEFAULTS)
    cfg["metric"] = "t"
    return reading(max31855.Driver(Spi(answer), cfg))


class TestMax31855(unittest.TestCase):
    def test_max31855_of_data_sheet_words_gives_their_temperatures(self):
        """Table 4 of the data sheet."""
        for hot14, celsius in (
            (0b01100100000000, 1600),
            (0b00111110100000, 1000),
            (0b00000110010011, 100.75),
            (0b00000001100100, 25),
            (0b00000000000000, 0),
            (0b11111111111111, -0.25),
            (0b11111111111100, -1),
            (0b11110000011000, -250),
        ):
            self.assertEqual(read(word(hot14)), (celsius, contract.GOOD))

    def test_max31855_fault_bits_are_told_apart(self):
        """Open is a missing sensor, a short a broken one."""
        for low3, code in (
            (1, contract.NOT_CONNECTED),
            (2, contract.SENSOR_FAILURE),
            (4, contract.SENSOR_FAILURE),
            (3, contract.NOT_CONNECTED),
        ):
            self.assertEqual(read(word(0x64, low3=low3)), (None, code))

    def test_max31855_of_stuck_line_is_not_connected(self):
        """0 °C at both junctions and all ones are wiring."""
        self.assertEqual(read(b"\x00\x00\x00\x00"), (None, contract.NOT_CONNECTED))
        self.assertEqual(read(b"\xff\xff\xff\xff"), (None, contract.NOT_CONNECTED))

    def test_max31855_with_impossible_bits_is_a_communication_failure(self):
        """Bits 17 and 3 are always 0; bit 16 never stands alone."""
        for bit in (17, 16, 3):
            bits = int.from_bytes(word(0x64), "big") | 1 << bit
            self.assertEqual(read(bits.to_bytes(4, "big")), (None, contract.COMMUNICATION_FAILURE))

    def test_max31855_with_impossible_cold_junction_has_failed(self):
        """The chip itself does not work beyond 125 °C."""
        self.assertEqual(read(word(0x64, cold12=0x7FF)), (None, contract.DEVICE_FAILURE))
        self.assertEqual(read(word(0x64, cold12=0xC90)), (None, contract.DEVICE_FAILURE))

    def test_max31855_at_zero_with_a_warm_room_is_a_reading(self):
        """0 °C is only wiring if everything is 0."""
        self.assertEqual(read(word(0, cold12=0x190)), (0, contract.GOOD))
