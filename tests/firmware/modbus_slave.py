"""A Modbus unit that answers right, or as a test says; in the process or on a socket."""

import asyncio

from device.steamlink.modbus import crc16
from tests.firmware import web

SILENT = b""


class Slave:
    """Holds tables by function code, {address: value}; a missing address is exception 2.

    `script` has a function for each of the next answers: frame -> bytes to send instead.
    `asked` lists (unit, function code, address, count).
    """

    def __init__(self, framing="rtu", units=(1,)):
        self.framing = framing
        self.units = units
        self.tables = {1: {}, 2: {}, 3: {}, 4: {}}
        self.script = []
        self.asked = []
        self.exception = 0

    def answer(self, frame):
        """The bytes that a request gets."""
        frame = bytes(frame)
        if self.framing == "rtu":
            assert crc16(frame[:-2]) == frame[-2] | frame[-1] << 8
            unit, request = frame[0], frame[1:-2]
        else:
            assert frame[2:6] == bytes((0, 0, 0, len(frame) - 6))
            unit, request = frame[6], frame[7:]
        code = request[0]
        address, count = request[1] << 8 | request[2], request[3] << 8 | request[4]
        self.asked.append((unit, code, address, count))
        if unit not in self.units:
            return SILENT
        whole = self.wrap(unit, self._body(code, address, count), frame[:2])
        return self.script.pop(0)(whole) if self.script else whole

    def wrap(self, unit, body, transaction=b"\x00\x00"):
        """The frame of an answer."""
        if self.framing == "tcp":
            return transaction + bytes((0, 0, 0, len(body) + 1, unit)) + body
        crc = crc16(bytes((unit,)) + body)
        return bytes((unit,)) + body + bytes((crc & 255, crc >> 8))

    def _body(self, code, address, count):
        if self.exception:
            return bytes((code | 0x80, self.exception))
        table = self.tables[code]
        try:
            values = [table[address + number] for number in range(count)]
        except KeyError:
            return bytes((code | 0x80, 2))
        if code > 2:
            data = b"".join([bytes((value >> 8, value & 255)) for value in values])
        else:
            data = bytearray((count + 7) // 8)
            for number, value in enumerate(values):
                data[number >> 3] |= value << (number & 7)
        return bytes((code, len(data))) + bytes(data)


class Line:
    """A bus within the process; `piece` bytes at most at once."""

    def __init__(self, slave, piece=256):
        self.slave = slave
        self.piece = piece
        self.pending = b""
        self.closed = 0
        self.fails = None

    async def write(self, data):
        if self.fails is not None:
            raise self.fails
        self.pending += self.slave.answer(data)

    async def read(self, most, timeout_ms):
        await asyncio.sleep(0)
        taken = self.pending[: min(most, self.piece)]
        self.pending = self.pending[len(taken) :]
        return taken

    def discard(self):
        self.pending = b""

    async def close(self):
        self.closed += 1
        self.pending = b""


class LateLine:
    """A line in virtual time whose unit answers everything it heard, `delay_ms` after it got to it.

    With `noise_ms` a stray byte comes that often.
    """

    def __init__(self, slave, delay_ms, noise_ms=0):
        self.slave = slave
        self.delay_ms = delay_ms
        self.noise_ms = noise_ms
        self.now_ms = 0
        self._free_ms = 0
        self._noisy_ms = 0
        self._answers = []  # [when, bytes]

    async def write(self, data):
        self._free_ms = max(self.now_ms, self._free_ms) + self.delay_ms
        self._answers.append([self._free_ms, self.slave.answer(data)])

    def _rustle(self, until_ms):
        while self.noise_ms and self._noisy_ms + self.noise_ms <= until_ms:
            self._noisy_ms += self.noise_ms
            self._answers.append([self._noisy_ms, b"\x00"])
        if self.noise_ms:
            self._answers.sort(key=lambda answer: answer[0])

    async def read(self, most, timeout_ms):
        until_ms = self.now_ms + timeout_ms
        self._rustle(until_ms)
        taken = b""
        while self._answers and self._answers[0][0] <= until_ms and len(taken) < most:
            at_ms, answer = self._answers[0]
            self.now_ms = max(self.now_ms, at_ms)
            piece = answer[: most - len(taken)]
            taken += piece
            self._answers[0][1] = answer[len(piece) :]
            if not self._answers[0][1]:
                self._answers.pop(0)
        if len(taken) < most:
            self.now_ms = until_ms
        return taken

    def discard(self):
        self._rustle(self.now_ms)
        while self._answers and self._answers[0][0] <= self.now_ms:
            self._answers.pop(0)


class Stream:
    """A bus on a socket, connected when it is first used, and again after `close`.

    As those of the boards do, `read` gives fewer bytes than `most` only when its time is over.
    """

    def __init__(self, port):
        self.port = port
        self.connections = 0
        self._reader = None
        self._writer = None

    async def write(self, data):
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(web.HOST, self.port)
            self.connections += 1
        self._writer.write(data)
        await self._writer.drain()

    async def read(self, most, timeout_ms):
        taken = bytearray()
        try:  # noqa: SIM105 - MicroPython has no contextlib
            await asyncio.wait_for(self._gather(taken, most), timeout_ms / 1000)
        except asyncio.TimeoutError:  # noqa: UP041 - on MicroPython they differ
            pass
        return bytes(taken)

    async def _gather(self, taken, most):
        while len(taken) < most:
            piece = await self._reader.read(most - len(taken))
            if not piece:
                return
            taken.extend(piece)

    def discard(self):
        """Serial lines only; frames of TCP carry their number."""

    async def close(self):
        if self._writer is not None:
            web.close(self._writer)
        self._reader = self._writer = None


class Server:
    """A slave on a socket; `pace_s` has it send byte by byte."""

    def __init__(self, slave, pace_s=0):
        self.slave = slave
        self._pace_s = pace_s
        self._server = None
        self._writers = []

    async def __aenter__(self):
        self._server, port = await web.listen(self._take)
        return Stream(port)

    async def __aexit__(self, *_):
        self._server.close()
        for writer in self._writers:
            web.close(writer)
        await asyncio.sleep(0.01)

    async def _take(self, reader, writer):
        self._writers.append(writer)
        size = 8 if self.slave.framing == "rtu" else 12
        try:
            while True:
                request = await reader.readexactly(size)
                answer = self.slave.answer(request)
                step = 1 if self._pace_s else len(answer) or 1
                for at in range(0, len(answer), step):
                    writer.write(answer[at : at + step])
                    await writer.drain()
                    if self._pace_s:
                        await asyncio.sleep(self._pace_s)
        except (OSError, EOFError):
            pass
