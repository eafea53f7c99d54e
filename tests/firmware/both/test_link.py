"""The link of a device against a broker that misbehaves, on both interpreters."""

import asyncio
import json
import unittest

from device.steamlink import config, mqtt
from device.steamlink.diag import Counters
from device.steamlink.link import Link
from device.steamlink.logring import LogRing
from device.steamlink.outbox import Outbox
from device.steamlink.session import Session
from tests.firmware import folders
from tests.firmware import scripted_broker as scripted


class Clock:
    """Real milliseconds; UTC is known."""

    state = 1
    offset_ms = 1795392000000

    def __init__(self):
        self._start = scripted.real_ms()

    def up_ms(self):
        return scripted.real_ms() - self._start + 1

    def utc_ms(self):
        return self.up_ms() + self.offset_ms

    def ease(self, passed_ms):
        pass

    def offset(self, ms):
        """Have so much time passed at once."""
        self._start -= ms


class Network:
    """A network that is up, or says why not."""

    def __init__(self):
        self.fault = None
        self.up_now = True
        self.joined = 0
        self.resets = 0
        self.names = {}
        self.asked = []

    def is_up(self):
        return self.up_now

    async def up(self, ssid, password, timeout_ms):
        self.joined += 1
        if self.fault:
            raise OSError(self.fault)
        self.up_now = True

    async def reset(self):
        self.resets += 1

    def rssi(self):
        return None

    def address(self):
        return ""

    async def lookup(self, name):
        self.asked.append(name)
        return self.names.get(name, name)


class Board:
    """What a session asks of a board."""

    name = "fake"

    def __init__(self, network):
        self.network = network

    def heap_free(self):
        return None


class Checkin:
    """Counts the signs of life."""

    def __init__(self):
        self.times = 0

    def ok(self):
        self.times += 1


class Scene:
    """A link, what it joins together, and a broker that runs `script`."""

    def __init__(self, script, **mqtt):
        self.broker = scripted.Broker(script)
        self.clock = Clock()
        self.network = Network()
        self.counters = Counters()
        self.log = LogRing(self.clock)
        self.checkin = Checkin()
        self.named_before = None
        self._mqtt = mqtt
        self._task = None

    async def __aenter__(self):
        await self.broker.start()
        folder = self._folder = folders.new("link")
        settings = {"host": "127.0.0.1", "port": self.broker.port, "keepalive_s": 5}
        settings.update(self._mqtt)
        values = config.filled({"site": "mill", "device": "dev1", "mqtt": settings})
        if self.named_before:
            self._leave_backlog(folder)
        self.outbox = Outbox(folder, boot=7, limit_bytes=65536, up_ms=self.clock.up_ms)
        self.outbox.open()
        self.outbox.named("mill", "dev1")
        self.session = Session(
            site="mill",
            device="dev1",
            board=Board(self.network),
            boot=7,
            reset="power_on",
            clock=self.clock,
            outbox=self.outbox,
        )
        self.link = Link(
            config=values,
            folder=folder,
            network=self.network,
            clock=self.clock,
            session=self.session,
            outbox=self.outbox,
            counters=self.counters,
            log=self.log,
            random=lambda: 0.0,
        )
        self.link.connect_ms = 1000
        self.link.puback_ms = 1000
        self._task = asyncio.create_task(self.link.run(self.checkin))
        return self

    async def __aexit__(self, *_):
        # CPython 3.11's wait_for may swallow the cancellation (bpo-42130); `over` ends it all the same.
        self.link.over = True
        self._task.cancel()
        await asyncio.sleep(0.002)
        await self.broker.stop()
        folders.remove(self._folder)

    def _leave_backlog(self, folder):
        """One row of the boot before, under another name."""
        outbox = Outbox(folder, boot=6, limit_bytes=65536, up_ms=self.clock.up_ms)
        outbox.open()
        outbox.named("mill", self.named_before)
        session = Session(
            site="mill",
            device=self.named_before,
            board=Board(self.network),
            boot=6,
            reset="power_on",
            clock=self.clock,
            outbox=outbox,
        )
        session.rows(("oxygen",), self.clock.up_ms(), [[0, 1.5]], (), live=False)
        outbox.flush()

    def rows(self, value, live=True):
        """Give it one row to send."""
        seq = self.session.rows(
            ("oxygen",), self.clock.up_ms(), [[0, value]], (), live=live and self.link.connected
        )
        self.link.wake()
        return seq

    def topics(self, number=-1):
        """The last levels of the topics published in a connection."""
        return [topic for topic, _ in self.published(number)]

    def published(self, number=-1):
        """(kind, message) of what was published in a connection."""
        found = []
        for _, body in self.broker.sessions[number].of_kind(scripted.PUBLISH):
            end = 2 + int.from_bytes(body[:2], "big")
            kind = bytes(body[2:end]).decode().split("/")[-1]
            found.append((kind, json.loads(bytes(body[end + 2 :]).decode())))
        return found

    def sent(self, kind):
        """Every (boot, seq) sent as `kind` in any connection, in order."""
        return [
            message["n"]
            for number in range(len(self.broker.sessions))
            for each, message in self.published(number)
            if each == kind
        ]


