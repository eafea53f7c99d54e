"""A Modbus master that can only read: RTU with CRC16, and TCP with MBAP.

Function codes 1 to 4 (read coils, discrete inputs, holding and input registers) are all there
is. There is no code that writes, not even switched off: what is on the other end fires a
boiler, and monitoring must have no way to start, stop or set it, by a bug, a stolen password or
a mistyped address. Source: MODBUS Application Protocol V1.1b3 (6.1 to 6.4, 7), MODBUS over
Serial Line V1.02 (2.5), MODBUS Messaging on TCP/IP V1.0b (3.1).
"""

import asyncio

from . import contract
from .constant import const
from .sensors import SensorError, sleep_ms

# The function code of each table; bits for the first two, registers of 16 bits for the others.
TABLES = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
MOST_REGISTERS = 125
MOST_BITS = 2000

_BIT_CODES = const((1, 2))
_EXCEPTION = const(0x80)
_POLYNOMIAL = const(0xA001)
_MOST_UNIT = const(255)
# Unit, function and data (V1.0b, 3.1.3).
_LEAST_TCP = const(3)
_MOST_TCP = const(254)
_MOST_STALE = const(4)
_MOST_RTU = const(256)
_NOISY_WAITS = const(2)
# More would leave a sensor's turn no room for the question that comes after.
_MOST_QUIET_MS = const(500)
# Between two frames: 3.5 characters of 11 bits, but never less than 1.75 ms (V1.02, 2.5.1.1).
_PAUSE_BITS_MS = const(38500)
_LEAST_PAUSE_MS = const(2)
_BAUD = const(9600)

# What a device says, as (OPC code, words): V1.1b3, 7.
_EXCEPTIONS = {
    1: (contract.CONFIGURATION_ERROR, "does not know this function"),
    2: (contract.CONFIGURATION_ERROR, "has no such address"),
    3: (contract.CONFIGURATION_ERROR, "refuses the number of values"),
    4: (contract.DEVICE_FAILURE, "has failed"),
    5: (contract.COMMUNICATION_FAILURE, "needs more time"),
    6: (contract.COMMUNICATION_FAILURE, "is busy"),
    8: (contract.DEVICE_FAILURE, "has a memory fault"),
    10: (contract.CONFIGURATION_ERROR, "is behind a gateway without a path to it"),
    11: (contract.COMMUNICATION_FAILURE, "does not answer its gateway"),
}
_MASTERS = []


