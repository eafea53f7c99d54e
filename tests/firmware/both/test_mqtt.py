"""The MQTT client against brokers that misbehave, on both interpreters.

The client's clock runs 20 times as fast as the world's: a keepalive of 2 s is 100 ms here.
"""

import asyncio
import gc
import random
import unittest

from device.steamlink import mqtt, packets
from tests.firmware.scripted_broker import (
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PUBLISH,
    Broker,
    DeafHost,
    eventually,
    failure_of,
    message,
    real_ms,
    run,
)

FASTER = 20
PUBACK = 0x40


def client(**changes):
    """A client in a hurry; `acks` and `messages` list what its owner was told."""
    settings = {
        "client_id": "cal-1",
        "keepalive_s": 600,
        "puback_timeout_ms": 600000,
        "up_ms": lambda: FASTER * real_ms(),
        "tick_ms": 3,
    }
    settings.update(changes)
    made = mqtt.Client(**settings)
    made.acks = []
    made.messages = []
    made.on_acknowledged = made.acks.append
    made.on_message = lambda *parts: made.messages.append(parts)
    return made


class HandClock:
    """Time that passes only when a test says so, and only once the client has looked at it."""

    def __init__(self):
        self.now_ms = 1000000
        self._asked = 0

    def up_ms(self):
        self._asked += 1
        return self.now_ms

    async def pass_ms(self, ms, task=None):
        """Go on by `ms`, and return when the client has looked or `task` is done."""
        self.now_ms += ms
        asked = self._asked
        await eventually(lambda: self._asked > asked or (task and task.done()))


async def ended(one):
    """What ended the connection, as `run` raises it."""
    return await asyncio.wait_for(failure_of(one.run()), 3)


async def published(one, times):
    """Publish so often and return the packet ids."""
    ids = []
    for _ in range(times):
        ids.append(await one.publish("t", b"x"))  # noqa: PERF401 - MicroPython has no await there
    return ids


def against(script, test, **changes):
    """Run `test(client, broker)` with the client connected to a broker that does `script`."""

    async def all_of_it():
        broker = await Broker(script).start()
        one = client(**changes)
        try:
            await one.connect("127.0.0.1", broker.port, timeout_ms=1000)
            await test(one, broker)
        finally:
            one.close()
            await broker.stop()

    run(all_of_it())


def refused_by(script, timeout_ms=1000, **changes):
    """How connecting to a broker that does `script` fails."""

    async def all_of_it():
        broker = await Broker(script).start()
        one = client(**changes)
        try:
            return await failure_of(one.connect("127.0.0.1", broker.port, timeout_ms=timeout_ms))
        finally:
            one.close()
            await broker.stop()

    return run(all_of_it())


async def good(session):
    """A broker that does everything right."""
    await session.accept()
    await session.serve()


def answering(data):
    """A broker that accepts, sends this, and reads on."""

    async def script(session):
        await session.accept()
        await session.send(data)
        await session.serve()

    return script


