"""One connection's packets over asyncio streams: bounded reading, one writer, an end told once.

A task that waits for a socket must never see it closed: MicroPython would poll it for ever. So
only `_write` writes, only one task reads, and `drop` stops both before it closes.
"""

import asyncio

from . import packets

_CHUNK = 512
_HEAD = 2
_MOST_QUEUED = 16
_MOST_SKIPPED = 2097152  # a longer message is an attack or nonsense, not worth the air


class PacketStream:
    """Reads and writes packets until `fault` says why no more.

    A message above `max_packet` bytes is read past without being kept.
    """

    def __init__(self, reader, writer, max_packet: int) -> None:
        self.fault = None
        self.leaving = False
        self._reader = reader
        self._writer = writer
        self._max_packet = max_packet
        self._out = []
        self._writing = False
        self._moved = asyncio.Event()
        self._tasks = []

    @property
    def busy(self) -> bool:
        """Whether something queued is not written yet."""
        return self._writing or bool(self._out)

    def begin(self, *coroutines) -> None:
        """Start the writer and these coroutines; `drop` ends them all."""
        for coroutine in (self._write(),) + coroutines:  # noqa: RUF005 - smaller on MicroPython
            self._tasks.append(asyncio.create_task(coroutine))

    def queue(self, packet: bytes) -> None:
        """Have the writer write `packet`, in this order."""
        self._out.append(packet)
        self._moved.set()

    def moved(self) -> None:
        """Let all who wait in `until` look again."""
        self._moved.set()

    async def until(self, fact) -> None:
        """Wait until `fact()` holds or the connection has ended."""
        while self.fault is None and not fact():
            self._moved.clear()
            await self._moved.wait()

    async def room(self) -> None:
        """Wait while the answers to what was read pile up."""
        if len(self._out) >= _MOST_QUEUED:
            await self.until(lambda: len(self._out) < _MOST_QUEUED)

    def fail(self, why: str) -> None:
        """The connection has ended; the first reason stays."""
        if self.fault is None:
            self.fault = "disconnected" if self.leaving else why
        self._moved.set()

    async def send(self, packet: bytes) -> None:
        """Write before `begin`; OSError when the other side is gone."""
        self._writer.write(packet)
        await self._writer.drain()

    async def read(self):
        """The next packet as (first byte, body, whole).

        A message that is too long, or for which there is no memory, comes with its topic and
        packet id only, and `whole` False. Malformed when no broker would send this.
        """
        start = await self._exactly(_HEAD)
        digits = start[1:]
        length = packets.length_so_far(digits)
        while length is None:
            digits += await self._exactly(1)
            length = packets.length_so_far(digits)
        body = self._space(length) if length <= self._max_packet else None
        if body is not None:
            return start[0], await self._fill(body), True
        if packets.check_flags(start[0]) != packets.PUBLISH or length > _MOST_SKIPPED:
            raise packets.Malformed("a packet of {} bytes".format(length))
        return start[0], await self._skip(length), False

    def drop(self) -> None:
        """Close the socket at once; whatever still waits here is told."""
        self.fail("closed by this device")
        self._stop()
        writer, self._writer = self._writer, None
        self._out = []
        if writer is None:
            return
        transport = getattr(writer, "transport", None)
        if transport is None:
            writer.s.close()  # MicroPython's close() does nothing
        else:
            transport.abort()

    async def leave(self, packet: bytes, timeout_ms: int) -> None:
        """Write a last packet, wait until the other side closes, then close."""
        self.leaving = True
        self.queue(packet)
        try:
            # Closing first would send a reset if bytes are unread, and that could undo the packet.
            await asyncio.wait_for(self.until(lambda: False), timeout_ms / 1000)
        except asyncio.TimeoutError:
            self.fail("no goodbye")
        finally:
            self.drop()

    async def _write(self) -> None:
        try:
            while self.fault is None:
                await self.until(lambda: self._out)
                self._writing = True
                while self._out:
                    await self.send(self._out.pop(0))
                self._writing = False
                self._moved.set()
        except Exception as error:  # noqa: BLE001 - told as the reason of the end
            self.fail("writing failed: {}".format(error))

    async def _exactly(self, length: int) -> bytearray:
        return await self._fill(bytearray(length))

    async def _fill(self, body: bytearray) -> bytearray:
        done, length = 0, len(body)
        while done < length:
            piece = await self._reader.read(min(length - done, _CHUNK))
            if not piece:
                raise OSError("the broker closed the connection")
            body[done : done + len(piece)] = piece
            done += len(piece)
        return body

    def _space(self, length: int) -> "bytearray | None":
        try:
            return bytearray(length)
        except MemoryError:
            return None

    async def _skip(self, length: int) -> bytearray:
        head = await self._exactly(min(_HEAD, length))
        wanted = ((head[0] << 8) | head[1]) + _HEAD if len(head) == _HEAD else 0
        if wanted > min(length - _HEAD, self._max_packet):
            raise packets.Malformed("a message whose topic does not fit into it")
        head += await self._exactly(wanted)
        left = length - len(head)
        while left:
            piece = await self._reader.read(min(left, _CHUNK))
            if not piece:
                raise OSError("the broker closed the connection")
            left -= len(piece)
        return head

    def _stop(self) -> None:
        try:
            current = asyncio.current_task()
        except RuntimeError:  # no loop runs any more
            current = None
        for task in self._tasks:
            if task is not current:  # a callback of the reader may have come here
                task.cancel()
        self._tasks = []
