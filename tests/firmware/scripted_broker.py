"""A broker that does what a test tells it, right or wrong; on CPython and MicroPython."""

import asyncio
import socket
import time

CONNECT = 0x10
PUBLISH = 0x30
SUBSCRIBE = 0x80
PINGREQ = 0xC0
DISCONNECT = 0xE0
_PATIENCE_S = 20  # only where something fails, or the machine is busy


def run(coroutine):
    """Run a test in an event loop of its own: MicroPython's would keep the tasks of the last."""
    if hasattr(time, "ticks_ms"):
        asyncio.new_event_loop()
    return asyncio.run(asyncio.wait_for(coroutine, _PATIENCE_S))


def real_ms():
    """Milliseconds that only grow."""
    return time.ticks_ms() if hasattr(time, "ticks_ms") else int(time.monotonic() * 1000)


async def failure_of(awaitable):
    """The error that this raises, or None."""
    try:
        await awaitable
    except Exception as error:  # noqa: BLE001 - the test looks at it
        return error
    return None


async def eventually(fact):
    """Wait until `fact()` holds; AssertionError after some seconds."""
    until = real_ms() + _PATIENCE_S * 800
    while not fact():
        assert real_ms() < until, "never came true"
        await asyncio.sleep(0.002)


class Gone(Exception):
    """The client has closed the connection."""


class Session:
    """The broker's end of one connection; `seen` lists the packets as (first byte, body)."""

    def __init__(self, reader, writer):
        self.seen = []
        self.gone = False
        self._reader = reader
        self._writer = writer

    async def packet(self):
        """The client's next packet; Gone when there is none."""
        first = (await self._exactly(1))[0]
        length = shift = 0
        while True:
            digit = (await self._exactly(1))[0]
            length |= (digit & 0x7F) << shift
            shift += 7
            if digit < 0x80:
                break
        packet = (first, await self._exactly(length))
        self.seen.append(packet)
        return packet

    async def accept(self, answer=b"\x20\x02\x00\x00"):
        """Take the CONNECT and answer."""
        first, _ = await self.packet()
        assert first == CONNECT
        await self.send(answer)

    async def send(self, data):
        self._writer.write(data)
        await self._writer.drain()

    async def dribble(self, data):
        """Send byte by byte, each in a segment of its own."""
        for place in range(len(data)):
            await self.send(data[place : place + 1])
            await asyncio.sleep(0.001)

    async def serve(self, acknowledge=None):
        """Answer everything as a broker does; `acknowledge(packet id)` -> ids to acknowledge."""
        while True:
            first, body = await self.packet()
            kind = first & 0xF0
            if kind == PUBLISH and first & 0x02:
                packet_id = id_of(body)
                for each in [packet_id] if acknowledge is None else acknowledge(packet_id):
                    await self.send(b"\x40\x02" + each.to_bytes(2, "big"))
            elif kind == SUBSCRIBE:
                await self.send(b"\x90\x03" + bytes(body[:2]) + b"\x01")
            elif kind == PINGREQ:
                await self.send(b"\xd0\x00")
            elif kind == DISCONNECT:
                return

    async def silence(self):
        """Neither read nor write, as when the cable is cut."""
        await asyncio.sleep(60)

    def of_kind(self, kind):
        """The packets seen so far of one type."""
        return [packet for packet in self.seen if packet[0] & 0xF0 == kind]

    def published(self):
        """The PUBLISH packets seen so far, as (packet id, DUP, payload)."""
        found = []
        for first, body in self.of_kind(PUBLISH):
            start = 2 + int.from_bytes(body[:2], "big")
            found.append((id_of(body), bool(first & 0x08), bytes(body[start + 2 :])))
        return found

    def close(self):
        if hasattr(self._writer, "transport"):
            self._writer.transport.abort()
        else:
            self._writer.s.close()

    async def _exactly(self, length):
        data, done = bytearray(length), 0
        while done < length:
            piece = await self._reader.read(min(length - done, 16384))
            if not piece:
                self.gone = True
                raise Gone
            data[done : done + len(piece)] = piece
            done += len(piece)
        return data


class Broker:
    """Runs `script(session)` for each connection; closes the connection when it returns."""

    def __init__(self, script):
        self.sessions = []
        self.faults = []
        self.port = 0
        self._script = script
        self._tasks = []
        self._server = None

    async def start(self):
        port = 20000 + real_ms() % 12000
        while self._server is None:
            port += 1  # MicroPython cannot tell which free port it was given
            try:
                self._server = await asyncio.start_server(self._connected, "127.0.0.1", port)
            except OSError:
                assert port < 40000, "no free port"
        self.port = port
        return self

    async def stop(self):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.sleep(0.002)
        for session in self.sessions:
            session.close()
        await asyncio.sleep(0.002)
        assert not self.faults, self.faults

    async def _connected(self, reader, writer):
        session = Session(reader, writer)
        self.sessions.append(session)
        self._tasks.append(asyncio.current_task())
        try:
            await self._script(session)
        except (Gone, OSError, asyncio.CancelledError):
            session.gone = True
        except AssertionError as error:
            self.faults.append(error)
        session.close()


class DeafHost:
    """A port whose backlog is full: it swallows every further attempt to connect."""

    def __init__(self):
        self.port = 20000 + real_ms() % 12000
        self._sockets = [socket.socket()]
        while True:
            try:
                self._sockets[0].bind(self._address())
                break
            except OSError:
                self.port += 1
        self._sockets[0].listen(0)
        for _ in range(4):
            waiting = socket.socket()
            waiting.setblocking(False)
            self._sockets.append(waiting)
            try:
                waiting.connect(self._address())
            except OSError:
                continue  # it is under way

    def close(self):
        for each in self._sockets:
            each.close()

    def _address(self):
        return socket.getaddrinfo("127.0.0.1", self.port)[0][-1]


def id_of(body):
    """The packet id of a PUBLISH of QoS 1."""
    start = 2 + int.from_bytes(body[:2], "big")
    return int.from_bytes(body[start : start + 2], "big")


def topic_of(body):
    """The topic of a PUBLISH."""
    return bytes(body[2 : 2 + int.from_bytes(body[:2], "big")]).decode()


def message(topic, payload, packet_id=0, flags=0):
    """A PUBLISH as a broker sends it; QoS 1 with a packet id."""
    body = len(topic).to_bytes(2, "big") + topic.encode()
    if packet_id:
        flags |= 0x02
        body += packet_id.to_bytes(2, "big")
    length = len(body) + len(payload)
    digits = b""
    while True:
        digits += bytes((length & 0x7F | (0x80 if length > 0x7F else 0),))
        length >>= 7
        if not length:
            return bytes((PUBLISH | flags,)) + digits + body + payload
