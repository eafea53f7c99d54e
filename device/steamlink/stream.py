"""One connection's packets over asyncio streams: bounded reading, one writer, an end told once.

A task that waits for a socket must never see it closed: MicroPython would poll it for ever. So
only `_write` writes, only one task reads, and `drop` stops both before it closes.
"""

import asyncio

from . import packets
from .constant import const

_CHUNK = const(512)
_PIECE = const(1024)
_MOST_QUEUED = const(16)
_MOST_SKIPPED = const(2097152)  # a longer message is an attack or nonsense, not worth the air


class PacketStream:
    """Reads and writes packets until `fault` says why no more.

    A message above `max_packet` bytes is read past without being kept. Whoever changes what
    somebody waits for in `until` sets `moved`.
    """

    def __init__(self, reader, writer, max_packet: int) -> None:
        self.fault = None
        self.leaving = False
        self.moved = asyncio.Event()
        self._reader = reader
        self._writer = writer
        self._max_packet = max_packet
        self._out = []
        self._tasks = []

    def begin(self, *coroutines) -> None:
        """Start the writer and these coroutines; `drop` ends them all."""
        for coroutine in coroutines:
            self._tasks.append(asyncio.create_task(coroutine))
        self._tasks.append(asyncio.create_task(self._write()))

    def busy(self, most: int = 0) -> bool:
        """Whether more than `most` packets are not written yet."""
        return len(self._out) > most

    def queue(self, packet: bytes, payload: bytes = b"") -> None:
        """Have the writer write both, in this order; nothing more after the goodbye.

        `payload` is not copied: memory that held it once may not hold it twice.
        """
        if not self.leaving:
            self._out.append((packet, payload))
            self.moved.set()

    async def until(self, fact=None) -> None:
        """Wait until `fact()` holds or the connection has ended."""
        while self.fault is None and not (fact and fact()):
            self.moved.clear()
            await self.moved.wait()

    def fail(self, why: str) -> None:
        """The connection has ended; the first reason stays."""
        if self.fault is None:
            self.fault = "disconnected" if self.leaving else why
        self.moved.set()

    async def send(self, packet: bytes) -> None:
        """Write before `begin`; OSError when the other side is gone."""
        self._writer.write(packet)
        await self._writer.drain()

    async def read(self):
        """The next packet as (first byte, body, whole).

        A message that is too long, or for which there is no memory, comes with its topic and
        packet id only, and `whole` False. Malformed when no broker would send this.
        """
        if self.busy(_MOST_QUEUED):  # our answers pile up
            await self.until(lambda: not self.busy(_MOST_QUEUED))
        start = await self._exactly(2)
        digits = start[1:]
        length = packets.length_so_far(digits)
        while length is None:
            digits += await self._exactly(1)
            length = packets.length_so_far(digits)
        body = self._room(length)
        if body is not None:
            return start[0], await self._fill(body), True
        if packets.check_flags(start[0]) != packets.PUBLISH or length > _MOST_SKIPPED:
            raise packets.Malformed("a packet of {} bytes".format(length))
        return start[0], await self._skip(length), False

    def drop(self) -> None:
        """Close the socket at once; whatever still waits here is told."""
        self.fail("closed by this device")
        try:
            current = asyncio.current_task()
        except RuntimeError:  # no loop runs any more
            current = None
        for task in self._tasks:
            if task is not current:  # a callback of the reader may have come here
                task.cancel()
        writer, self._writer = self._writer, None
        self._tasks = []
        self._out = []
        if hasattr(writer, "transport"):
            writer.transport.abort()
        elif writer is not None:
            writer.s.close()  # MicroPython's close() does nothing

    async def leave(self, packet: bytes, timeout_ms: int) -> None:
        """Write a last packet, wait until the other side closes, then close."""
        self.queue(packet)
        self.leaving = True
        try:
            # Closing first would send a reset if bytes are unread, and that could undo the packet.
            await asyncio.wait_for(self.until(), timeout_ms / 1000)
        except asyncio.TimeoutError:
            self.fail("no goodbye")
        finally:
            self.drop()

    async def _write(self) -> None:
        try:
            while self.fault is None:
                while self._out:
                    await self._send_both(*self._out[0])
                    del self._out[0]
                self.moved.set()
                await self.until(self.busy)
        except Exception as error:  # noqa: BLE001 - told as the reason of the end
            self.fail("writing failed: {}".format(error))

    async def _send_both(self, packet: bytes, payload: bytes) -> None:
        # A short one goes at once: TCP may hold back a second write until the first has arrived.
        await self.send(packet + payload[:_PIECE])
        rest = memoryview(payload)
        for at in range(_PIECE, len(payload), _PIECE):
            await self.send(rest[at : at + _PIECE])

    def _room(self, length: int) -> "bytearray | None":
        """Memory for a body; later there must be no doubt about how much of it was read."""
        try:
            return bytearray(length) if length <= self._max_packet else None
        except MemoryError:
            return None

    async def _exactly(self, length: int) -> bytearray:
        return await self._fill(bytearray(length))

    async def _fill(self, body: bytearray) -> bytearray:
        done = 0
        while done < len(body):
            done += await self._piece(body, done)
        return body

    async def _piece(self, body, done: int) -> int:
        piece = await self._reader.read(min(len(body) - done, _CHUNK))
        if not piece:
            raise OSError("the broker closed the connection")
        body[done : done + len(piece)] = piece
        return len(piece)

    async def _skip(self, length: int) -> bytearray:
        head = await self._exactly(2)
        wanted = min(2 + int.from_bytes(head, "big"), length - 2)  # with the packet id
        if wanted > self._max_packet:
            raise packets.Malformed("a topic of {} bytes".format(wanted))
        head += await self._exactly(wanted)
        room, left = bytearray(_CHUNK), length - len(head)
        while left:
            left -= await self._piece(memoryview(room)[:left], 0)
        return head
