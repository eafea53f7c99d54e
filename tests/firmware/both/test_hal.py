"""The boards' port: the fake one that tests set, the PC, TCP as a bus, clocks of two epochs."""

import asyncio
import os
import unittest

from device.steamlink import hal
from device.steamlink.hal import dates, fake, tcp
from device.steamlink.hal.fields import choice, flag, whole
from device.steamlink.hal.tcp import Tcp

_2026 = 1793440500250  # 2026-10-31 09:55:00.250 UTC
_FOLDER = "/tmp/steam-test-hal"
_BOARD_HAS = (
    "name",
    "folder",
    "has_wifi",
    "TICKS_PERIOD",
    "ticks_ms",
    "utc_ms",
    "set_utc_ms",
    "reset_cause",
    "restart",
    "start_watchdog",
    "heap_free",
    "flash_free",
    "sync",
    "unique_id",
    "network",
    "bus",
)


def fault_of(call, *arguments):
    """The text of the ValueError or OSError that a call ends with, "" where it does not."""
    try:
        call(*arguments)
    except (ValueError, OSError) as fault:
        return str(fault)
    return ""


def hang_up(writer):
    """Close a server's side; MicroPython's close() does nothing."""
    if hasattr(writer, "transport"):
        writer.close()
    else:
        writer.s.close()


class TestPort(unittest.TestCase):
    def test_hal_opens_a_board_by_name(self):
        """Only that board's file is imported."""
        self.assertEqual(hal.board("fake").name, "fake")
        self.assertEqual(hal.board("unix", folder="/tmp").folder, "/tmp")

    def test_hal_of_unknown_board_names_those_there_are(self):
        """A wrong name is found at the start."""
        text = fault_of(hal.board, "arduino")
        for word in ("arduino", "esp32", "pico_w", "pi", "unix"):
            self.assertIn(word, text)

    def test_every_board_has_all_of_the_port(self):
        """What app.py may use is there, whatever the board."""
        for name in ("fake", "unix"):
            board = hal.board(name, folder="/tmp")
            for word in _BOARD_HAS:
                self.assertTrue(hasattr(board, word), (name, word))
            for word in (
                "up",
                "is_up",
                "down",
                "rssi",
                "address",
                "lookup",
                "reset",
                "close_access_point",
            ):
                self.assertTrue(hasattr(board.network, word), (name, word))
            self.assertIn(board.reset_cause(), hal.CAUSES)


class TestFields(unittest.TestCase):
    def test_field_out_of_range_or_of_another_type_is_refused(self):
        """True is no number, and a missing one without a default is missing."""
        cfg = {"kind": "pin", "pin": 4, "much": 99, "text": "4", "true": True}
        self.assertEqual(whole(cfg, "pin", 0, 48), 4)
        self.assertEqual(whole(cfg, "absent", 0, 48, 7), 7)
        for key in ("much", "text", "true", "absent"):
            self.assertIn(key, fault_of(whole, cfg, key, 0, 48))

    def test_choice_may_be_left_out_or_null_where_none_is_a_choice(self):
        """Else it is one of those that are known."""
        cfg = {"kind": "pin", "pull": "up", "wrong": "left", "none": "none"}
        self.assertEqual(choice(cfg, "pull", ("up", "down")), "up")
        self.assertIsNone(choice(cfg, "absent", ("up", "down")))
        self.assertIsNone(choice(cfg, "none", ("up", "down")))
        self.assertEqual(choice(cfg, "absent", ("up", "down"), "down"), "down")
        self.assertIn("up, down", fault_of(choice, cfg, "wrong", ("up", "down")))
        self.assertIn("none", fault_of(choice, cfg, "none", ("up", "down"), "up"))

    def test_flag_is_true_or_false(self):
        """1 is not."""
        self.assertTrue(flag({"on": True}, "on"))
        self.assertFalse(flag({}, "on"))
        self.assertIn("on", fault_of(flag, {"on": 1}, "on"))