class TestConnecting(unittest.TestCase):
    """From a name to CONNACK."""

    def test_connect_to_kept_session_tells_so(self):
        """Session present is an answer, not a fault: mqtt_as refuses it."""

        async def kept(session):
            await session.accept(b"\x20\x02\x01\x00")
            await session.serve()

        async def all_of_it():
            broker = await Broker(kept).start()
            one = client(clean=False)
            try:
                self.assertTrue(await one.connect("127.0.0.1", broker.port))
                await one.publish("t", b"x")
                await eventually(lambda: one.acks == [1])
                self.assertEqual(broker.sessions[0].of_kind(CONNECT)[0][1][7] & 0x02, 0)
            finally:
                one.close()
                await broker.stop()

        run(all_of_it())

    def test_connect_that_is_refused_tells_the_code(self):
        """Each return code 1 to 5 comes as Refused, with words."""
        for code in range(1, 6):

            async def refusing(session, code=code):
                await session.accept(bytes((0x20, 2, 0, code)))

            error = refused_by(refusing)
            self.assertIsInstance(error, mqtt.Refused)
            self.assertEqual(error.code, code)
            self.assertIn("refused", str(error))

    def test_connack_in_single_bytes_is_understood(self):
        """A CONNACK may come in as many segments as it has bytes."""

        async def slow(session):
            await session.packet()
            await session.dribble(b"\x20\x02\x00\x00")
            await session.serve()

        async def test(one, broker):
            await one.publish("t", b"x")
            await eventually(lambda: one.acks == [1])

        against(slow, test)

    def test_connect_answered_with_nonsense_is_lost(self):
        """Garbage, another packet, a CONNACK of code 6, of 5 length bytes, a giant one."""
        for answer in (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"\xd0\x00",
            b"\x20\x02\x00\x06",
            b"\x20\x02\x02\x00",
            b"\x20\xff\xff\xff\xff\x01",
            b"\x20\xff\xff\xff\x7f",
            b"\x30\x05\x00\x01abc",
            b"\x00\x00",
        ):

            async def nonsense(session, answer=answer):
                await session.accept(answer)
                await session.silence()

            error = refused_by(nonsense, timeout_ms=300)
            self.assertIsInstance(error, mqtt.ConnectionLost)
            self.assertIn("127.0.0.1", str(error))

    def test_connect_closed_without_answer_is_lost(self):
        """The broker closes before, or in the middle of, its CONNACK."""

        async def half(session):
            await session.accept(b"\x20\x02")

        async def none(session):
            await session.packet()

        for script in (half, none):
            self.assertIn("closed", str(refused_by(script)))

    def test_connect_without_answer_ends_in_time(self):
        """A broker that accepts TCP and says nothing costs the time-out, not more."""

        async def mute(session):
            await session.packet()
            await session.silence()

        began = real_ms()
        error = refused_by(mute, timeout_ms=60)
        self.assertIn("60 ms", str(error))
        self.assertTrue(real_ms() - began < 1000)

    def test_connect_whose_tcp_never_answers_ends_in_time(self):
        """A host that swallows SYNs (here: a full backlog) costs the time-out, not more."""

        async def all_of_it():
            deaf = DeafHost()
            try:
                return await failure_of(client().connect("127.0.0.1", deaf.port, timeout_ms=80))
            finally:
                deaf.close()

        self.assertIn("80 ms", str(run(all_of_it())))

    def test_connect_where_nobody_listens_is_lost(self):
        """A refused TCP connection and an unknown name are ConnectionLost."""

        async def all_of_it():
            one = client()
            return (
                await failure_of(one.connect("127.0.0.1", 1)),
                await failure_of(one.connect("no-such-host.invalid", 1883)),
            )

        for error in run(all_of_it()):
            self.assertIsInstance(error, mqtt.ConnectionLost)

    def test_connect_asks_for_the_address_each_time(self):
        """A broker that moved is found: no address is kept from the attempt before."""

        async def all_of_it():
            old, new = await Broker(good).start(), await Broker(good).start()
            where = {"broker.plant": old.port}
            asked = []

            async def resolving(host, port):
                asked.append(host)
                return await asyncio.open_connection("127.0.0.1", where[host])

            one = client(open_connection=resolving)
            try:
                for port in (old.port, new.port):
                    where["broker.plant"] = port
                    await one.connect("broker.plant", 1883)
                    one.close()
                self.assertEqual(asked, ["broker.plant"] * 2)
                await eventually(lambda: len(new.sessions) == 1)
                self.assertEqual(len(old.sessions), 1)
            finally:
                await old.stop()
                await new.stop()

        run(all_of_it())

    def test_connect_cancelled_leaves_nothing_behind(self):
        """The socket is closed and the cancellation goes on."""

        async def mute(session):
            await session.packet()
            await session.packet()

        async def all_of_it():
            broker = await Broker(mute).start()
            one = client()
            task = asyncio.create_task(one.connect("127.0.0.1", broker.port))
            try:
                await eventually(lambda: broker.sessions and broker.sessions[0].seen)
                task.cancel()
                try:
                    await task
                    self.fail("it was not cancelled")
                except asyncio.CancelledError:
                    pass
                await eventually(lambda: broker.sessions[0].gone)
            finally:
                await broker.stop()

        run(all_of_it())

    def test_publish_without_connection_is_lost(self):
        """Nothing is queued for later: that is the outbox's work."""

        async def all_of_it():
            one = client()
            for awaitable in (one.publish("t", b"x"), one.subscribe("t"), one.run()):
                self.assertIsInstance(await failure_of(awaitable), mqtt.ConnectionLost)
            await one.disconnect()
            one.close()

        run(all_of_it())


