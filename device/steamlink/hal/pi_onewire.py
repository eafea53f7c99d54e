"""1-Wire of the Linux kernel (w1_therm): /sys/bus/w1/devices, no library.

`dtoverlay=w1-gpio,gpiopin=N` in config.txt chooses the pin; `pin` here is for the reader.
"""

import asyncio
import os

_FOLDER = "/sys/bus/w1/devices"
_BYTES = 9
_NAME = 15  # "28-0316a2795aff"
_POLYNOMIAL = 0x8C


class OneWire:
    """The sensors that the kernel has found; a read of the kernel measures by itself."""

    def __init__(self, cfg, folder: str = _FOLDER) -> None:
        self._kind = cfg.get("kind")
        self._folder = folder
        self._pads = {}

    def scan(self) -> "list[bytes]":
        """The ROMs that the kernel knows, in order; no folder is a kernel without 1-Wire."""
        try:
            names = sorted(os.listdir(self._folder))
        except OSError:
            raise OSError(
                "1-Wire: no {}; add dtoverlay=w1-gpio to config.txt".format(self._folder)
            ) from None
        return [_rom(name) for name in names if len(name) == _NAME and name[2] == "-"]

    async def convert(self, ms: int = 750) -> None:  # noqa: ARG002 - the kernel knows how long
        """Measure with each sensor in turn; the kernel waits, so a thread does."""
        self._pads = await asyncio.get_running_loop().run_in_executor(None, self._read_all)

    def scratchpad(self, rom: bytes) -> bytes:
        """The nine bytes that the last `convert` got of this sensor."""
        pad = self._pads.get(bytes(rom))
        if pad is None:
            raise OSError("1-Wire: {} does not answer".format(bytes(rom).hex()))
        return pad

    def _read_all(self) -> "dict[bytes, bytes]":
        pads = {}
        for rom in self.scan():
            pad = self._read(rom)
            if pad is not None:
                pads[rom] = pad
        return pads

    def _read(self, rom: bytes) -> "bytes | None":
        path = "{}/{:02x}-{}/w1_slave".format(self._folder, rom[0], bytes(rom[6:0:-1]).hex())
        try:
            with open(path, encoding="ascii") as file:
                words = file.read().split()
            pad = bytes(int(word, 16) for word in words[:_BYTES])
            return pad if len(pad) == _BYTES else None
        except (OSError, ValueError):
            return None


def _rom(name: str) -> bytes:
    """The eight bytes of "28-0316a2795aff": family, number with its last byte first, CRC."""
    rom = bytes([int(name[:2], 16)]) + bytes.fromhex(name[3:])[::-1]
    return rom + bytes([_crc(rom)])


def _crc(data: bytes) -> int:
    # Maxim application note 27.
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc
