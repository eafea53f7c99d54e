"""A serial port on `machine.UART`, with the direction of RS485 where `de` names its pin."""

import asyncio
import time

import machine

from .fields import choice, whole
from .micro_wires import MOST_PIN

_PARITIES = ("even", "odd")
_POLL_S = 0.003
_BLOCK_MS = 5
_START_AND_DATA = 9
_BUFFER = 512


class Uart:
    """8 data bits; `read` polls, so that it holds nobody up."""

    def __init__(self, cfg) -> None:
        baud = whole(cfg, "baud", 300, 921600, 9600)
        parity = choice(cfg, "parity", _PARITIES)
        stop = whole(cfg, "stop", 1, 2, 1)
        self._bits = _START_AND_DATA + (1 if parity else 0) + stop
        self.baud = baud
        self._de = None
        if cfg.get("de") is not None:
            self._de = machine.Pin(whole(cfg, "de", 0, MOST_PIN), machine.Pin.OUT, value=0)
        self._port = machine.UART(
            whole(cfg, "id", 0, 2),
            baudrate=baud,
            bits=8,
            parity=None if parity is None else _PARITIES.index(parity),
            stop=stop,
            tx=machine.Pin(whole(cfg, "tx", 0, MOST_PIN)),
            rx=machine.Pin(whole(cfg, "rx", 0, MOST_PIN)),
            timeout=0,
            rxbuf=_BUFFER,
        )

    async def write(self, data: bytes) -> None:
        """Send all of `data`; with `de`, listen again as soon as the last bit is out."""
        if self._de is not None:
            self._de.value(1)
        try:
            done = 0
            while done < len(data):
                done += self._port.write(data[done:]) or 0
                if done < len(data):
                    await asyncio.sleep(_POLL_S)
            if self._de is not None:
                await self._sent(len(data))
        finally:
            if self._de is not None:
                self._de.value(0)

    async def read(self, n: int, timeout_ms: int) -> bytes:
        """Up to `n` bytes: fewer when `timeout_ms` is over."""
        taken = b""
        since = time.ticks_ms()
        while True:
            piece = self._port.read(n - len(taken)) if self._port.any() else None
            if piece:
                taken += piece
            if len(taken) >= n or time.ticks_diff(time.ticks_ms(), since) >= timeout_ms:
                return taken
            await asyncio.sleep(_POLL_S)

    def discard(self) -> None:
        """Drop what came and was not read."""
        while self._port.any():
            self._port.read()

    async def _sent(self, count: int) -> None:
        # The answer comes after 3.5 characters: the last few ms are waited out without giving
        # way, because another task could keep the line driven into it. flush() is not used: it
        # takes 0.8 s in MicroPython 1.22 (micropython#13377).
        wait_ms = count * self._bits * 1000 // self.baud
        since = time.ticks_ms()
        if wait_ms > _BLOCK_MS:
            await asyncio.sleep((wait_ms - _BLOCK_MS) / 1000)
        while not self._port.txdone():
            if time.ticks_diff(time.ticks_ms(), since) > 2 * wait_ms + 100:
                raise OSError("uart: the port does not send")
