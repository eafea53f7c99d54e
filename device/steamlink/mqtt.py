"""An MQTT 3.1.1 client on asyncio streams (OASIS MQTT 3.1.1): QoS 0 and 1, one connection.

The owner connects, runs, and connects anew after each end, with its own waits in between. What
was not acknowledged is listed until the next `connect`; nothing is kept beyond that.
"""

import asyncio
import gc

from . import packets, stream
from .constant import const

_LAST_ID = const(65535)
_MOST_IN_FLIGHT = const(32)


class ConnectionLost(OSError):
    """The connection ended or never was; the text says why."""


class Refused(ConnectionLost):
    """The broker refused: `code` is CONNACK's 1..5, or 128 for a subscription."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class TlsFault(ConnectionLost):
    """The broker's certificate or its TLS is not to be trusted; the text says why."""


class Client:
    """One client, which its owner connects, runs and connects again.

    The owner sets `on_acknowledged(packet_id)` and `on_message(topic, payload, retained)`; a
    fault in one of them is counted and does not end the connection.
    `will` is (topic, payload). `up_ms()` gives ms that only grow; `tick_ms` is how often the
    time limits are looked at. `await resolve(host)` gives the address where the system's way
    would hold up the loop. `strays`, `resends`, `oversize`, `callback_faults` only grow.
    """

    def __init__(  # noqa: PLR0913 - what MQTT lets one choose
        self,
        *,
        client_id: str,
        user=None,
        password=None,
        keepalive_s: int = 30,
        clean: bool = True,
        will=None,
        max_packet: int = 8192,
        puback_timeout_ms: int = 10000,
        retries: int = 3,
        up_ms,
        first_id: int = 1,
        tick_ms: int = 1000,
        open_connection=None,
        resolve=None,
    ) -> None:
        self.on_acknowledged = None
        self.on_message = None
        self.strays = 0  # acknowledgements of nothing in flight
        self.resends = 0
        self.oversize = 0  # messages refused for their size
        self.callback_faults = 0
        self.callback_fault = ""  # the last of them
        self._identity = (client_id, user, password, clean, will, keepalive_s)
        self._keepalive_s = keepalive_s
        self._max_packet = max_packet
        self._puback_ms = puback_timeout_ms
        self._retries = retries
        self._up_ms = up_ms
        self._next_id = first_id
        self._tick_ms = tick_ms
        self._open_connection = open_connection or asyncio.open_connection
        self._resolve = resolve
        self._stream = None
        self._flying = []  # [packet id, since_ms, times sent, (topic, payload, retain)]
        self._subscription = None  # [packet id, since_ms, granted]
        self._heard_ms = self._said_ms = self._pinged_ms = 0

    # -- the connection

    async def connect(
        self, host: str, port: int, tls=None, server_name=None, timeout_ms: int = 15000
    ) -> bool:
        """Connect and tell whether the broker had kept the session.

        `timeout_ms` holds for name, TCP, TLS and CONNACK together. Forgets what was in flight.
        Raises Refused, TlsFault, or ConnectionLost. Never goes on without TLS when `tls` is given.
        """
        self.close()
        self._flying = []
        self._subscription = None
        hello = packets.connect(*self._identity)
        if hasattr(gc, "mem_free"):  # a board: room for TLS, and sockets of failed attempts closed
            gc.collect()
        where = "{}:{}".format(host, port)
        try:
            opened = self._open(host, port, tls, server_name or host, hello)
            present = await asyncio.wait_for(opened, timeout_ms / 1000)
            self._heard_ms = self._said_ms = self._pinged_ms = self._up_ms()
            live = self._stream
            live.begin(self._read(live), self._keep(live))
        except BaseException as error:  # noqa: BLE001 - all of them end the connection
            self.close()
            raise _reason(error, where, tls, timeout_ms) from None
        return present

    async def run(self) -> None:
        """Stay until the connection ends, then raise ConnectionLost."""
        live = self._live()
        try:
            await live.until()
        finally:
            live.drop()
        raise ConnectionLost(live.fault)

    async def disconnect(self, timeout_ms: int = 1000) -> None:
        """Say goodbye, so that the broker does not publish the will, and close when it has."""
        if self._stream is not None and self._stream.fault is None:
            await self._stream.leave(packets.DISCONNECT, timeout_ms)
        self.close()

    def close(self) -> None:
        """Drop the connection without a goodbye: the broker publishes the will."""
        if self._stream is not None:
            self._stream.drop()

    # -- messages

    @property
    def in_flight(self) -> int:
        """How many messages wait for their PUBACK."""
        return len(self._flying)

    def unacknowledged(self) -> list[int]:
        """The packet ids of the messages in flight, oldest first; until the next `connect`."""
        return [flight[0] for flight in self._flying]

    async def publish(
        self, topic: str, payload: bytes, qos: int = 1, dup: bool = False, retain: bool = False
    ) -> int:
        """Queue a message and return its packet id, 0 with QoS 0.

        Waits until the one before is written and fewer than 32 are in flight; the id is returned
        before its PUBACK can be told. Cancelled or ConnectionLost: it was not queued.
        """
        live = self._live()
        await live.until(lambda: not live.busy() and len(self._flying) < _MOST_IN_FLIGHT)
        self._live()
        packet_id = self._free_id() if qos else 0
        start = packets.publish(
            topic, len(payload), qos=qos, packet_id=packet_id, dup=dup, retain=retain
        )
        self._say(live, start, payload)
        if qos:
            self._flying.append([packet_id, self._said_ms, 1, (topic, payload, retain)])
        return packet_id

    async def subscribe(self, topic: str, qos: int = 1) -> int:
        """Subscribe to one topic and return the granted QoS; one at a time.

        Raises Refused (the connection stays) or ConnectionLost.
        """
        live = self._live()
        if self._subscription is not None:
            raise ValueError("one subscription at a time")
        asked = self._subscription = [self._free_id(), self._up_ms(), None]
        try:
            self._say(live, packets.subscribe(asked[0], topic, qos))
            await live.until(lambda: asked[2] is not None)
        finally:
            self._subscription = None
        if asked[2] is None:
            raise ConnectionLost(live.fault)
        if asked[2] == packets.NOT_GRANTED:
            raise Refused(asked[2], "not allowed to subscribe {}".format(topic))
        return asked[2]

    # -- inside

    async def _open(self, host, port, tls, server_name, hello) -> bool:
        place = host if self._resolve is None else await self._resolve(host)
        if tls is None:
            opening = self._open_connection(place, port)
        else:
            opening = self._open_connection(place, port, ssl=tls, server_hostname=server_name)
        reader, writer = await opening
        live = self._stream = stream.PacketStream(reader, writer, self._max_packet)
        await live.send(hello)
        first, body, _ = await live.read()
        if packets.check_flags(first) != packets.CONNACK:
            raise packets.Malformed("something else than CONNACK")
        present, code = packets.parse_connack(body)
        if code:
            why = "{}:{} refused: {}".format(host, port, packets.REFUSALS[code])
            raise Refused(code, why)
        return present

    def _live(self):
        live = self._stream
        if live is None or live.fault is not None:
            raise ConnectionLost("not connected" if live is None else live.fault)
        return live

    def _say(self, live, packet: bytes, payload: bytes = b"") -> None:
        self._said_ms = self._up_ms()
        live.queue(packet, payload)

    def _free_id(self) -> int:
        taken = self.unacknowledged()
        if self._subscription is not None:
            taken.append(self._subscription[0])
        while True:
            packet_id = self._next_id
            self._next_id = packet_id % _LAST_ID + 1
            if packet_id not in taken:
                return packet_id

    async def _read(self, live) -> None:
        try:
            while live.fault is None:
                first, body, whole = await live.read()
                self._heard_ms = self._up_ms()
                self._take(live, first, body, whole)
        except packets.Malformed as error:
            live.fail("the broker sent {}".format(error))
        except Exception as error:  # noqa: BLE001 - told as the reason of the end
            live.fail(_words(error))

    def _take(self, live, first: int, body: bytearray, whole: bool) -> None:
        kind = packets.check_flags(first)
        if kind == packets.PUBLISH:
            self._message(live, first, body, whole)
        elif kind == packets.PUBACK:
            self._acknowledge(packets.parse_id(body))
        elif kind == packets.SUBACK:
            self._grant(packets.parse_id(body), packets.parse_suback(body))
        elif kind == packets.CONNACK:
            raise packets.Malformed("a second CONNACK")
        live.moved.set()

    def _message(self, live, first: int, body: bytearray, whole: bool) -> None:
        topic, packet_id, retained, start = packets.parse_publish(first, body)
        try:
            payload = bytes(memoryview(body)[start:]) if whole else None
        except MemoryError:
            payload = None
        if payload is None:
            self.oversize += 1
        else:
            self._tell(self.on_message, topic, payload, retained)
        # Refused messages too: a broker that keeps the session would send them for ever.
        if packet_id and live.fault is None:
            self._say(live, packets.puback(packet_id))

    def _acknowledge(self, packet_id: int) -> None:
        for flight in self._flying:
            if flight[0] == packet_id:
                self._flying.remove(flight)
                self._tell(self.on_acknowledged, packet_id)
                return
        self.strays += 1

    def _grant(self, packet_id: int, granted: int) -> None:
        if self._subscription is not None and self._subscription[0] == packet_id:
            self._subscription[2] = granted
        else:
            self.strays += 1

    def _tell(self, callback, *arguments) -> None:
        try:
            if callback is not None:
                callback(*arguments)
        except Exception as error:  # noqa: BLE001 - the owner's fault is not the connection's
            self.callback_faults += 1
            self.callback_fault = _words(error)

    async def _keep(self, live) -> None:
        try:
            while live.fault is None:
                await asyncio.sleep(self._tick_ms / 1000)
                now_ms = self._up_ms()
                # Late ones first: a ping that waits to be written would hold them up.
                why = self._late(live, now_ms) or self._silence(live, now_ms)
                if why:
                    live.fail(why)
        except Exception as error:  # noqa: BLE001 - nobody would look at the limits any more
            live.fail(_words(error))

    def _silence(self, live, now_ms: int) -> str:
        """Ping where it is due; why the connection is dead, if it is."""
        limit_ms = self._keepalive_s * 1000
        silent_ms = now_ms - self._heard_ms
        if not limit_ms:
            return ""
        if silent_ms >= limit_ms:
            return "nothing heard for {} ms".format(silent_ms)
        part_ms = limit_ms // 4
        # Half a keepalive without a word of ours, however much the broker talks, is a ping too.
        due = silent_ms >= part_ms or now_ms - self._said_ms >= 2 * part_ms
        if due and now_ms - self._pinged_ms >= part_ms:
            self._pinged_ms = now_ms
            self._say(live, packets.PINGREQ)
        return ""

    def _late(self, live, now_ms: int) -> str:
        """Send again what was not acknowledged in time; why to give up, if so."""
        asked = self._subscription
        if asked is not None and now_ms - asked[1] >= self._puback_ms:
            return "no SUBACK within {} ms".format(self._puback_ms)
        stuck = live.busy()
        for flight in self._flying:
            packet_id, since_ms, times, (topic, payload, retain) = flight
            if now_ms - since_ms < self._puback_ms:
                continue
            if times > self._retries:
                return "no PUBACK after sending {} times".format(times)
            flight[1:3] = now_ms, times + 1
            if not stuck:  # else nothing gets out: another copy would only take memory
                self.resends += 1
                start = packets.publish(
                    topic, len(payload), qos=1, packet_id=packet_id, dup=True, retain=retain
                )
                self._say(live, start, payload)
        return ""


def _words(error: BaseException) -> str:
    return str(error) if isinstance(error, OSError) else type(error).__name__ + ": " + str(error)


def _reason(error: BaseException, where: str, tls, timeout_ms: int) -> BaseException:
    """Why connecting failed, as a ConnectionLost; what is no fault of the other side stays."""
    if isinstance(error, ConnectionLost):
        return error
    if isinstance(error, asyncio.TimeoutError):
        return ConnectionLost("{} did not answer within {} ms".format(where, timeout_ms))
    if isinstance(error, packets.Malformed):
        return ConnectionLost("{} sent {}".format(where, error))
    if tls is not None:
        from .tls import is_fault

        if is_fault(error):
            return TlsFault("{} over TLS: {}".format(where, " ".join(str(error).split())))
    return ConnectionLost("{}: {}".format(where, error)) if isinstance(error, OSError) else error