class TestPublishing(unittest.TestCase):
    """QoS 1 from the id to the PUBACK."""

    def test_publish_acknowledged_is_no_longer_in_flight(self):
        """The owner learns the id from publish, then that it was acknowledged."""

        async def test(one, broker):
            self.assertEqual(await one.publish("t", b"one"), 1)
            self.assertEqual(await one.publish("t", b"two"), 2)
            self.assertEqual(one.acks, [])
            self.assertEqual(one.unacknowledged(), [1, 2])
            await eventually(lambda: one.in_flight == 0)
            self.assertEqual(one.acks, [1, 2])
            self.assertEqual(
                broker.sessions[0].published(), [(1, False, b"one"), (2, False, b"two")]
            )

        against(good, test)

    def test_publish_with_qos_0_has_no_id(self):
        """QoS 0 is never in flight."""

        async def test(one, broker):
            self.assertEqual(await one.publish("t", b"x", qos=0), 0)
            self.assertEqual(one.in_flight, 0)
            await eventually(lambda: broker.sessions[0].of_kind(PUBLISH))
            self.assertEqual(broker.sessions[0].of_kind(PUBLISH)[0], (0x30, b"\x00\x01tx"))

        against(good, test)

    def test_publish_whose_ack_is_lost_is_sent_again_as_duplicate(self):
        """A broker that acknowledges every second PUBLISH gets each again: umqtt.robust hangs."""
        arrived = []

        def second(packet_id):
            arrived.append(packet_id)
            return [packet_id] if len(arrived) % 2 == 0 else []

        async def forgetful(session):
            await session.accept()
            await session.serve(second)

        async def test(one, broker):
            for number in range(8):
                await one.publish("t", b"%d" % number)
            await eventually(lambda: one.in_flight == 0)
            self.assertEqual(sorted(one.acks), list(range(1, 9)))
            session = broker.sessions[0]
            # Copies may still be on their way when the last acknowledgement comes.
            await eventually(
                lambda: len([1 for _, dup, _ in session.published() if dup]) == one.resends
            )
            self.assertTrue(one.resends >= 4)
            for packet_id, _, payload in session.published():
                self.assertEqual(payload, b"%d" % (packet_id - 1))

        against(forgetful, test, retries=10, puback_timeout_ms=600)

    def test_publish_never_acknowledged_ends_the_connection(self):
        """After `retries` copies it is the connection that is to blame; the ids are told."""

        async def mute(session):
            await session.accept()
            await session.serve(lambda _: [])

        async def test(one, broker):
            await one.publish("t", b"a")
            await one.publish("t", b"b")
            error = await ended(one)
            self.assertIsInstance(error, mqtt.ConnectionLost)
            self.assertIn("no PUBACK", str(error))
            self.assertEqual(one.unacknowledged(), [1, 2])
            await eventually(lambda: broker.sessions[0].gone)
            self.assertEqual(len(broker.sessions[0].published()), 6)
            self.assertIn("no PUBACK", str(await failure_of(one.publish("t", b"c"))))

        against(mute, test, retries=2, puback_timeout_ms=600)

    def test_publish_late_on_the_tick_of_a_ping_is_sent_again_all_the_same(self):
        """The ping that waits to be written does not count as a line that is stuck."""
        clock = HandClock()

        async def mute(session):
            await session.accept()
            await session.serve(lambda _: [])

        async def test(one, broker):
            await one.publish("t", b"a")
            for copies in range(2, 5):
                await clock.pass_ms(1000)  # a quarter of the keepalive, and the time for a PUBACK
                session = broker.sessions[0]
                await eventually(lambda: len(session.published()) == copies)  # noqa: B023 - at once
                await eventually(lambda: one._heard_ms == clock.now_ms)

        against(mute, test, keepalive_s=4, puback_timeout_ms=1000, up_ms=clock.up_ms)

    def test_publish_of_a_long_message_makes_no_copy_of_it(self):
        """It goes out in short pieces, also the second time: memory may not hold it twice."""
        payload = bytes([number & 0x7F for number in range(9000)])

        def second(packet_id, seen=[]):  # noqa: B006 - once for the test
            seen.append(packet_id)
            return [packet_id] if len(seen) > 1 else []

        async def forgetful(session):
            await session.accept()
            await session.serve(second)

        async def test(one, broker):
            send, sizes = one._stream.send, []

            async def noted(packet):
                sizes.append(len(packet))
                await send(packet)

            one._stream.send = noted
            await one.publish("t", payload)
            await eventually(lambda: one.in_flight == 0)
            found = [(dup, text == payload) for _, dup, text in broker.sessions[0].published()]
            self.assertEqual(found, [(False, True), (True, True)])
            self.assertTrue(max(sizes) < 1100)

        against(forgetful, test, puback_timeout_ms=1500)

    def test_publish_without_memory_for_its_copy_ends_the_connection(self):
        """Else nobody would look at time limits any more: umqtt.robust's hanging for ever."""
        clock = HandClock()

        async def mute(session):
            await session.accept()
            await session.serve(lambda _: [])

        def starved(*_, **__):
            raise MemoryError("no room")

        async def test(one, broker):
            await one.publish("t", b"a")
            made = packets.publish
            packets.publish = starved
            try:
                await clock.pass_ms(2000)
                error = await ended(one)
            finally:
                packets.publish = made
            self.assertIn("MemoryError", str(error))
            self.assertEqual(one.unacknowledged(), [1])

        against(mute, test, puback_timeout_ms=1000, up_ms=clock.up_ms)

    def test_puback_of_unknown_id_or_twice_is_counted(self):
        """A wrong or a doubled PUBACK acknowledges nothing and does no harm."""

        async def confused(session):
            await session.accept()
            await session.serve(lambda packet_id: [999, packet_id, packet_id])

        async def test(one, broker):
            await one.publish("t", b"x")
            await eventually(lambda: one.strays == 2)
            self.assertEqual(one.acks, [1])
            await one.publish("t", b"y")
            await eventually(lambda: one.acks == [1, 2])

        against(confused, test)

    def test_packet_id_after_65535_is_1(self):
        """The id wraps past 0, which no packet may have: umqtt breaks here for ever."""

        async def test(one, broker):
            ids = await published(one, 10)
            self.assertEqual(ids, [65530, 65531, 65532, 65533, 65534, 65535, 1, 2, 3, 4])
            await eventually(lambda: one.acks == ids)

        against(good, test, first_id=65530)

    def test_packet_id_in_flight_is_not_given_again(self):
        """An id that comes round while its message waits is passed over."""

        async def choosy(session):
            await session.accept()
            await session.serve(lambda packet_id: [] if packet_id == 1 else [packet_id])

        async def test(one, broker):
            self.assertEqual(await one.publish("t", b"x"), 1)
            for _ in range(65533):
                one._free_id()
            self.assertEqual(await published(one, 3), [65535, 2, 3])

        against(choosy, test)

    def test_publish_from_many_tasks_keeps_each_packet_whole(self):
        """Packets of concurrent publishers do not mix, with acknowledgements in between."""

        async def test(one, broker):
            async def some(letter):
                for _ in range(10):
                    await one.publish("t", letter * 300)

            await asyncio.gather(some(b"a"), some(b"b"), some(b"c"))
            await eventually(lambda: len(one.acks) == 30)
            payloads = [payload for _, _, payload in broker.sessions[0].published()]
            for letter in (b"a", b"b", b"c"):
                self.assertEqual(payloads.count(letter * 300), 10)

        against(good, test)

    def test_publish_of_a_megabyte_arrives_whole(self):
        """More than any socket takes at once is written in parts."""
        payload = bytes(range(256)) * 4096

        async def test(one, broker):
            await one.publish("t", payload)
            await eventually(lambda: one.acks == [1])
            self.assertTrue(broker.sessions[0].published()[0][2] == payload)

        against(good, test)

    def test_publish_beyond_the_window_waits(self):
        """At most 32 messages are in flight, whatever the owner does."""

        async def mute(session):
            await session.accept()
            await session.serve(lambda _: [])

        async def test(one, broker):
            async def flood():
                while True:
                    await one.publish("t", b"x")

            task = asyncio.create_task(flood())
            await eventually(lambda: one.in_flight == 32)
            await asyncio.sleep(0.02)
            self.assertEqual(one.in_flight, 32)
            task.cancel()

        against(mute, test)