class TestDates(unittest.TestCase):
    def test_dates_of_an_unset_clock_are_unknown(self):
        """2000 is where an ESP32 begins, 2021 where an RP2 does; 2100 is beyond any."""
        self.assertIsNone(dates.plausible_ms(0, 2000))
        self.assertIsNone(dates.plausible_ms(1609459200000000000, 1970))
        self.assertIsNone(dates.plausible_ms(4102444800000000000, 1970))

    def test_dates_of_both_epochs_are_the_same_instant(self):
        """946,684,800 s lie between 1970 and 2000."""
        self.assertEqual(dates.plausible_ms(_2026 * 1000000, 1970), _2026)
        self.assertEqual(dates.plausible_ms((_2026 - 946684800000) * 1000000, 2000), _2026)

    def test_dates_of_this_machine_are_utc(self):
        """Fields as an RTC wants them."""
        self.assertEqual(dates.fields(_2026)[:7], (2026, 10, 31, 9, 55, 0, 5))
        self.assertTrue(dates.utc_ms() > dates.EARLIEST_MS)


class TestFake(unittest.TestCase):
    def test_fake_ticks_wrap_as_on_a_board(self):
        """After 2**30 ms, from wherever they start."""
        board = fake.Board(ticks=(1 << 30) - 5)
        self.assertEqual(board.ticks_ms(), (1 << 30) - 5)
        board.advance(7)
        self.assertEqual(board.ticks_ms(), 2)
        self.assertEqual(board.elapsed_ms, 7)

    def test_fake_clock_keeps_its_epoch_and_goes_on(self):
        """Set, then moved by what passes; unset it is unknown."""
        self.assertIsNone(fake.Board().utc_ms())
        for epoch in (1970, 2000):
            board = fake.Board(epoch=epoch)
            board.rtc_ns = 0
            self.assertIsNone(board.utc_ms())
            board.set_utc_ms(_2026)
            board.advance(1500)
            self.assertEqual(board.utc_ms(), _2026 + 1500)

    def test_fake_watchdog_restarts_what_does_not_feed_it(self):
        """When time passes, and when a feed comes too late; the cause is kept."""
        board = fake.Board()
        dog = board.start_watchdog(8000)
        board.advance(8000)
        dog.feed()
        self.assertEqual(dog.feeds, [0, 8000])
        with self.assertRaises(fake.Restarted):
            board.advance(8001)
        self.assertEqual(board.reset_cause(), "watchdog")

    def test_fake_restart_passes_every_handler_of_exceptions(self):
        """As a reset does; it is no Exception."""
        board = fake.Board()
        try:
            try:
                board.restart()
            except Exception:  # noqa: BLE001 - what this is about
                self.fail("caught")
        except fake.Restarted as end:
            self.assertEqual(end.cause, "soft")
        self.assertEqual(board.reset_cause(), "soft")

    def test_fake_network_comes_goes_and_wedges(self):
        """Failing attempts take the board's time, not ours."""
        board = fake.Board()
        net = board.network
        net.takes_ms = 300
        asyncio.run(net.up("plant", "word", 5000))
        self.assertTrue(net.is_up())
        self.assertEqual((net.rssi(), net.address(), board.elapsed_ms), (-60, "192.0.2.7", 300))
        net.there = False
        self.assertFalse(net.is_up())
        self.assertIn("no answer", fault_of(asyncio.run, net.up("plant", "word", 5000)))
        net.there = True
        self.assertFalse(net.is_up())
        net.wedged = 1
        self.assertIn("no answer", fault_of(asyncio.run, net.up("plant", "word", 5000)))
        asyncio.run(net.reset())
        asyncio.run(net.up("plant", "word", 5000))
        self.assertTrue(net.is_up())
        self.assertEqual((net.joins, net.resets, board.elapsed_ms), (4, 1, 10600))
        net.password = "other"
        self.assertIn("password", fault_of(asyncio.run, net.up("plant", "word", 5000)))

    def test_fake_buses_are_fitted_once_by_kind(self):
        """A test takes hold of the bus that the firmware uses."""
        board = fake.Board()
        rom = b"\x28abcdefg"
        board.fitted["onewire"] = fake.OneWire({rom: bytes(9), b"\x28ABCDEFG": None})
        bus = board.bus({"kind": "onewire", "pin": 4})
        asyncio.run(bus.convert())
        self.assertEqual((bus.scan(), bus.scratchpad(rom)), ([rom], bytes(9)))
        self.assertIn("answer", fault_of(bus.scratchpad, b"\x28ABCDEFG"))
        board.bus({"kind": "pin", "pin": 1}).level = 1
        self.assertEqual(board.bus({"kind": "pin", "pin": 1}).value(), 1)
        board.bus({"kind": "pulse"}).pulses = 5
        self.assertEqual(board.bus({"kind": "pulse"}).count(), 5)
        self.assertEqual(len(board.asked), 5)
        self.assertIn("can", fault_of(board.bus, {"kind": "can"}))

    def test_fake_registers_answer_as_chips_do(self):
        """SPI as many bytes as were sent, I2C by register, silence as OSError."""
        spi = fake.Spi(b"\x01\x02")
        self.assertEqual(spi.transfer(b"abcd"), b"\x01\x02\xff\xff")
        i2c = fake.I2c({0x48: {0: b"\x12\x34"}})
        self.assertEqual(i2c.write_read(0x48, b"\x00", 2), b"\x12\x34")
        i2c.write(0x48, b"\x01\x85\x83")
        self.assertEqual(i2c.read(0x48, 2), b"\x85\x83")
        with self.assertRaises(OSError):
            i2c.read(0x49, 1)

    def test_fake_serial_answers_what_it_is_asked(self):
        """In pieces, or with the fault that the test wants."""
        line = fake.Uart(lambda sent: sent + b"!")

        async def talk():
            await line.write(b"abc")
            first = await line.read(2, 100)
            line.discard()
            return first, await line.read(9, 100)

        self.assertEqual(asyncio.run(talk()), (b"ab", b""))
        line.fault = OSError("unplugged")
        self.assertIn("unplugged", fault_of(asyncio.run, line.write(b"x")))


