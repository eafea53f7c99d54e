"""SPI, I2C and serial ports of Linux, through spidev, smbus2 and pyserial.

`id` is the kernel's number of the bus; the pins that a microcontroller would need are fixed by
the kernel and not looked at.
"""

import asyncio
import contextlib
import termios
import time

from .fields import choice, whole

_POLL_S = 0.003
_MOST_ID = 31
_MOST_CS = 3


class Spi:
    """/dev/spidev<id>.<cs>: `cs` is the kernel's number (0: CE0), not a pin."""

    def __init__(self, cfg) -> None:
        import spidev

        self._device = spidev.SpiDev()
        self._number = (whole(cfg, "id", 0, _MOST_ID, 0), whole(cfg, "cs", 0, _MOST_CS))
        mode = whole(cfg, "polarity", 0, 1, 0) << 1 | whole(cfg, "phase", 0, 1, 0)
        baud = whole(cfg, "baud", 1000, 20000000, 1000000)
        self._device.open(*self._number)
        self._device.mode = mode
        self._device.max_speed_hz = baud

    def transfer(self, data: bytes) -> bytes:
        """Send `data` and take as many bytes; the kernel drives `cs`."""
        return bytes(self._device.xfer2(list(data)))


class I2c:
    """/dev/i2c-<id>; its frequency is set in config.txt (i2c_arm_baudrate)."""

    def __init__(self, cfg) -> None:
        import smbus2

        self._message = smbus2.i2c_msg
        self._bus = smbus2.SMBus(whole(cfg, "id", 0, _MOST_ID, 1))

    def write(self, addr: int, data: bytes) -> None:
        """Write bytes."""
        self._bus.i2c_rdwr(self._message.write(addr, data))

    def read(self, addr: int, n: int) -> bytes:
        """Read `n` bytes."""
        answer = self._message.read(addr, n)
        self._bus.i2c_rdwr(answer)
        return bytes(answer)

    def write_read(self, addr: int, data: bytes, n: int) -> bytes:
        """Write, then read without a stop between."""
        answer = self._message.read(addr, n)
        self._bus.i2c_rdwr(self._message.write(addr, data), answer)
        return bytes(answer)


class Uart:
    """A serial port: `id` is a device ("/dev/serial0", "/dev/ttyUSB0"), 8 data bits.

    For RS485 use an adapter that finds the direction by itself; `de` is not driven here.
    """

    def __init__(self, cfg) -> None:
        import serial

        if cfg.get("de") is not None:
            raise ValueError("uart: de is not driven here; use an adapter that does it by itself")
        port = cfg.get("id")
        if not isinstance(port, str) or not port.startswith("/dev/"):
            raise ValueError('uart: id {!r}; a device such as "/dev/serial0"'.format(port))
        parities = {None: serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}
        settings = {
            "baudrate": whole(cfg, "baud", 300, 921600, 9600),
            "parity": parities[choice(cfg, "parity", ("even", "odd"))],
            "stopbits": whole(cfg, "stop", 1, 2, 1),
            "timeout": 0,
            "write_timeout": 0,
            "exclusive": True,
        }
        self.baud = settings["baudrate"]
        self._open = lambda: serial.Serial(port, **settings)
        self._port = None

    async def write(self, data: bytes) -> None:
        """Send all of `data`, opening the port if need be; OSError when an adapter is gone."""
        if self._port is None:
            self._port = self._open()
        try:
            done = 0
            while done < len(data):
                done += self._port.write(data[done:])
                if done < len(data):
                    await asyncio.sleep(_POLL_S)
        except OSError:
            self._drop()
            raise

    async def read(self, n: int, timeout_ms: int) -> bytes:
        """Up to `n` bytes: fewer when `timeout_ms` is over."""
        if self._port is None:
            raise OSError("uart: not open; write first")
        taken = b""
        end = time.monotonic() + timeout_ms / 1000
        while True:
            try:
                taken += self._port.read(n - len(taken))
            except OSError:
                self._drop()
                raise
            if len(taken) >= n or time.monotonic() >= end:
                return taken
            await asyncio.sleep(_POLL_S)

    def discard(self) -> None:
        """Drop what came and was not read."""
        if self._port is not None:
            try:
                self._port.reset_input_buffer()
            except (OSError, termios.error):  # the latter is none, and what a pulled adapter gives
                self._drop()

    def _drop(self) -> None:
        port, self._port = self._port, None
        with contextlib.suppress(OSError):
            port.close()
