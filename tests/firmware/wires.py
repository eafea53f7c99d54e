"""Chips on a bus that answer what a test says, and what a driver made of it."""

import asyncio

from device.steamlink.sensors import SensorError


class Out:
    """Takes a driver's readings: {metric: (value, code)}."""

    def __init__(self, up_ms=0):
        self.up_ms = up_ms
        self.readings = {}

    def put(self, metric, value, quality=192):
        self.readings[metric] = (value, quality)


async def no_wait(ms):
    """Stand in for a driver's sleep."""


class Waits:
    """Stands in for a driver's sleep: `chip.pass_ms` is told of each, and `ms` is their sum."""

    def __init__(self, chip):
        self.chip = chip
        self.ms = 0

    async def __call__(self, ms):
        self.ms += ms
        self.chip.pass_ms(ms)


def readings(driver, up_ms=0):
    """One turn of a driver: all its readings."""
    out = Out(up_ms)

    async def turn():
        await driver.begin()
        await driver.read(out)

    asyncio.run(turn())
    return out.readings


def reading(driver, up_ms=0):
    """One turn of a driver of one metric: (value, code); (None, code) where it has none."""
    try:
        return readings(driver, up_ms)[driver.cfg["metric"]]
    except SensorError as fault:
        return None, fault.code


class Spi:
    """A chip that answers each transfer with the next of `answers` (the last for ever)."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.sent = []

    def transfer(self, data):
        self.sent.append(bytes(data))
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        return (bytes(answer) + bytes(len(data)))[: len(data)]


class SpiRegisters:
    """A chip with registers: the first byte is an address, with the top bit set to write."""

    def __init__(self, size):
        self.registers = bytearray(size)
        self.stuck = None
        self.writes = []

    def transfer(self, data):
        if self.stuck is not None:
            return bytes((self.stuck,)) * len(data)
        start = data[0] & 0x7F
        if data[0] & 0x80:
            self.writes.append(bytes(data))
            for number, byte in enumerate(data[1:]):
                self.registers[start + number] = byte
            self.written()
            return bytes(len(data))
        answer = bytes(1) + bytes(self.registers[start : start + len(data) - 1])
        return answer + bytes(len(data) - len(answer))

    def written(self):
        """Do what a chip does after a write."""