class TestReceiving(unittest.TestCase):
    """Commands, and what looks like them."""

    def test_message_of_qos_1_is_acknowledged_after_the_owner_has_it(self):
        """The PUBACK follows on_message; QoS 0 has none; the retain bit is told."""
        data = message("c/1", b"one", 77) + message("c/2", b"two", flags=0x01)

        async def test(one, broker):
            await eventually(lambda: len(one.messages) == 2)
            self.assertEqual(one.messages, [("c/1", b"one", False), ("c/2", b"two", True)])
            self.assertIsInstance(one.messages[0][1], bytes)
            await eventually(lambda: broker.sessions[0].of_kind(PUBACK))
            self.assertEqual(broker.sessions[0].of_kind(PUBACK), [(0x40, b"\x00\x4d")])

        against(answering(data), test)

    def test_message_in_single_bytes_arrives_whole(self):
        """A message may come a byte at a time."""

        async def slow(session):
            await session.accept()
            await session.dribble(message("cmd", b"x" * 150, 5))
            await session.serve()

        async def test(one, broker):
            await eventually(lambda: one.messages)
            self.assertEqual(one.messages, [("cmd", b"x" * 150, False)])

        against(slow, test)

    def test_message_too_long_is_refused_and_the_next_arrives(self):
        """A megabyte passes by in small pieces: acknowledged, counted, not kept."""
        data = message("cmd", b"x" * 1000000, 5) + message("cmd", b"short", 6)

        async def test(one, broker):
            await eventually(lambda: one.messages)
            self.assertEqual(one.messages, [("cmd", b"short", False)])
            self.assertEqual(one.oversize, 1)
            await eventually(lambda: len(broker.sessions[0].of_kind(PUBACK)) == 2)

        against(answering(data), test)

    def test_message_just_at_the_limit_is_taken(self):
        """`max_packet` counts the remaining length."""
        fits = message("c", b"x" * 95, 1)
        exceeds = message("c", b"x" * 96, 2)

        async def test(one, broker):
            await eventually(lambda: one.oversize == 1)
            self.assertEqual(one.messages, [("c", b"x" * 95, False)])

        against(answering(fits + exceeds), test, max_packet=100)

    def test_message_without_memory_for_it_is_refused(self):
        """On a heap that is nearly full a long message is passed by, and the next arrives."""
        if not hasattr(gc, "mem_alloc"):
            return

        def full():
            ballast = []
            try:
                while True:
                    ballast.append(bytearray(100000))
            except MemoryError:
                del ballast[:5]
            return ballast

        async def test(one, broker):
            session = broker.sessions[0]
            length = 1000000
            start = b"\x32" + bytes((length & 127 | 128, length >> 7 & 127 | 128, length >> 14))
            await session.send(start + b"\x00\x03cmd\x00\x05")
            piece = bytes(9993)
            ballast = full()
            await session.send(piece)
            await session.send(bytes(length - 7 - 9993 - 99 * 10000))
            piece = bytes(10000)
            for _ in range(99):
                await session.send(piece)
            await session.send(message("cmd", b"short", 6))
            await eventually(lambda: one.messages)
            self.assertTrue(len(ballast) > 10)
            self.assertEqual(one.messages, [("cmd", b"short", False)])
            self.assertEqual(one.oversize, 1)

        against(good, test, max_packet=2000000)

    def test_message_without_memory_for_its_payload_is_refused_and_acknowledged(self):
        """A broker that keeps the session would send it after each connection, for ever."""

        async def test(one, broker):
            def starved(_view):
                raise MemoryError

            mqtt.memoryview = starved
            try:
                await broker.sessions[0].send(message("cmd", b"x", 5))
                await eventually(lambda: broker.sessions[0].of_kind(PUBACK))
            finally:
                del mqtt.memoryview
            self.assertEqual((one.oversize, one.messages), (1, []))

        against(good, test)

    def test_message_whose_memory_ends_in_the_middle_ends_the_connection(self):
        """What has been read cannot be read past: a PUBACK in its text must not count."""
        data = message("cmd", b"\x40\x02\x00\x01" * 400, 5)

        async def test(one, broker):
            await one.publish("t", b"x")
            reader = one._stream._reader
            read, pieces = reader.read, []

            async def starved(most):
                pieces.append(most)
                if len(pieces) == 5:
                    raise MemoryError("no room")
                return await read(most)

            class Reader:
                read = staticmethod(starved)

            one._stream._reader = Reader()
            await broker.sessions[0].send(data)
            error = await ended(one)
            self.assertIn("MemoryError", str(error))
            self.assertEqual(one.acks, [])

        async def mute(session):
            await session.accept()
            await session.serve(lambda _: [])

        against(mute, test)

    def test_callback_that_raises_is_counted(self):
        """The owner's fault is not the connection's; the message is acknowledged."""

        async def test(one, broker):
            def failing(*_):
                raise RuntimeError("no room")

            one.on_message = failing
            one.on_acknowledged = failing
            await one.publish("t", b"x")
            await eventually(lambda: one.callback_faults == 2)
            self.assertEqual(one.callback_fault, "RuntimeError: no room")
            await eventually(lambda: broker.sessions[0].of_kind(PUBACK))
            self.assertEqual(one.in_flight, 0)
            await one.publish("t", b"y")
            await eventually(lambda: one.callback_faults == 3)

        against(answering(message("cmd", b"x", 5)), test)

    def test_callback_that_closes_ends_the_connection(self):
        """A command to restart may close from inside on_message."""

        async def test(one, broker):
            one.on_message = lambda *_: one.close()
            self.assertIn("closed by this device", str(await ended(one)))
            await eventually(lambda: broker.sessions[0].gone)

        async def later(session):
            await session.accept()
            await asyncio.sleep(0.01)
            await session.send(message("cmd", b"x", 5))
            await session.serve()

        against(later, test)

    def test_subscribe_tells_the_granted_qos(self):
        """The SUBACK's code is the answer; a SUBACK of another id is a stray."""

        async def granting(session):
            await session.accept()
            _, body = await session.packet()
            await session.send(b"\x90\x03\x03\xe7\x01")
            await session.send(b"\x90\x03" + bytes(body[:2]) + b"\x00")
            await session.serve()

        async def test(one, broker):
            self.assertEqual(await one.subscribe("cmd"), 0)
            self.assertEqual(one.strays, 1)
            self.assertEqual(broker.sessions[0].seen[1], (0x82, b"\x00\x01\x00\x03cmd\x01"))
            self.assertEqual(await one.subscribe("cmd"), 1)

        against(granting, test)

    def test_subscribe_that_is_refused_leaves_the_connection(self):
        """0x80 is Refused with code 128; what can be published still can be."""

        async def denying(session):
            await session.accept()
            _, body = await session.packet()
            await session.send(b"\x90\x03" + bytes(body[:2]) + b"\x80")
            await session.serve()

        async def test(one, broker):
            error = await failure_of(one.subscribe("cmd"))
            self.assertIsInstance(error, mqtt.Refused)
            self.assertEqual(error.code, 128)
            await one.publish("t", b"x")
            await eventually(lambda: one.in_flight == 0)

        against(denying, test)

    def test_subscribe_without_answer_is_lost(self):
        """A SUBACK that does not come ends the connection."""

        async def mute(session):
            await session.accept()
            while True:
                await session.packet()

        async def test(one, broker):
            error = await failure_of(one.subscribe("cmd"))
            self.assertIn("no SUBACK", str(error))
            self.assertIn("no SUBACK", str(await ended(one)))

        against(mute, test, puback_timeout_ms=600)