def crc16(data):
    """The CRC of an RTU frame, sent low byte first (V1.02, 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ _POLYNOMIAL if crc & 1 else crc >> 1
    return crc


def master(bus, framing, timeout_ms=300, retries=1):
    """The one master of a bus, shared by all sensors on it; framing "rtu" or "tcp".

    ValueError for a sensor that wants it otherwise than those before it.
    """
    if framing not in ("rtu", "tcp"):
        raise ValueError("framing {!r}: rtu or tcp".format(framing))
    wanted = framing, timeout_ms, retries
    for known, its_master, has in _MASTERS:
        if known is bus:
            if has != wanted:
                raise ValueError(
                    "framing, answer_ms, retries: {} {} {}; the bus has {} {} {} from a sensor "
                    "before".format(*(wanted + has))
                )
            return its_master
    made = (Rtu if framing == "rtu" else Tcp)(bus, timeout_ms, retries)
    _MASTERS.append((bus, made, wanted))
    return made


class Master:
    """Asks one unit at a time and gives what it answers.

    The bus has write(bytes), read(most, timeout_ms) -> bytes, discard(), a serial one `baud`, and
    for TCP close().
    """

    def __init__(self, bus, timeout_ms=300, retries=1):
        self.bus = bus
        self.timeout_ms = timeout_ms
        self.retries = retries
        self._lock = asyncio.Lock()
        self._torn = False
        self._owed = False

    async def read(self, unit, table, address, count):
        """Read `count` values from `address` (as sent, from 0): a list of int, 0 or 1 for bits.

        SensorError tells what went wrong: no answer, a broken frame, or an exception. An
        exception is an answer and is not asked again, nor is the silence of a unit on RTU.
        """
        code = TABLES[table]
        most = MOST_BITS if code in _BIT_CODES else MOST_REGISTERS
        if (
            not 1 <= count <= most
            or not 0 <= address <= 0x10000 - count
            or not 0 <= unit <= _MOST_UNIT
        ):
            raise ValueError(
                "unit {} {} {} x {}: outside Modbus".format(unit, table, address, count)
            )
        size = (count + 7) // 8 if code in _BIT_CODES else 2 * count
        request = bytes((code, address >> 8, address & 255, count >> 8, count & 255))
        async with self._lock:
            data = await self._try(unit, request, size)
        if code in _BIT_CODES:
            return [data[number >> 3] >> (number & 7) & 1 for number in range(count)]
        return [data[number] << 8 | data[number + 1] for number in range(0, size, 2)]

    async def _try(self, unit, request, size):
        attempt = 0
        while True:
            try:
                if self._torn:
                    await self._mend(unit)
                # Whatever stops this half way, a time-out of the caller too, leaves half a frame.
                self._torn = True
                data = await self._exchange(unit, request, size)
                self._torn = False
            except SensorError:
                if self._owed or attempt >= self.retries:
                    raise
            except OSError as fault:
                if attempt >= self.retries:
                    raise _lost(unit, "bus: {}".format(fault)) from fault
            else:
                if data[0] == request[0]:
                    return data[2:]
                raise _exception(unit, data[1])
            attempt += 1

    async def _take(self, count, what, unit):
        """Exactly `count` bytes, or SensorError once the unit falls silent."""
        taken = b""
        while len(taken) < count:
            more = await self.bus.read(count - len(taken), self.timeout_ms)
            if not more:
                if taken or what:
                    raise _lost(unit, "answer breaks off {}".format(what or "at its start"))
                raise _lost(unit, "no answer within {} ms".format(self.timeout_ms))
            taken += more
        return taken


class Rtu(Master):
    """Frames of a serial line: unit, function, data, CRC16.

    An answer does not name its question, so a late one would pass for the next one's: while one
    may be owed nothing is asked again, and the line must first have been silent for as long as a
    unit may take, or half a second. On one that noise keeps from falling silent twice as long must
    have passed instead; one that is full of bytes is not asked at all.
    """

    def __init__(self, bus, timeout_ms=300, retries=1):
        super().__init__(bus, timeout_ms, retries)
        baud = getattr(bus, "baud", _BAUD)
        self._pause_ms = max(_PAUSE_BITS_MS // baud + 1, _LEAST_PAUSE_MS)
        self._listened = 0

    async def _mend(self, unit):
        if not self._owed:
            await sleep_ms(self._pause_ms)
            return
        self.bus.discard()
        quiet_ms = min(self.timeout_ms, _MOST_QUIET_MS)
        try:
            for _ in range(_MOST_STALE):
                heard = len(await self.bus.read(_MOST_RTU, quiet_ms))
                # What was filled did not last its time. Counted over turns: each may be cut off.
                self._listened += heard < _MOST_RTU
                if not heard or self._listened >= _NOISY_WAITS:
                    return
        except OSError:
            return  # it is closed: nothing comes any more, and the next write opens it
        raise _lost(unit, "its line does not fall silent")

    async def _exchange(self, unit, request, size):
        frame = bytes((unit,)) + request
        crc = crc16(frame)
        self.bus.discard()
        # Before it is sent: who is stopped meanwhile may have sent all of it.
        self._owed = True
        self._listened = 0
        await self.bus.write(frame + bytes((crc & 255, crc >> 8)))
        head = await self._take(3, "", unit)
        left, where = size + 2, "in its data"
        if head[1] == request[0] | _EXCEPTION:
            left, where = 2, "in an exception"
        # Length and function are checked before they are believed: a wrong length would have the
        # next answer read as the end of this one.
        elif head[1] != request[0] or head[2] != size:
            raise _lost(unit, "answer to another question ({})".format(_hex(head)))
        try:
            whole = head + await self._take(left, where, unit)
        except SensorError:
            # It broke off, and the line has been silent since.
            self._owed = head[0] != unit
            raise
        self._owed = head[0] != unit
        if crc16(whole[:-2]) != whole[-2] | whole[-1] << 8:
            raise _lost(unit, "CRC is wrong")
        if head[0] != unit:
            raise _lost(unit, "unit {} answered".format(head[0]))
        await sleep_ms(self._pause_ms)
        return whole[1:-2]


class Tcp(Master):
    """Frames of TCP: transaction, protocol 0, length, unit, function, data."""

    def __init__(self, bus, timeout_ms=300, retries=1):
        super().__init__(bus, timeout_ms, retries)
        self._transaction = 0

    async def _mend(self, _unit):
        # Half a frame may be on its way: only a new connection is in step again.
        await self.bus.close()

    async def _exchange(self, unit, request, size):
        self._transaction = transaction = self._transaction + 1 & 0xFFFF
        await self.bus.write(
            bytes((transaction >> 8, transaction & 255, 0, 0, 0, 1 + len(request), unit)) + request
        )
        for _ in range(_MOST_STALE):
            head = await self._take(7, "", unit)
            length = head[4] << 8 | head[5]
            if head[2] or head[3] or not _LEAST_TCP <= length <= _MOST_TCP:
                raise _lost(unit, "no Modbus header ({})".format(_hex(head)))
            body = await self._take(length - 1, "in its data", unit)
            if head[0] << 8 | head[1] == transaction:
                return _checked(unit, head[6], request[0], size, body)
        raise _lost(unit, "only old answers")


def _checked(unit, answered, function, size, body):
    if answered != unit:
        raise _lost(unit, "unit {} answered".format(answered))
    if body[0] == function | _EXCEPTION and len(body) == 2:  # noqa: PLR2004 - code and reason
        return body
    if body[0] != function or body[1] != size or len(body) != size + 2:
        raise _lost(unit, "answer to another question ({})".format(_hex(body[:3])))
    return body


def _exception(unit, number):
    code, words = _EXCEPTIONS.get(
        number, (contract.COMMUNICATION_FAILURE, "gives an unknown reason")
    )
    return SensorError(code, "unit {} {} (exception {})".format(unit, words, number))


def _lost(unit, words):
    return SensorError(contract.COMMUNICATION_FAILURE, "unit {}: {}".format(unit, words))


def _hex(data):
    return " ".join(["{:02x}".format(byte) for byte in data])
