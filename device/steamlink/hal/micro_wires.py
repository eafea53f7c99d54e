"""1-Wire, SPI, I2C and single pins on `machine`."""

import asyncio

import machine

from .fields import choice, flag, whole

KINDS = ("onewire", "spi", "i2c", "pin")
CLASSES = ("OneWire", "Spi", "I2c", "Pin")

MOST_PIN = 48
_CONVERT = 0x44  # DS18B20 data sheet, function commands
_READ_SCRATCHPAD = 0xBE
_SKIP_ROM = 0xCC
_SCRATCHPAD = 9
_SERVED = {}  # by SPI id, whose mode is set


def input_pin(cfg) -> object:
    """The pin `cfg["pin"]` as an input with its pull."""
    pull = choice(cfg, "pull", ("up", "down"))
    code = {"up": machine.Pin.PULL_UP, "down": machine.Pin.PULL_DOWN}.get(pull)
    return machine.Pin(whole(cfg, "pin", 0, MOST_PIN), machine.Pin.IN, code)


class Pin:
    """A digital input; `inverted` because an optocoupler pulls down when there is current."""

    def __init__(self, cfg) -> None:
        self._pin = input_pin(cfg)
        self._flip = 1 if flag(cfg, "inverted") else 0

    def value(self) -> int:
        """0 or 1."""
        return self._pin.value() ^ self._flip


class Spi:
    """One chip on an SPI bus: its own `cs` and mode, restored when another chip was served."""

    def __init__(self, cfg) -> None:
        self._id = whole(cfg, "id", 0, 3)
        self._mode = {
            "baudrate": whole(cfg, "baud", 1000, 20000000, 1000000),
            "polarity": whole(cfg, "polarity", 0, 1, 0),
            "phase": whole(cfg, "phase", 0, 1, 0),
        }
        pins = {}
        for key, name in (("sck", "sck"), ("mosi", "mosi"), ("miso", "miso")):
            pins[name] = machine.Pin(whole(cfg, key, 0, MOST_PIN))
        self._cs = machine.Pin(whole(cfg, "cs", 0, MOST_PIN), machine.Pin.OUT, value=1)
        self._spi = machine.SPI(self._id, **self._mode, **pins)
        _SERVED[self._id] = self

    def transfer(self, data: bytes) -> bytes:
        """Send `data` and take as many bytes, `cs` low meanwhile."""
        if _SERVED.get(self._id) is not self:
            self._spi.init(**self._mode)
            _SERVED[self._id] = self
        taken = bytearray(len(data))
        self._cs.value(0)
        try:
            self._spi.write_readinto(data, taken)
        finally:
            self._cs.value(1)
        return bytes(taken)


class I2c:
    """An I2C bus; OSError of `machine` when nobody answers (EIO, ENODEV or ETIMEDOUT)."""

    def __init__(self, cfg) -> None:
        self._bus = machine.I2C(
            whole(cfg, "id", 0, 1),
            scl=machine.Pin(whole(cfg, "scl", 0, MOST_PIN)),
            sda=machine.Pin(whole(cfg, "sda", 0, MOST_PIN)),
            freq=whole(cfg, "freq", 1000, 1000000, 100000),
        )

    def write(self, addr: int, data: bytes) -> None:
        """Write bytes."""
        self._bus.writeto(addr, data)

    def read(self, addr: int, n: int) -> bytes:
        """Read `n` bytes."""
        return self._bus.readfrom(addr, n)

    def write_read(self, addr: int, data: bytes, n: int) -> bytes:
        """Write, then read without a stop between."""
        self._bus.writeto(addr, data, False)
        return self._bus.readfrom(addr, n)


class OneWire:
    """1-Wire by the driver that the firmware of the board has frozen in."""

    def __init__(self, cfg) -> None:
        import onewire

        self._wire = onewire.OneWire(machine.Pin(whole(cfg, "pin", 0, MOST_PIN)))

    def scan(self) -> "list[bytes]":
        """The ROMs that answer."""
        return [bytes(rom) for rom in self._wire.scan()]

    async def convert(self, ms: int = 750) -> None:
        """Let all sensors measure; they are done after `ms`."""
        self._begin()
        self._wire.writebyte(_SKIP_ROM)
        self._wire.writebyte(_CONVERT)
        await asyncio.sleep(ms / 1000)

    def scratchpad(self, rom: bytes) -> bytes:
        """The nine bytes of one sensor; an absent one reads as ones (its CRC is wrong)."""
        self._begin()
        self._wire.select_rom(rom)
        self._wire.writebyte(_READ_SCRATCHPAD)
        pad = bytearray(_SCRATCHPAD)
        self._wire.readinto(pad)
        return bytes(pad)

    def _begin(self) -> None:
        if not self._wire.reset():
            raise OSError("1-Wire: nobody answers; check the wire and its 4.7 kohm pull-up")