class TestEnding(unittest.TestCase):
    """How connections end, and that they do."""

    def test_garbage_ends_the_connection(self):
        """What no broker sends is not guessed at: wrong types, flags, lengths, topics."""
        for data in (
            b"\xff\xff\xff\xff\xff\xff",
            b"\x10\x00",
            b"\x20\x02\x00\x00",
            b"\x42\x02\x00\x01",
            b"\x40\x00",
            b"\x40\x02\x00\x00",
            b"\x90\x02\x00\x01",
            b"\x90\xff\xff\xff\x7f",
            b"\x30\xff\xff\xff\x7f\x00\x01a",
            b"\x30\x80\x80\x80\x80\x01",
            b"\x30\x02\x00\x05",
            b"\x30\x04\x00\x02\xff\xfe",
            b"\x34\x05\x00\x01a\x00\x01",
            b"\x32\x05\x00\x01a\x00\x00",
            b"\x30\x80\x80\x01\xff\xff",
        ):

            async def test(one, broker, data=data):
                error = await ended(one)
                self.assertIsInstance(error, mqtt.ConnectionLost)
                self.assertIn("the broker sent", str(error))

            against(answering(data), test)

    def test_random_bytes_never_hang_the_client(self):
        """Whatever bytes come, the connection goes on or ends with a reason."""
        random.seed(20261128)
        for _ in range(40):
            data = bytes([random.getrandbits(8) for _ in range(random.getrandbits(6) + 1)])
            if random.getrandbits(1):
                data = bytes((random.getrandbits(3) << 5 | 0x10, len(data))) + data

            async def noisy(session, data=data):
                await session.accept()
                await session.send(data)

            async def test(one, broker):
                self.assertIsInstance(await ended(one), mqtt.ConnectionLost)

            against(noisy, test)

    def test_close_in_the_middle_of_a_packet_ends_the_connection(self):
        """A packet that is cut off is not handed on."""

        async def cut(session):
            await session.accept()
            await session.send(message("cmd", b"x" * 100, 5)[:50])

        async def test(one, broker):
            self.assertIn("closed", str(await ended(one)))
            self.assertEqual(one.messages, [])

        against(cut, test)

    def test_silent_broker_is_found_within_one_and_a_half_keepalives(self):
        """Half-open TCP: pings get no answer, so the connection is over."""
        clock = HandClock()

        async def half_open(session):
            await session.accept()
            while True:
                await session.packet()

        async def test(one, broker):
            began = clock.now_ms
            running = asyncio.create_task(failure_of(one.run()))
            while not running.done():
                await clock.pass_ms(100, running)
                self.assertTrue(clock.now_ms - began < 6000)
            self.assertTrue(clock.now_ms - began >= 4000)
            self.assertIn("nothing heard", str(await running))
            self.assertEqual(len(broker.sessions[0].of_kind(PINGREQ)), 3)

        against(half_open, test, keepalive_s=4, up_ms=clock.up_ms)

    def test_broker_that_stops_reading_ends_a_blocked_publish(self):
        """A full socket blocks the writer; the end of the connection frees who waits."""
        clock = HandClock()

        async def stopped(session):
            await session.accept()
            await session.silence()

        async def test(one, broker):
            payload = bytes(400000)

            async def flood():
                while True:
                    await one.publish("t", payload)

            flooding = asyncio.create_task(failure_of(flood()))
            before = -1
            while one.in_flight != before:
                before = one.in_flight
                await asyncio.sleep(0.05)
            running = asyncio.create_task(failure_of(one.run()))
            while not running.done():
                await clock.pass_ms(500, running)
            self.assertIn("nothing heard", str(await running))
            self.assertIsInstance(await flooding, mqtt.ConnectionLost)
            self.assertTrue(0 < one.in_flight < 32)
            self.assertEqual(one.resends, 0)

        against(stopped, test, keepalive_s=4, puback_timeout_ms=2000, up_ms=clock.up_ms)

    def test_quiet_connection_lives_on_pings(self):
        """Nothing to say for many keepalives: a ping each quarter keeps it up."""
        clock = HandClock()

        async def test(one, broker):
            for pings in range(1, 13):
                await clock.pass_ms(1000)
                await eventually(lambda: one._heard_ms == clock.now_ms)
                self.assertEqual(len(broker.sessions[0].of_kind(PINGREQ)), pings)
            await one.publish("t", b"x")
            await eventually(lambda: one.acks == [1])

        against(good, test, keepalive_s=4, up_ms=clock.up_ms)

    def test_talking_broker_hears_pings_too(self):
        """A broker that talks all the time must hear from the device within the keepalive."""
        clock = HandClock()

        async def test(one, broker):
            session = broker.sessions[0]
            for number in range(1, 6):
                await clock.pass_ms(500)
                await session.send(message("cmd", b"x"))
                await eventually(lambda: len(one.messages) == number)  # noqa: B023 - at once
            await eventually(lambda: session.of_kind(PINGREQ))

        against(good, test, keepalive_s=4, up_ms=clock.up_ms)

    def test_keepalive_of_0_never_pings(self):
        """0 turns the keepalive off (clause 3.1.2.10)."""

        async def test(one, broker):
            await asyncio.sleep(0.05)
            self.assertEqual(broker.sessions[0].of_kind(PINGREQ), [])

        against(good, test, keepalive_s=0)

    def test_disconnect_says_goodbye(self):
        """DISCONNECT is the last packet: the broker then drops the will."""

        async def test(one, broker):
            running = asyncio.create_task(failure_of(one.run()))
            await one.publish("t", b"x")
            await one.disconnect()
            self.assertEqual(str(await running), "disconnected")
            self.assertEqual(broker.sessions[0].seen[-1][0], DISCONNECT)

        against(good, test)

    def test_disconnect_from_silent_broker_ends_in_time(self):
        """A broker that does not close after the goodbye is left after the time-out."""

        async def deaf(session):
            await session.accept()
            await session.silence()

        async def test(one, broker):
            running = asyncio.create_task(failure_of(one.run()))
            await asyncio.sleep(0.01)
            began = real_ms()
            await one.disconnect(30)
            self.assertTrue(real_ms() - began < 1000)
            self.assertEqual(str(await running), "disconnected")

        against(deaf, test)

    def test_close_says_nothing(self):
        """The socket just ends: the broker then publishes the will."""

        async def test(one, broker):
            running = asyncio.create_task(failure_of(one.run()))
            await asyncio.sleep(0.01)
            one.close()
            self.assertIn("closed by this device", str(await running))
            await eventually(lambda: broker.sessions[0].gone)
            self.assertEqual(broker.sessions[0].of_kind(DISCONNECT), [])

        against(good, test)

    def test_run_cancelled_closes_the_connection(self):
        """Cancellation goes on, and no socket stays open."""

        async def test(one, broker):
            running = asyncio.create_task(one.run())
            await asyncio.sleep(0.01)
            running.cancel()
            try:
                await running
                self.fail("it was not cancelled")
            except asyncio.CancelledError:
                pass
            await eventually(lambda: broker.sessions[0].gone)

        against(good, test)

    def test_connect_after_the_end_starts_afresh(self):
        """The same client connects again; ids go on, the old flight is the owner's to send."""
        connections = []

        async def first_dies(session):
            connections.append(session)
            await session.accept()
            if len(connections) == 1:
                await session.packet()
                return
            await session.serve()

        async def test(one, broker):
            await one.publish("t", b"x")
            self.assertIn("closed", str(await ended(one)))
            self.assertEqual(one.unacknowledged(), [1])
            await one.connect("127.0.0.1", broker.port)
            self.assertEqual(one.unacknowledged(), [])
            self.assertEqual(await one.publish("t", b"x", dup=True), 2)
            await eventually(lambda: one.acks == [2])
            self.assertEqual(connections[1].published(), [(2, True, b"x")])

        against(first_dies, test)

    def test_end_leaves_nothing_behind(self):
        """After many connections the heap is as before, and no closed socket is polled for ever."""

        async def some(broker, times):
            for number in range(times):
                one = client()
                await one.connect("127.0.0.1", broker.port)
                running = asyncio.create_task(failure_of(one.run()))
                await one.publish("t", b"x")
                await asyncio.sleep(0.001 * (number % 3))
                one.close()
                await running
                del broker.sessions[:], broker._tasks[:]

        async def all_of_it():
            broker = await Broker(good).start()
            heap = []
            for times in (10, 50):
                await some(broker, times)
                if hasattr(asyncio, "core"):  # once the other side has closed as well
                    polled = asyncio.core._io_queue.map
                    await eventually(lambda polled=polled: len(polled) == 1)  # the broker's own
                gc.collect()
                heap.append(gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0)
            self.assertTrue(heap[1] - heap[0] < 1000, heap)
            await broker.stop()

        run(all_of_it())