async def served(session):
    await session.accept()
    await session.serve()


class TestLink(unittest.TestCase):
    """From the network to the last PUBACK."""

    def run_scene(self, scene, steps):
        async def whole():
            async with scene:
                await steps(scene)

        scripted.run(whole())

    def test_link_asks_the_network_for_the_broker_s_address(self):
        """Not the interpreter, which holds up everything while nobody answers."""
        scene = Scene(served, host="broker.plant.invalid")
        scene.network.names["broker.plant.invalid"] = "127.0.0.1"

        async def steps(scene):
            await scripted.eventually(lambda: scene.link.connected)
            self.assertEqual(scene.network.asked, ["broker.plant.invalid"])

        self.run_scene(scene, steps)

    def test_link_connected_greets_before_anything_else(self):
        """Birth and state online go first, then what is to be sent."""

        async def steps(scene):
            await scripted.eventually(lambda: scene.link.connected)
            scene.rows(4.2)
            await scripted.eventually(lambda: "data" in scene.topics())
            self.assertEqual(scene.topics()[:3], ["birth", "state", "data"])
            birth = scene.published()[0][1]
            self.assertEqual((birth["boot"], birth["conn"], birth["oldest"]), (7, 1, [7, 1]))

        self.run_scene(Scene(served), steps)

    def test_link_puback_lost_with_the_connection_sends_the_same_again_as_hist(self):
        """What was under way when the connection broke goes out again with DUP, byte for byte."""
        connections = []

        async def script(session):
            connections.append(session)
            await session.accept()
            if len(connections) > 1:
                await session.serve()
            while True:
                first, body = await session.packet()
                if b"/data" in bytes(body):
                    return
                if first & 0xF0 == scripted.SUBSCRIBE:
                    await session.send(b"\x90\x03" + bytes(body[:2]) + b"\x01")
                else:
                    await session.send(b"\x40\x02" + scripted.id_of(body).to_bytes(2, "big"))

        async def steps(scene):
            await scripted.eventually(lambda: scene.link.connected)
            scene.rows(4.2)
            await scripted.eventually(lambda: len(scene.broker.sessions) == 2)
            await scripted.eventually(lambda: "hist" in scene.topics())
            await scripted.eventually(lambda: scene.outbox.backlog == 0)
            first = [m for kind, m in scene.published(0) if kind == "data"]
            again = [m for kind, m in scene.published(1) if kind == "hist"]
            self.assertEqual(first, again)
            dups = [
                dup for _, dup, payload in scene.broker.sessions[1].published() if b'"r"' in payload
            ]
            self.assertEqual(dups, [True])

        self.run_scene(Scene(script), steps)

    def test_link_backlog_goes_after_live_and_all_of_it(self):
        """Rows made before the connection come as hist, each once, while live rows overtake them."""

        async def steps(scene):
            for value in range(6):
                scene.rows(value)
            await scripted.eventually(lambda: scene.link.connected)
            scene.rows(99)
            await scripted.eventually(lambda: scene.outbox.backlog == 0)
            await scripted.eventually(lambda: scene.outbox.oldest() is None)
            self.assertEqual(sorted(scene.sent("hist")), [1, 2, 3, 4, 5, 6])
            self.assertEqual(scene.sent("data"), [7])

        self.run_scene(Scene(served), steps)

    def renamed(self, script):
        """A scene whose backlog of one row was made as dev0."""
        scene = Scene(script)
        scene.named_before = "dev0"
        return scene

    def test_link_backlog_of_another_name_goes_out_under_it(self):
        """What dev0 measured stays dev0's, though the device is called dev1 now."""

        async def steps(scene):
            await scripted.eventually(lambda: scene.link.connected)
            await scripted.eventually(lambda: scene.outbox.backlog == 0)
            topics = [scripted.topic_of(body) for _, body in scene.broker.sessions[0].of_kind(0x30)]
            self.assertEqual([t for t in topics if t.endswith("hist")], ["steam/v1/mill/dev0/hist"])

        self.run_scene(self.renamed(served), steps)

    def test_link_backlog_of_a_name_that_is_refused_is_given_up_and_told(self):
        """A broker that ends the connection at the old name does not keep the device away."""

        async def script(session):
            await session.accept()
            while True:
                first, body = await session.packet()
                if first & 0xF0 == scripted.SUBSCRIBE:
                    await session.send(b"\x90\x03" + bytes(body[:2]) + b"\x01")
                elif b"/dev0/" in bytes(body):
                    return
                elif first & 0xF0 == scripted.PUBLISH:
                    await session.send(b"\x40\x02" + scripted.id_of(body).to_bytes(2, "big"))

        async def rest(wait_ms, checkin):
            await asyncio.sleep(0.001)

        async def steps(scene):
            scene.link._rest = rest
            await scripted.eventually(lambda: scene.outbox.drops == 1)
            await scripted.eventually(lambda: scene.link.connected)
            scene.rows(4.2)
            await scripted.eventually(lambda: scene.outbox.oldest() is None)

        self.run_scene(self.renamed(script), steps)

    def test_link_refused_password_tries_the_next_one_and_tells(self):
        """After CONNACK 5 the next password is tried; once taken, the owner is told of it."""
        passwords = []

        async def script(session):
            _, body = await session.packet()
            passwords.append("first" if bytes(body).endswith(b"first") else "second")
            refused = passwords[-1] == "first"
            await session.send(b"\x20\x02\x00\x05" if refused else b"\x20\x02\x00\x00")
            if not refused:
                await session.serve()

        async def steps(scene):
            told = []
            scene.link.on_online = told.append
            await scripted.eventually(lambda: scene.link.connected)
            self.assertEqual(passwords, ["first", "second"])
            self.assertEqual(told, [True])
            self.assertEqual(scene.counters.get("refused_5"), 1)

        self.run_scene(Scene(script, user="dev1", password="first", password_next="second"), steps)

    def test_link_command_is_handed_over_and_a_retained_one_is_not(self):
        """What comes on the device's own command topic is a command; a retained one is an old one."""
        topic = "steam/v1/mill/dev1/cmd"

        async def script(session):
            await session.accept()
            await session.send(scripted.message(topic, b"old", packet_id=1, flags=1))
            await session.send(scripted.message(topic, b"new", packet_id=2))
            await session.serve()

        async def steps(scene):
            commands = []
            scene.link.on_command = commands.append
            await scripted.eventually(lambda: commands)
            self.assertEqual(commands, [b"new"])
            self.assertEqual(scene.counters.get("refused_commands"), 1)

        self.run_scene(Scene(script), steps)

    def test_link_fault_of_a_greeting_ends_the_connection_not_the_task(self):
        """Whatever raises while a connection is served, the next one comes."""

        async def steps(scene):
            births = []

            def birth(conn):
                births.append(conn)
                if len(births) == 1:
                    raise RuntimeError("broken")
                return b"{}"

            scene.session.birth = birth
            await scripted.eventually(lambda: scene.link.connected)
            self.assertEqual(len(scene.broker.sessions), 2)
            self.assertTrue("broken" in " ".join(scene.log.lines()))

        self.run_scene(Scene(served), steps)

    def test_link_network_away_joins_until_it_is_up(self):
        """Without a network no broker is asked; each attempt is counted and the task lives."""
        scene = Scene(served)
        scene.network.up_now = False
        scene.network.fault = "no such network"

        async def steps(scene):
            await scripted.eventually(lambda: scene.network.joined >= 2)
            self.assertEqual(scene.broker.sessions, [])
            scene.network.fault = None
            await scripted.eventually(lambda: scene.link.connected)
            self.assertTrue(scene.checkin.times > 2)

        self.run_scene(scene, steps)

    def test_link_broker_away_leaves_the_network_alone(self):
        """The Wi-Fi, over which sensors may be polled, is not touched because a broker is away."""

        async def script(session):
            session.close()

        async def steps(scene):
            await scripted.eventually(lambda: len(scene.broker.sessions) > 4)
            self.assertEqual((scene.network.joined, scene.network.resets), (0, 0))

        self.run_scene(Scene(script), steps)

    def test_link_network_wedged_resets_the_radio_then_asks_for_a_restart(self):
        """After five minutes without a network the radio is reset, after thirty the owner is told."""
        scene = Scene(served)
        scene.network.up_now = False
        scene.network.fault = "no answer"

        async def steps(scene):
            wedged = []
            scene.link.on_wedged = wedged.append
            await scripted.eventually(lambda: scene.network.joined >= 2)
            self.assertEqual(scene.network.resets, 0)
            scene.clock.offset(301000)
            await scripted.eventually(lambda: scene.network.resets)
            self.assertEqual(wedged, [])
            scene.clock.offset(1800000)
            await scripted.eventually(lambda: wedged)
            self.assertEqual(wedged[0], "network_wedged")

        self.run_scene(scene, steps)

    def test_link_refusals_wait_long_and_a_lost_connection_does_not(self):
        """A wrong password asks for a person; a broker that went away is tried again soon."""
        waits = []

        async def script(session):
            await session.packet()
            if len(waits) == 0:
                await session.send(b"\x20\x02\x00\x05")

        async def steps(scene):
            async def rest(wait_ms, checkin):
                waits.append(wait_ms)
                await asyncio.sleep(0.01)

            scene.link._rest = rest
            await scripted.eventually(lambda: len(waits) > 1)
            self.assertTrue(waits[0] >= 30000)
            self.assertTrue(waits[1] < 5000)

        self.run_scene(Scene(script), steps)

    def test_link_distrust_is_told_once_for_each_reason(self):
        """A certificate that does not hold is an event, not a flood of events."""

        async def script(session):
            session.close()

        async def steps(scene):
            told, faults = [], ["expired", "expired", "wrong name"]

            async def live(checkin):
                raise mqtt.TlsFault(faults.pop(0)) if faults else OSError("away")

            async def rest(wait_ms, checkin):
                await asyncio.sleep(0.001)

            scene.link.on_distrust = told.append
            scene.link._live = live
            scene.link._rest = rest
            await scripted.eventually(lambda: not faults)
            self.assertEqual(told, ["expired", "wrong name"])

        self.run_scene(Scene(script), steps)

    def test_link_broker_that_ends_connections_after_the_greeting_is_backed_off(self):
        """Who may connect and not send is not online, and tries less and less often."""

        async def script(session):
            await session.accept()
            while True:
                first, body = await session.packet()
                if first & 0xF0 == scripted.SUBSCRIBE:
                    await session.send(b"\x90\x03" + bytes(body[:2]) + b"\x01")
                else:
                    return

        async def steps(scene):
            online, waits = [], []

            async def rest(wait_ms, checkin):
                waits.append(wait_ms)
                await asyncio.sleep(0.001)

            scene.link._backoff._random = lambda: 0.999
            scene.link._rest = rest
            scene.link.on_online = online.append
            await scripted.eventually(lambda: len(waits) > 4)
            self.assertTrue(waits[4] > 10000)
            self.assertEqual(online, [])

        self.run_scene(Scene(script), steps)

    def test_link_whose_connections_end_soon_after_the_greeting_is_in_no_hurry(self):
        """Two boards with one name take over from each other; one that lasted may come at once."""

        async def script(session):
            await session.accept()
            serving = asyncio.create_task(session.serve())
            await scripted.eventually(lambda: scene.link.connected)
            scene.clock.offset(lasting[0])
            serving.cancel()

        scene, lasting = Scene(script), [100]

        async def steps(scene):
            waits = []

            async def rest(wait_ms, checkin):
                waits.append(wait_ms)
                await asyncio.sleep(0.001)

            scene.link._backoff._random = lambda: 0.0
            scene.link._rest = rest
            await scripted.eventually(lambda: len(waits) > 7)
            self.assertEqual(waits[:8], [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000])
            lasting[0] = 11000
            await scripted.eventually(lambda: 0 in waits)
            lasting[0] = 100
            lasted = waits.index(0)
            await scripted.eventually(lambda: 500 in waits[lasted:])

        self.run_scene(scene, steps)

    def test_link_without_memory_for_a_publish_keeps_the_message(self):
        """A MemoryError ends the connection; the message goes out in the next one."""

        async def steps(scene):
            await scripted.eventually(lambda: scene.link.connected)
            publish, faults = scene.link._client.publish, [MemoryError()]

            async def starved(topic, payload, **rest):
                if faults:
                    raise faults.pop()
                return await publish(topic, payload, **rest)

            scene.link._client.publish = starved
            scene.rows(4.2)
            await scripted.eventually(lambda: scene.sent("hist") == [1])
            await scripted.eventually(lambda: scene.outbox.oldest() is None)

        self.run_scene(Scene(served), steps)

    def test_link_without_memory_for_a_topic_keeps_the_message(self):
        """Whatever fails before it is queued gives it back."""

        async def steps(scene):
            await scripted.eventually(lambda: scene.link.connected)
            origin, faults = scene.outbox.origin, [MemoryError()]

            def starved(entry):
                if faults:
                    raise faults.pop()
                return origin(entry)

            scene.outbox.origin = starved
            scene.rows(4.2)
            await scripted.eventually(lambda: scene.sent("hist") == [1])
            await scripted.eventually(lambda: scene.outbox.oldest() is None)

        self.run_scene(Scene(served), steps)

    def test_link_closed_while_it_connects_stays_away(self):
        """Whatever closes the link during CONNECT does not find it connected a moment later."""
        gate = asyncio.Event()

        async def script(session):
            await session.packet()
            await gate.wait()
            await session.send(b"\x20\x02\x00\x00")
            await session.serve()

        async def steps(scene):
            await scripted.eventually(lambda: scene.broker.sessions)
            await scene.link.close()
            gate.set()
            await asyncio.sleep(0.05)
            self.assertFalse(scene.link.connected)
            self.assertEqual(scene.published(0), [])

        self.run_scene(Scene(script), steps)

    def test_link_closed_says_stopped(self):
        """A planned end is told, and what is not acknowledged stays."""

        async def steps(scene):
            await scripted.eventually(lambda: scene.link.connected)
            await scene.link.close()
            kind, message = scene.published()[-1]
            self.assertEqual((kind, message["s"]), ("state", "stopped"))

        self.run_scene(Scene(served), steps)

    def test_link_more_than_sixteen_answers_waiting_counts_what_it_leaves_out(self):
        """The queue of what is not kept is bounded, and the oldest gives way."""
        scene = Scene(served)

        async def steps(scene):
            await scripted.eventually(lambda: scene.link.connected)
            for number in range(20):
                scene.link.say("ack", json.dumps(number).encode())
            self.assertEqual(scene.counters.get("unsaid"), 4)

        self.run_scene(scene, steps)