class TestUnix(unittest.TestCase):
    def setUp(self):
        self.board = hal.board("unix", folder=_FOLDER + "/a/b")

    def tearDown(self):
        for folder in (_FOLDER + "/a/b", _FOLDER + "/a", _FOLDER):
            try:  # noqa: SIM105 - MicroPython has no contextlib
                os.rmdir(folder)
            except OSError:
                pass

    def test_unix_makes_its_folder_and_knows_the_room_in_it(self):
        """Opened again it is the same."""
        again = hal.board("unix", folder=_FOLDER + "/a/b")
        os.stat(again.folder)
        self.assertTrue(again.flash_free() > 0)

    def test_unix_clock_and_ticks_are_those_of_the_system(self):
        """It cannot be set, and the ticks do not wrap."""
        before = self.board.utc_ms()
        self.board.set_utc_ms(_2026)
        self.assertTrue(0 <= self.board.utc_ms() - before < 60000)
        first = self.board.ticks_ms()
        self.assertTrue(0 <= self.board.ticks_ms() - first < 60000)
        self.assertEqual(self.board.TICKS_PERIOD, 0)

    def test_unix_network_is_always_up(self):
        """Joining, leaving and resetting do nothing."""
        net = self.board.network
        asyncio.run(net.up("", "", 1))
        asyncio.run(net.reset())
        net.down()
        self.assertTrue(net.is_up())
        self.assertIsNone(net.rssi())
        self.assertTrue(isinstance(net.address(), str))
        self.assertEqual(asyncio.run(net.access_point("x", "")), "127.0.0.1")
        net.close_access_point()

    def test_unix_restart_ends_the_process_with_the_code_for_another_start(self):
        """75: EX_TEMPFAIL."""
        try:
            self.board.restart()
        except SystemExit as end:
            self.assertEqual(end.args[0], 75)

    def test_unix_refuses_buses_with_pins(self):
        """It has TCP."""
        self.assertIn("tcp", fault_of(self.board.bus, {"kind": "spi"}))
        self.assertTrue(isinstance(self.board.bus({"kind": "tcp", "host": "x", "port": 1}), Tcp))


async def itself(host):
    """The address of an address."""
    return host


