"""SNTP against a scripted server on a local UDP port, on both interpreters."""

import asyncio
import random
import socket
import struct
import time
import unittest

from device.steamlink import sntp
from device.steamlink.clock import Clock
from device.steamlink.hal import fake
from device.steamlink.logring import LogRing
from tests.firmware import folders

NOW_MS = 1795000000000  # 2026-11-18
EPOCH_1900_S = 2208988800
PORTS = range(20000, 60000)


class Board(fake.Board):
    """A fake board whose ticks are real and wrap within the test."""

    def ticks_ms(self):
        """Real ms."""
        return ((1 << 30) - 50 + time.time_ns() // 1000000 - STARTED_MS) % (1 << 30)


STARTED_MS = time.time_ns() // 1000000


def packet(question, utc_ms=NOW_MS, first=0x24, stratum=2, reference=b"GPS\x00", seconds=None):
    """An answer as a good server gives it, except for what the test changes."""
    if seconds is None:
        seconds = utc_ms // 1000 + EPOCH_1900_S
    fraction = (utc_ms % 1000 << 32) // 1000 + 1
    return (
        struct.pack(">BBBB", first, stratum, 6, 0xE7)
        + bytes(8)
        + reference
        + bytes(8)
        + bytes(question[40:48])
        + bytes(8)
        + struct.pack(">II", seconds & 0xFFFFFFFF, 0 if utc_ms == 0 else fraction)
    )


class Server:
    """Answers each question with what `script` makes of it: bytes, or a list of bytes."""

    def __init__(self, script):
        self.script = script
        self.questions = []
        self.socket = None
        self.host = ""

    def open(self):
        """Take a port of its own."""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        while True:
            port = PORTS[struct.unpack(">H", sntp.os.urandom(2))[0] % len(PORTS)]
            try:
                self.socket.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
            except OSError:
                continue
            break
        self.socket.setblocking(False)
        self.host = "127.0.0.1:{}".format(port)

    async def run(self):
        """Answer until cancelled."""
        while True:
            try:
                question, address = self.socket.recvfrom(100)
            except OSError:
                await asyncio.sleep(0.002)
                continue
            self.questions.append(question)
            answers = self.script(question)
            for answer in answers if isinstance(answers, list) else [answers]:
                if isinstance(answer, int):
                    await asyncio.sleep(answer / 1000)
                else:
                    self.socket.sendto(answer, address)


class TestQuery(unittest.TestCase):
    """One question."""

    def setUp(self):
        self.clock = Clock(Board())

    def ask(self, script, timeout_ms=1000):
        """Ask a server with this script; the time, or the words of the fault."""
        self.server = Server(script)
        self.server.open()

        async def both():
            task = asyncio.create_task(self.server.run())
            try:
                return await sntp.query(self.server.host, timeout_ms, self.clock)
            except OSError as fault:
                return str(fault)
            finally:
                task.cancel()
                self.server.socket.close()

        return asyncio.run(both())

    def test_sntp_query_gives_the_server_s_time(self):
        """A well-formed question (version 4, mode 3, 48 bytes) has an answer within ms."""
        for _ in range(3):  # across the wrap of the ticks
            utc_ms = self.ask(packet)
            self.assertTrue(NOW_MS <= utc_ms <= NOW_MS + 500)
            self.assertEqual((len(self.server.questions[0]), self.server.questions[0][0]), (48, 35))

    def test_sntp_query_adds_half_the_round_trip(self):
        """An answer after 80 ms is 40 ms old."""
        begun_ms = time.time_ns() // 1000000
        utc_ms = self.ask(lambda question: [80, packet(question)])
        took_ms = time.time_ns() // 1000000 - begun_ms

        self.assertTrue(39 <= utc_ms - NOW_MS <= took_ms / 2 + 1)

    def test_sntp_query_asks_with_a_different_number_each_time(self):
        """So that nobody can answer who has not seen the question."""
        self.ask(packet)
        first = self.server.questions[0][40:]
        self.ask(packet)

        self.assertNotEqual(first, self.server.questions[0][40:])

    def test_sntp_query_of_a_silent_server_ends_in_time(self):
        """OSError with the server's name."""
        text = self.ask(lambda question: [])

        self.assertIn(self.server.host + ": no answer in time", text)

    def test_sntp_query_of_a_closed_port_or_an_unknown_name_is_an_oserror(self):
        """Neither kills nor hangs."""
        for host in ("127.0.0.1:9", "name.invalid"):
            with self.assertRaises(OSError):
                asyncio.run(sntp.query(host, 100, self.clock))

    def test_sntp_query_told_to_go_away_is_a_kiss_of_death(self):
        """Stratum 0 has a code in place of a time (RFC 5905, 7.4)."""
        for code in (b"RATE", b"DENY", b"\x00\x1b\xff\x00"):
            text = self.ask(lambda question, code=code: packet(question, 0, 0x24, 0, code))
            word = "" if code[0] == 0 else code.decode()
            self.assertEqual(text, "ntp {}: kiss of death {}".format(self.server.host, word))

    def test_sntp_query_believes_no_server_without_time(self):
        """Zero, another mode, unsynchronised, stratum 16: each is refused with words."""
        for words, answer in (
            ("zero", lambda question: packet(question, 0, seconds=0)),
            ("mode 3", lambda question: packet(question, first=0x23)),
            ("mode 5", lambda question: packet(question, first=0x25)),
            ("mode 6", lambda question: packet(question, first=0x26)),
            ("no time itself", lambda question: packet(question, first=0xE4)),
            ("no time itself", lambda question: packet(question, stratum=16)),
            ("no time itself", lambda question: packet(question, stratum=255)),
        ):
            self.assertIn(words, self.ask(answer))

    def test_sntp_query_passes_over_what_does_not_answer_it(self):
        """Short, foreign and forged packets before the true one do no harm."""

        def script(question):
            forged = packet(question, NOW_MS + 9999999)
            wrong = forged[:24] + bytes(8) + forged[32:]
            return [b"", b"x", forged[:47], wrong, bytes(48), packet(question)]

        self.assertTrue(NOW_MS <= self.ask(script) <= NOW_MS + 500)

    def test_sntp_query_flooded_with_wrong_packets_ends_in_time(self):
        """A flood is no answer."""
        text = self.ask(lambda question: [bytes(48)] * 200)

        self.assertIn("answers to something else", text)
        self.assertFalse(" 0 answers" in text)

    def test_sntp_query_of_random_bytes_gives_a_time_or_an_oserror(self):
        """Garbage behind our own number never raises anything else."""
        random.seed(6)

        def script(question):
            noise = bytearray([random.getrandbits(8) for _ in range(48)])
            noise[24:32] = question[40:48]
            return bytes(noise)

        for _ in range(30):
            self.assertTrue(isinstance(self.ask(script), (int, str)))

    def test_sntp_query_counts_on_after_2036_and_2038(self):
        """The 32 bits of NTP wrap in February 2036 (RFC 4330, 3); signed ones end in 2038."""
        for utc_ms in (2085978495000, 2085978496000, 2147483647000, 2147483648000, 4102444799000):
            found = self.ask(lambda question, utc_ms=utc_ms: packet(question, utc_ms))
            self.assertTrue(utc_ms <= found <= utc_ms + 500)


class TestKeepTime(unittest.TestCase):
    """Setting the clock for ever; the waits are scripted."""

    def setUp(self):
        self.folder = folders.new("sntp")
        self.board = Board(self.folder)
        self.clock = Clock(self.board, NOW_MS - 1000)
        self.clock.begin()
        self.log = LogRing(self.clock)
        self.times = []
        self.waits = []

    def tearDown(self):
        folders.remove(self.folder)

    def keep(self, scripts, waits, **settings):
        """Keep time with servers of these scripts until it has waited so often."""
        servers = [Server(script) for script in scripts]

        async def sleep(seconds):
            # The whole wait passes at once: the clock's ticks jump by it.
            self.waits.append(round(seconds))
            self.board.advance(1)
            self.clock._up_ms += int(seconds * 1000)
            if len(self.waits) >= waits:
                raise asyncio.CancelledError
            await asyncio.sleep(0)

        async def all_of_them():
            for server in servers:
                server.open()
            tasks = [asyncio.create_task(server.run()) for server in servers]
            try:
                await sntp.keep_time(
                    self.clock,
                    [server.host for server in servers],
                    on_time=lambda: self.times.append(self.clock.utc_ms()),
                    timeout_ms=300,
                    log=self.log,
                    sleep=sleep,
                    **settings,
                )
            except asyncio.CancelledError:
                pass
            finally:
                for task in tasks:
                    task.cancel()
                for server in servers:
                    server.socket.close()

        asyncio.run(all_of_them())
        return servers

    def test_sntp_keep_time_sets_the_clock_at_once_and_again_after_six_hours(self):
        """State 2, and the board's RTC with it; each time a step is told twice before it is taken."""
        self.keep([packet], 363)

        self.assertEqual((self.clock.state, len(self.times)), (2, 2))
        self.assertTrue(NOW_MS <= self.board.utc_ms() < NOW_MS + 1000)
        self.assertEqual((self.waits[0], sum(self.waits[1:361]), self.waits[361]), (4, 21600, 4))

    def test_sntp_keep_time_asks_the_next_server_when_one_fails_or_lies(self):
        """Silence, a refusal, the far past and the far future are passed over."""
        servers = self.keep(
            [
                lambda question: [],
                lambda question: packet(question, 0, stratum=0, reference=b"RATE"),
                lambda question: packet(question, NOW_MS - 86400000),
                lambda question: packet(question, 4102444800000),
                packet,
            ],
            2,
        )

        self.assertEqual([len(server.questions) for server in servers], [1, 1, 1, 1, 2])
        self.assertEqual((self.clock.state, self.clock.refused, len(self.times)), (2, 2, 1))
        self.assertEqual(len(self.log.lines()), 4)

    def test_sntp_keep_time_takes_no_host_s_word_alone(self):
        """One answer of 2096 would date all that waits for its time, for ever."""
        lie = NOW_MS + 2000000000000
        answers = [lie, NOW_MS]
        self.keep([lambda question: packet(question, answers.pop(0) if answers else NOW_MS)], 3)
        self.assertEqual(self.times, [])
        self.assertEqual(self.waits, [4, 15, 4])

        self.waits = []
        servers = self.keep([lambda question: packet(question, lie), packet, packet], 1)
        self.assertTrue(NOW_MS <= self.times[0] < NOW_MS + 60000)
        self.assertEqual([len(server.questions) for server in servers], [1, 1, 1])

    def test_sntp_keep_time_between_two_that_contradict_each_other_takes_neither(self):
        """Until the clock has a time from elsewhere: then who agrees with it is believed."""
        lie = NOW_MS + 2000000000000
        scripts = [lambda question: packet(question, lie), packet]
        self.keep(scripts, 1)
        self.assertEqual((self.clock.state, self.waits), (0, [15]))
        self.assertIn("none agrees", self.log.lines()[-1])

        self.clock.set_utc(NOW_MS + 3000, 1)
        self.waits = []
        self.keep(scripts, 1)
        self.assertEqual(self.clock.state, 2)
        self.assertTrue(NOW_MS <= self.times[-1] < NOW_MS + 1000)

    def test_sntp_keep_time_that_agrees_with_the_clock_is_taken_at_once(self):
        """An RTC or a command and one server are two."""
        self.clock.set_utc(NOW_MS + 5000, 1)
        servers = self.keep([packet], 1)

        self.assertEqual((self.clock.state, self.waits), (2, [60]))
        self.assertEqual(len(servers[0].questions), 1)

    def test_sntp_keep_time_leaves_a_server_alone_that_said_so(self):
        """For a day; the others are asked meanwhile."""
        servers = self.keep(
            [lambda question: packet(question, 0, stratum=0, reference=b"DENY"), packet], 4 * 361
        )

        self.assertTrue(len(servers[0].questions) <= 2)
        self.assertTrue(len(servers[1].questions) >= 4)

    def test_sntp_keep_time_without_an_answer_asks_ever_more_rarely(self):
        """15 s, 30 s, 60 s and so on, at most a quarter of an hour apart."""
        servers = self.keep([lambda question: []], 40)

        self.assertEqual(self.waits[:7], [15, 30, 60, 60, 60, 60, 60])
        self.assertEqual(self.clock.state, 0)
        asked = len(servers[0].questions)
        self.assertTrue(5 <= asked <= 9, str(asked))

    def test_sntp_keep_time_asks_nobody_before_the_network_is_there(self):
        """A name looked up without a network holds up a board until its watchdog bites."""
        asked = []

        async def resolve(name):
            asked.append((name, len(self.waits)))
            return name

        self.keep([packet], 8, ready=lambda: len(self.waits) >= 5, resolve=resolve)

        self.assertEqual(self.waits[:5], [1] * 5)
        self.assertEqual((asked[0], self.clock.state), (("127.0.0.1", 5), 2))

    def test_sntp_keep_time_whose_name_has_no_address_tries_again(self):
        """What the resolver says is in the log."""

        async def resolve(name):
            raise OSError(name + ": no answer from 10.0.0.1")

        self.keep([packet], 1, resolve=resolve)

        self.assertEqual((self.clock.state, self.waits), (0, [15]))
        self.assertIn("no answer from 10.0.0.1", self.log.lines()[-1])

    def test_sntp_keep_time_spreads_the_devices(self):
        """A fleet that starts together does not ask together."""
        waits = []
        for share in (0.0, 0.5, 0.999):
            self.waits = []
            self.keep([lambda question: []], 1, random=lambda share=share: share)
            waits += self.waits

        self.assertEqual(waits, [11, 15, 19])

    def test_sntp_keep_time_that_steps_back_never_turns_uptime_back(self):
        """Rows are ordered by uptime; a step only moves UTC."""
        answers = [NOW_MS + 5000000, NOW_MS + 5000000]
        up_ms = []

        def script(question):
            up_ms.append(self.clock.up_ms())
            return packet(question, answers.pop(0) if answers else NOW_MS)

        self.keep([script], 363)

        self.assertTrue(self.times[1] < self.times[0])
        self.assertTrue(up_ms[1] >= up_ms[0])
        self.assertTrue(self.clock.step_ms < 0)


if __name__ == "__main__":
    unittest.main()
