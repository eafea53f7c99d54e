"""Buses that a test sets: what chips answer, what a line carries."""
# ruff: noqa: ARG002 - the port has arguments that are of no use here

import asyncio


class OneWire:
    """`pads`: scratchpads by ROM; None, or a ROM that is not in it: nobody answers."""

    def __init__(self, pads=None) -> None:
        self.pads = pads if pads is not None else {}
        self.conversions = 0

    def scan(self) -> "list[bytes]":
        """The ROMs that answer, in order."""
        return sorted(rom for rom in self.pads if self.pads[rom] is not None)

    async def convert(self, ms: int = 750) -> None:
        """Count a conversion."""
        self.conversions += 1
        await asyncio.sleep(0)

    def scratchpad(self, rom: bytes) -> bytes:
        """The nine bytes as they were set."""
        pad = self.pads.get(bytes(rom))
        if pad is None:
            raise OSError("1-Wire: {} does not answer".format(bytes(rom).hex()))
        return pad


class Spi:
    """`answer(sent) -> bytes`, or the bytes that are always answered; `sent` keeps what went."""

    def __init__(self, answer=b"") -> None:
        self.answer = answer
        self.sent = []

    def transfer(self, data: bytes) -> bytes:
        """As many bytes as were sent: cut, or filled with 0xff as an open wire would."""
        self.sent.append(bytes(data))
        answer = self.answer(bytes(data)) if callable(self.answer) else self.answer
        return (bytes(answer) + b"\xff" * len(data))[: len(data)]


class I2c:
    """`devices`: by address a dict of register -> bytes; the first byte written is the register."""

    def __init__(self, devices=None) -> None:
        self.devices = devices if devices is not None else {}
        self.written = []
        self._register = {}

    def write(self, addr: int, data: bytes) -> None:
        """Choose a register; further bytes are its new content."""
        registers = self._device(addr)
        self.written.append((addr, bytes(data)))
        self._register[addr] = data[0]
        if len(data) > 1:
            registers[data[0]] = bytes(data[1:])

    def read(self, addr: int, n: int) -> bytes:
        """`n` bytes of the chosen register, or what its function returns."""
        content = self._device(addr).get(self._register.get(addr, 0), b"")
        content = content() if callable(content) else content
        return (bytes(content) + b"\xff" * n)[:n]

    def write_read(self, addr: int, data: bytes, n: int) -> bytes:
        """Write, then read without a stop."""
        self.write(addr, data)
        return self.read(addr, n)

    def _device(self, addr: int) -> dict:
        if addr not in self.devices:
            raise OSError(5, "I2C: 0x{:02x} does not answer".format(addr))
        return self.devices[addr]


class Pin:
    """`level`: what `value` tells."""

    def __init__(self, level: int = 0) -> None:
        self.level = level

    def value(self) -> int:
        """The level."""
        return self.level


class Pulse:
    """`pulses`: what `count` tells."""

    def __init__(self, pulses: int = 0) -> None:
        self.pulses = pulses

    def count(self) -> int:
        """Pulses since the start."""
        return self.pulses


class Uart:
    """`answer(sent) -> bytes` is what comes after each write; `fault` is raised instead."""

    def __init__(self, answer=None) -> None:
        self.answer = answer
        self.fault = None
        self.sent = []
        self.pending = b""

    async def write(self, data: bytes) -> None:
        """Keep what was sent and queue the answer to it."""
        if self.fault is not None:
            raise self.fault
        self.sent.append(bytes(data))
        if self.answer is not None:
            self.pending += self.answer(bytes(data))
        await asyncio.sleep(0)

    async def read(self, n: int, timeout_ms: int) -> bytes:
        """What is pending, at most `n`; nothing is a time-out, and takes no time here."""
        await asyncio.sleep(0)
        data, self.pending = self.pending[:n], self.pending[n:]
        return data

    def discard(self) -> None:
        """Drop what is pending."""
        self.pending = b""

    async def close(self) -> None:
        """As of TCP."""
        self.pending = b""