class TestTcp(unittest.TestCase):
    def with_server(self, serve, talk):
        """Run `talk(bus)` against a server whose connections `serve(reader, writer)` keeps."""

        async def run():
            port = 0
            for port in range(23811, 23831):
                try:
                    server = await asyncio.start_server(serve, "127.0.0.1", port)
                    break
                except OSError:
                    continue
            bus = Tcp({"kind": "tcp", "host": "unit.plant.example", "port": port}, self.find)
            try:
                return await talk(bus)
            finally:
                await bus.close()
                server.close()
                await asyncio.sleep(0.05)  # the server's side sees the end

        return asyncio.run(run())

    async def find(self, host):
        """What the network says of a name."""
        self.assertEqual(host, "unit.plant.example")
        return "127.0.0.1"

    async def echo(self, reader, writer):
        """Answer what comes, until nothing does."""
        try:
            data = await reader.read(64)
            while data:
                writer.write(data)
                await writer.drain()
                data = await reader.read(64)
        except OSError:  # it was cut
            pass
        hang_up(writer)

    def test_tcp_connects_when_first_used_and_reads_in_pieces(self):
        """Fewer bytes than asked once the time is over."""

        async def talk(bus):
            await bus.write(b"abcdef")
            return await bus.read(4, 1000), await bus.read(4, 50), await bus.read(1, 20)

        self.assertEqual(self.with_server(self.echo, talk), (b"abcd", b"ef", b""))

    def test_tcp_drops_a_late_answer_before_the_next_question(self):
        """Whether it had come when it was discarded or not."""

        async def talk(bus):
            await bus.write(b"late")
            bus.discard()
            await asyncio.sleep(0.05)
            await bus.write(b"new")
            return await bus.read(9, 2000)

        self.assertEqual(self.with_server(self.echo, talk), b"new")

    def test_tcp_connects_again_after_the_other_side_left(self):
        """The read says that it left; the next write opens a new connection."""
        calls = []

        async def once(reader, writer):
            calls.append(1)
            data = await reader.read(64)
            if len(calls) > 1:
                writer.write(data)
                await writer.drain()
            hang_up(writer)

        async def talk(bus):
            await bus.write(b"one")
            try:
                await bus.read(3, 1000)
            except OSError as fault:
                text = str(fault)
            await bus.write(b"two")
            return text, await bus.read(3, 1000)

        text, answer = self.with_server(once, talk)
        self.assertTrue("closed" in text or "ECONN" in text or "104" in text, text)
        self.assertEqual(answer, b"two")

    def test_tcp_with_nobody_there_is_an_oserror_of_the_write(self):
        """And of a read before any write."""
        bus = Tcp({"kind": "tcp", "host": "127.0.0.1", "port": 1}, itself)
        self.assertTrue(fault_of(asyncio.run, bus.write(b"x")) != "")
        self.assertIn("write first", fault_of(asyncio.run, bus.read(1, 10)))

    def test_tcp_name_that_nobody_knows_is_an_oserror_and_one_that_hangs_ends_in_time(self):
        """As an address that does not answer; the loop goes on meanwhile."""

        async def unknown(host):
            raise OSError(host + ": no such name")

        async def silent(_host):
            await asyncio.Event().wait()

        for find, why in ((unknown, "no such name"), (silent, "does not answer")):
            bus = Tcp({"kind": "tcp", "host": "unit.example", "port": 502}, find, connect_s=0.05)
            self.assertIn(why, fault_of(asyncio.run, bus.write(b"x")))

    def test_tcp_of_a_board_collects_garbage_before_it_connects(self):
        """The sockets of attempts that were cut off are closed by it; a board has about ten."""

        class Board:
            collected = 0

            def mem_free(self):
                return 0

            def collect(self):
                self.collected += 1

        garbage, tcp.gc = tcp.gc, Board()
        try:
            for attempts in (1, 2):
                bus = Tcp({"kind": "tcp", "host": "127.0.0.1", "port": 1}, itself)
                self.assertTrue(fault_of(asyncio.run, bus.write(b"x")) != "")
                self.assertEqual(tcp.gc.collected, attempts)
        finally:
            tcp.gc = garbage

    def test_tcp_of_wrong_configuration_names_the_field(self):
        """A host that is none, a port out of range."""
        self.assertIn("host", fault_of(Tcp, {"host": None, "port": 502}, itself))
        self.assertIn("port", fault_of(Tcp, {"host": "x", "port": 70000}, itself))
