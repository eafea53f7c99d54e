"""Names and their addresses, asked of a scripted name server, on both interpreters."""

import asyncio
import os
import unittest

from device.steamlink.hal.micro_lookups import address, is_address
from tests.firmware import name_server
from tests.firmware.name_server import NameServer, answer
from tests.firmware.scripted_broker import failure_of, real_ms, run

PLACE = bytes([192, 0, 2, 44])


class TestLookups(unittest.TestCase):
    """One name."""

    def ask(self, script, name="broker.plant.example", timeout_ms=4000):
        """What `address` gives, or the words of its fault."""

        async def both():
            self.server = NameServer(script)
            task = asyncio.create_task(self.server.run())
            try:
                return await address(name, self.server.address, real_ms, timeout_ms)
            except OSError as fault:
                return str(fault)
            finally:
                task.cancel()
                await asyncio.sleep(0)
                self.server.close()

        return run(both())

    def test_lookup_name_gives_its_address(self):
        """The first address of the answer."""
        self.assertEqual(self.ask(lambda query: answer(query, (1, PLACE))), "192.0.2.44")
        self.assertEqual(self.server.names, ["broker.plant.example"])

    def test_lookup_alias_gives_the_address_of_what_it_stands_for(self):
        """CNAME first, then A, also beside an address of IPv6."""
        records = (5, b"\x01x\xc0\x0c"), (28, bytes(16)), (1, PLACE)
        self.assertEqual(self.ask(lambda query: answer(query, *records)), "192.0.2.44")

    def test_lookup_address_is_not_asked_for(self):
        """It is its own, with a server or without."""
        for server in ("127.0.0.1:9", ""):
            self.assertEqual(run(address("10.0.0.5", server, real_ms)), "10.0.0.5")

    def test_lookup_name_without_a_server_is_an_oserror(self):
        """As while Wi-Fi is away: the interpreter's own way would hold up everything."""
        fault = run(failure_of(address("broker.example", "", real_ms)))
        self.assertIn("no name server", str(fault))

    def test_lookup_name_like_an_address_is_none(self):
        """Four numbers below 256, nothing else."""
        for name in ("1.2.3.256", "1.2.3", "1.2.3.4.5", "a.b.c.d", "1.2.3.", "1.2.3.1000", ""):
            self.assertFalse(is_address(name))
        self.assertTrue(is_address("255.0.10.1"))

    def test_lookup_server_that_is_silent_is_asked_again_and_holds_nobody_up(self):
        """The loop goes on: a turn of it never takes long."""
        turns = []

        async def others():
            while True:
                turns.append(real_ms())
                await asyncio.sleep(0.005)

        async def both():
            server = NameServer(lambda query: [])
            tasks = [asyncio.create_task(server.run()), asyncio.create_task(others())]
            try:
                await address("broker.example", server.address, real_ms, 2300)
            except OSError as fault:
                return server.names, str(fault)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.sleep(0)
                server.close()

        names, words = run(both())
        self.assertEqual((len(names), "no answer" in words), (2, True))
        self.assertTrue(max([turns[n] - turns[n - 1] for n in range(1, len(turns))]) < 1000)

    def test_lookup_closed_port_ends_in_time(self):
        """Nobody there is no answer."""
        with self.assertRaises(OSError):
            run(address("a.example", "127.0.0.1:9", real_ms, 60))

    def test_lookup_unknown_name_and_refusal_say_so_at_once(self):
        """RCODE 3 is no such name; anything else is the server's trouble."""
        for code, words in ((3, "no such name"), (2, "refuses (2)"), (5, "refuses (5)")):
            text = self.ask(lambda query, code=code: answer(query, flags=0x8180 | code))
            self.assertIn(words, text)
        self.assertIn("no IPv4", self.ask(lambda query: answer(query, (28, bytes(16)))))

    def test_lookup_answer_to_another_question_is_passed_over(self):
        """Another number, another name, a question, a stump: the true answer still counts."""

        def script(query):
            true = answer(query, (1, PLACE))
            lie = answer(query, (1, bytes(4)))
            other = bytearray(lie)
            other[14] ^= 1
            stranger = bytes([lie[0] ^ 1]) + lie[1:]
            cut = [true[:at] for at in (0, 2, 11, 20, len(query), len(true) - 1)]
            return [stranger, bytes(other), query] + cut + [true]  # noqa: RUF005 - MicroPython

        found = self.ask(script)
        self.assertTrue(found == "192.0.2.44" or "no IPv4" in found, found)

    def test_lookup_answer_of_random_bytes_gives_an_address_or_an_oserror(self):
        """Garbage behind the true question never raises anything else."""
        for _ in range(30):
            found = self.ask(
                lambda query: query[:2] + b"\x81\x80" + os.urandom(8) + query[12:] + os.urandom(40),
                timeout_ms=30,
            )
            self.assertTrue(isinstance(found, str))

    def test_lookup_name_that_is_none_is_an_oserror(self):
        """Empty labels and labels of more than 63 letters."""
        for name in ("a..b", "x" * 64 + ".example", "."):
            self.assertIn("no name of a host", self.ask(name_server.loopback, name))


if __name__ == "__main__":
    unittest.main()
