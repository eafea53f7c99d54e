"""The Modbus master against a unit that answers right and wrong, on sockets and within the process."""

import asyncio
import unittest

from device.steamlink import contract, modbus
from device.steamlink.hal import tcp
from device.steamlink.sensors import SensorError
from tests.firmware import web
from tests.firmware.modbus_slave import SILENT, LateLine, Line, Server, Slave
from tests.firmware.wires import no_wait

modbus.sleep_ms = no_wait
FRAMINGS = ("rtu", "tcp")


def slave(framing="rtu", **changes):
    made = Slave(framing, **changes)
    for code in (3, 4):
        made.tables[code] = {number: number * 257 & 0xFFFF for number in range(300)}
    for code in (1, 2):
        made.tables[code] = {number: number % 3 == 0 for number in range(2100)}
    return made


def master(bus, framing="rtu", **changes):
    kind = modbus.Rtu if framing == "rtu" else modbus.Tcp
    return kind(bus, **changes)


def fault_of(work):
    """(code, text) of the SensorError that this ends in."""
    try:
        got = asyncio.run(work)
    except SensorError as fault:
        return fault.code, fault.text
    return None, f"gave {got}"


def run(work):
    web.start_anew()
    return asyncio.run(asyncio.wait_for(work, 5))


class TestModbus(unittest.TestCase):
    def test_modbus_rtu_frames_are_those_of_the_standard_examples(self):
        """The well known question for 3 registers of unit 17, and for 37 coils."""
        sent = []

        class Recorded(Line):
            async def write(self, data):
                sent.append(bytes(data))
                self.pending = self.slave

        holding = Recorded(bytes.fromhex("1103 06AE 4156 5243 4049 AD".replace(" ", "")))
        coils = Recorded(bytes.fromhex("1101 05CD 6BB2 0E1B 45E6".replace(" ", "")))
        registers = asyncio.run(master(holding).read(17, "holding", 0x6B, 3))
        bits = asyncio.run(master(coils).read(17, "coil", 0x13, 37))

        self.assertEqual(sent[0], bytes.fromhex("1103006b00037687"))
        self.assertEqual(registers, [0xAE41, 0x5652, 0x4340])
        self.assertEqual(sent[1], bytes.fromhex("1101001300250e84"))
        self.assertEqual(bits[:8], [1, 0, 1, 1, 0, 0, 1, 1])
        self.assertEqual(bits[32:], [1, 1, 0, 1, 1])

    def test_modbus_tcp_frames_have_the_mbap_header(self):
        """Transaction, protocol 0, length, unit; the transaction counts."""
        unit = slave("tcp", units=(17,))
        sent = []
        line = Line(unit)
        write = line.write

        async def recorded(data):
            sent.append(bytes(data))
            await write(data)

        line.write = recorded
        tcp = master(line, "tcp")
        asyncio.run(tcp.read(17, "holding", 0x6B, 3))
        asyncio.run(tcp.read(17, "holding", 0x6B, 3))

        self.assertEqual(sent[0], bytes.fromhex("000100000006" + "1103006b0003"))
        self.assertEqual(sent[1], bytes.fromhex("000200000006" + "1103006b0003"))

    def test_modbus_reads_all_four_tables(self):
        """Both framings, on a socket."""
        for framing in FRAMINGS:
            unit = slave(framing)

            async def read_all(unit=unit, framing=framing):
                async with Server(unit) as bus:
                    asks = master(bus, framing)
                    got = []
                    for table in ("coil", "discrete", "holding", "input"):
                        got.append(await asks.read(1, table, 5, 11))  # noqa: PERF401 - MicroPython
                    await bus.close()
                    return got

            bits, discretes, holding, inputs = run(read_all())
            self.assertEqual(bits, [1 if n % 3 == 0 else 0 for n in range(5, 16)])
            self.assertEqual(discretes, bits)
            self.assertEqual(holding, [n * 257 for n in range(5, 16)])
            self.assertEqual(inputs, holding)
            self.assertEqual([asked[1] for asked in unit.asked], [1, 2, 3, 4])

    def test_modbus_reads_the_most_that_a_frame_holds(self):
        """125 registers, 2000 bits."""
        for framing in FRAMINGS:
            asks = master(Line(slave(framing), piece=7), framing)
            self.assertEqual(len(asyncio.run(asks.read(1, "input", 0, 125))), 125)
            self.assertEqual(len(asyncio.run(asks.read(1, "coil", 0, 2000))), 2000)

    def test_modbus_answer_in_single_bytes_is_put_together(self):
        """A serial server may hand over byte by byte."""
        for framing in FRAMINGS:

            async def read(framing=framing):
                async with Server(slave(framing), pace_s=0.001) as bus:
                    got = await master(bus, framing, timeout_ms=500).read(1, "holding", 1, 3)
                    await bus.close()
                    return got

            self.assertEqual(run(read()), [257, 514, 771])

    def test_modbus_silent_unit_is_a_communication_failure(self):
        """With the unit in the text; on TCP after the retries, on RTU at once; on a socket."""
        for framing, questions in (("rtu", 1), ("tcp", 2)):
            unit = slave(framing)

            async def read(unit=unit, framing=framing):
                async with Server(unit) as bus:
                    try:
                        await master(bus, framing, timeout_ms=20).read(9, "holding", 0, 1)
                    except SensorError as error:
                        return error
                    finally:
                        await bus.close()
                    return None

            fault = run(read())
            self.assertEqual(fault.code, contract.COMMUNICATION_FAILURE)
            self.assertEqual(fault.text, "unit 9: no answer within 20 ms")
            self.assertEqual(len(unit.asked), questions)

    def test_modbus_exceptions_have_codes_of_their_own(self):
        """A wrong map, a broken unit and a busy one are told apart, and nobody asks again."""
        for framing in FRAMINGS:
            for number, code in (
                (1, contract.CONFIGURATION_ERROR),
                (2, contract.CONFIGURATION_ERROR),
                (3, contract.CONFIGURATION_ERROR),
                (4, contract.DEVICE_FAILURE),
                (5, contract.COMMUNICATION_FAILURE),
                (6, contract.COMMUNICATION_FAILURE),
                (8, contract.DEVICE_FAILURE),
                (10, contract.CONFIGURATION_ERROR),
                (11, contract.COMMUNICATION_FAILURE),
                (99, contract.COMMUNICATION_FAILURE),
            ):
                unit = slave(framing)
                unit.exception = number
                got, text = fault_of(master(Line(unit), framing).read(1, "holding", 0, 1))
                self.assertEqual(got, code)
                self.assertIn(f"exception {number}", text)
                self.assertEqual(len(unit.asked), 1)

    def test_modbus_after_one_bad_answer_asks_again(self):
        """Each way of going wrong once costs nothing."""
        for framing in FRAMINGS:
            for spoil in SPOILED[framing]:
                unit = slave(framing)
                unit.script = [spoil]
                got = asyncio.run(master(Line(unit), framing).read(1, "holding", 7, 2))
                self.assertEqual(got, [7 * 257, 8 * 257])

    def test_modbus_rtu_answer_that_may_still_come_is_not_asked_for_again(self):
        """Two questions may have two answers, and the second would pass for that of the next."""
        for spoil in OWED:
            unit = slave()
            unit.script = [spoil]
            code, text = fault_of(master(Line(unit)).read(1, "holding", 7, 2))
            self.assertEqual((code, len(unit.asked)), (contract.COMMUNICATION_FAILURE, 1), text)

    def test_modbus_after_two_bad_answers_gives_up(self):
        """Each way of going wrong is a communication failure, never a value."""
        for framing in FRAMINGS:
            for spoil in SPOILED[framing]:
                unit = slave(framing)
                unit.script = [spoil, spoil]
                code, text = fault_of(master(Line(unit), framing).read(1, "holding", 7, 2))
                self.assertEqual(code, contract.COMMUNICATION_FAILURE, text)
                self.assertTrue(text.startswith("unit 1: "), text)

    def test_modbus_rtu_with_any_flipped_bit_is_no_value(self):
        """CRC16 finds every single bit, wherever it is."""
        for bit in range(72):

            def flip(frame, bit=bit):
                broken = bytearray(frame)
                broken[bit // 8] ^= 1 << bit % 8
                return bytes(broken)

            unit = slave()
            unit.script = [flip]
            code, _ = fault_of(master(Line(unit), retries=0).read(1, "holding", 7, 2))
            self.assertEqual(code, contract.COMMUNICATION_FAILURE)

    def test_modbus_of_random_bytes_is_no_value_and_ends(self):
        """Noise of any length never hangs the master and never is a reading."""
        noise = 12345
        for framing in FRAMINGS:
            for _ in range(150):
                data = bytearray()
                for _ in range(noise % 40):
                    noise = noise * 75 % 65537
                    data.append(noise & 255)
                noise = (noise * 75 + 74) % 65537
                unit = slave(framing)
                unit.script = [lambda frame, data=data: bytes(data)]
                code, _ = fault_of(master(Line(unit), framing, retries=0).read(1, "holding", 7, 2))
                self.assertEqual(code, contract.COMMUNICATION_FAILURE)

    def test_modbus_rtu_late_answer_is_not_the_next(self):
        """What still comes of an old question is thrown away before the next."""
        unit = slave()
        line = Line(unit)
        asks = master(line, retries=0)
        unit.script = [lambda frame: SILENT]
        fault_of(asks.read(1, "holding", 7, 2))
        line.pending = unit.wrap(1, bytes((3, 4, 9, 9, 9, 9)))

        self.assertEqual(asyncio.run(asks.read(1, "holding", 7, 2)), [7 * 257, 8 * 257])

    def test_modbus_rtu_unit_slower_than_it_may_be_never_answers_the_next_question(self):
        """Up to twice as slow nothing is a wrong value; in time again, all are values."""
        for delay_ms in range(10, 200, 10):
            line = LateLine(slave(), delay_ms)
            asks = master(line, timeout_ms=100)

            async def read(address, asks=asks):
                try:
                    return await asks.read(1, "holding", address, 1)
                except SensorError as fault:
                    return fault.code

            for address in (7, 200, 8, 8, 201, 7):
                good = delay_ms <= 100
                wanted = [address * 257 & 0xFFFF] if good else contract.COMMUNICATION_FAILURE
                self.assertEqual(asyncio.run(read(address)), wanted, delay_ms)
            line.delay_ms = 20
            self.assertEqual(asyncio.run(read(9)), [9 * 257])

    def test_modbus_rtu_line_is_silent_after_a_fault_for_half_a_second_at_most(self):
        """A turn that waited out a long answer_ms would be over before it has asked."""
        for answer_ms, quiet_ms in ((300, 300), (1500, 500)):
            line = LateLine(slave(), 10)
            asks = master(line, timeout_ms=answer_ms)
            line.slave.script = [lambda frame: SILENT]
            fault_of(asks.read(1, "holding", 7, 2))
            before_ms = line.now_ms
            asyncio.run(asks.read(1, "holding", 7, 2))
            self.assertEqual(line.now_ms - before_ms, quiet_ms + 10)

    def test_modbus_rtu_line_that_never_falls_silent_is_a_communication_failure(self):
        """After a fault, rather than to listen for ever."""

        class Babble(Line):
            async def read(self, most, timeout_ms):
                return b"\x55" * most

        asks = master(Babble(slave()))
        fault_of(asks.read(1, "holding", 7, 2))
        code, text = fault_of(asks.read(1, "holding", 7, 2))

        self.assertEqual(code, contract.COMMUNICATION_FAILURE)
        self.assertIn("silent", text)
        self.assertEqual(len(asks.bus.slave.asked), 1)

    def test_modbus_rtu_on_a_noisy_line_goes_on_asking_after_any_fault(self):
        """A stray byte within each silence: once the answer came at once, else after two of them."""
        for spoil, wait_ms in (
            (lambda frame: frame[:-1] + b"\x00", 0),
            (lambda frame: SILENT, 600),
        ):
            line = LateLine(slave(), 10, noise_ms=250)
            asks = master(line, retries=0)
            line.slave.script = [spoil]
            fault_of(asks.read(1, "holding", 7, 2))
            before_ms = line.now_ms
            self.assertEqual(asyncio.run(asks.read(1, "holding", 8, 1)), [8 * 257])
            self.assertEqual(line.now_ms - before_ms, wait_ms + 10)

    def test_modbus_rtu_on_a_noisy_line_never_takes_a_late_answer_for_the_next(self):
        """Up to three times as slow as it may be."""
        for noise_ms in (37, 50, 90):
            for delay_ms in range(10, 300, 10):
                line = LateLine(slave(), delay_ms, noise_ms)
                asks = master(line, timeout_ms=100)

                async def read(address, asks=asks):
                    try:
                        return await asks.read(1, "holding", address, 1)
                    except SensorError:
                        return None

                for address in (7, 200, 8, 8, 201, 7):
                    got = asyncio.run(read(address))
                    self.assertIn(got, (None, [address * 257 & 0xFFFF]), (noise_ms, delay_ms))

    def test_modbus_rtu_on_a_noisy_line_cut_off_each_turn_asks_in_the_end(self):
        """What was listened counts over turns, each too short for all of it."""

        class Turn(LateLine):
            left = 0

            async def read(self, most, timeout_ms):
                if self.left == 0:
                    raise asyncio.CancelledError
                self.left -= 1
                return await super().read(most, timeout_ms)

        line = Turn(slave(), 10, noise_ms=250)
        asks = master(line, retries=0)
        line.slave.script = [lambda frame: SILENT]
        got = []

        async def turn():
            try:
                return await asks.read(1, "holding", 7, 1)
            except (SensorError, asyncio.CancelledError):
                return None

        for line.left in (3, 1, 3):
            got.append(asyncio.run(turn()))

        self.assertEqual(got, [None, None, [7 * 257]])

    def test_modbus_rtu_question_that_was_cut_off_while_it_was_sent_is_owed(self):
        """All of it may be out already: its answer must not pass for the next one's."""

        class Slow(LateLine):
            cut = True

            async def write(self, data):
                await super().write(data)
                if self.cut:
                    self.cut = False
                    raise asyncio.CancelledError

        line = Slow(slave(), 10)
        asks = master(line)

        async def cut_off():
            try:  # noqa: SIM105 - MicroPython has no contextlib
                await asks.read(1, "holding", 7, 1)
            except asyncio.CancelledError:
                pass

        asyncio.run(cut_off())
        self.assertEqual(asyncio.run(asks.read(1, "holding", 8, 1)), [8 * 257])

    def test_modbus_rtu_bus_that_closed_is_written_to_again_after_a_fault(self):
        """A closed port cannot be read; only the next write opens it."""

        class Port(Line):
            is_open = False

            async def write(self, data):
                self.is_open = True
                await super().write(data)

            async def read(self, most, timeout_ms):
                if not self.is_open:
                    raise OSError(5)
                return await super().read(most, timeout_ms)

        unit = slave()
        unit.script = [lambda frame: SILENT]
        port = Port(unit)
        asks = master(port)
        fault_of(asks.read(1, "holding", 7, 2))
        port.is_open = False

        self.assertEqual(asyncio.run(asks.read(1, "holding", 7, 2)), [7 * 257, 8 * 257])

    def test_modbus_rtu_pause_between_frames_is_that_of_the_speed(self):
        """3.5 characters, at least 1.75 ms; a line that tells no speed is taken for 9600 baud."""
        for baud, least_ms, most_ms in (
            (300, 128, 132),
            (2400, 16, 20),
            (9600, 4, 6),
            (None, 4, 6),
            (115200, 2, 3),
        ):
            paused = []

            async def note(ms, paused=paused):
                paused.append(ms)

            line = Line(slave())
            if baud is not None:
                line.baud = baud
            modbus.sleep_ms = note
            try:
                asyncio.run(master(line).read(1, "holding", 7, 2))
            finally:
                modbus.sleep_ms = no_wait
            self.assertEqual(len(paused), 1)
            self.assertTrue(least_ms <= paused[0] <= most_ms, paused)

    def test_modbus_tcp_late_answer_is_passed_over(self):
        """An answer with an old transaction number is not the one waited for."""
        unit = slave("tcp")
        old = unit.wrap(1, bytes((3, 4, 9, 9, 9, 9)), b"\x00\x07")
        unit.script = [lambda frame: old + old + frame]

        got = asyncio.run(master(Line(unit), "tcp", retries=0).read(1, "holding", 7, 2))
        self.assertEqual(got, [7 * 257, 8 * 257])

    def test_modbus_tcp_after_a_fault_connects_anew(self):
        """Half an answer may be on its way: only a new connection is in step again."""
        unit = slave("tcp")
        line = Line(unit)
        unit.script = [lambda frame: frame[:9]]
        asyncio.run(master(line, "tcp").read(1, "holding", 7, 2))

        self.assertEqual(line.closed, 1)

    def test_modbus_cancelled_half_way_is_in_step_again(self):
        """The sampler's time-out may hit anywhere; the next reading is right all the same."""
        for framing in FRAMINGS:
            unit = slave(framing)

            async def cancel_and_read(unit=unit, framing=framing):
                async with Server(unit, pace_s=0.004) as bus:
                    asks = master(bus, framing, timeout_ms=2000)
                    task = asyncio.create_task(asks.read(1, "holding", 100, 4))
                    await asyncio.sleep(0.03)
                    task.cancel()
                    try:
                        await task
                    except asyncio.CancelledError:
                        cancelled = True
                    got = await asks.read(1, "holding", 7, 2)
                    await bus.close()
                    return cancelled, got

            self.assertEqual(run(cancel_and_read()), (True, [7 * 257, 8 * 257]))

    def test_modbus_on_the_boards_tcp_bus_outlives_a_lost_connection(self):
        """The bus of the boards connects when it is asked, and again after the unit hung up."""
        unit = slave("tcp")

        async def read():
            async with Server(unit) as stream:
                bus = tcp.Tcp({"kind": "tcp", "host": "unit", "port": stream.port}, web.address_of)
                asks = master(bus, "tcp", timeout_ms=200)
                got = [await asks.read(1, "holding", 7, 2)]
                unit.script = [lambda frame: frame[:5]]
                got.append(await asks.read(1, "holding", 8, 2))
                await bus.close()
                got.append(await asks.read(1, "holding", 9, 2))
                await bus.close()
                return got

        self.assertEqual(run(read()), [[n * 257, n * 257 + 257] for n in (7, 8, 9)])

    def test_modbus_of_two_sensors_is_asked_one_after_the_other(self):
        """Two questions at once on a line would be noise."""
        unit = slave(units=(1, 2))
        asks = master(Line(unit, piece=1))

        async def both():
            tasks = [asyncio.create_task(asks.read(n, "holding", n, 2)) for n in (1, 2)]
            return [await tasks[0], await tasks[1]]

        self.assertEqual(asyncio.run(both()), [[257, 514], [514, 771]])

    def test_modbus_bus_that_fails_is_a_communication_failure(self):
        """A refused connection, a pulled adapter."""
        line = Line(slave("tcp"))
        line.fails = OSError(111)
        code, text = fault_of(master(line, "tcp").read(1, "holding", 0, 1))

        self.assertEqual(code, contract.COMMUNICATION_FAILURE)
        self.assertIn("111", text)

    def test_modbus_question_outside_the_standard_is_refused(self):
        """Nothing is sent."""
        unit = slave()
        for args in (
            (1, "holding", 0, 0),
            (1, "holding", 0, 126),
            (1, "coil", 0, 2001),
            (1, "holding", 65535, 2),
            (1, "holding", -1, 1),
            (256, "holding", 0, 1),
        ):
            with self.assertRaises(ValueError):
                asyncio.run(master(Line(unit)).read(*args))
        with self.assertRaises(KeyError):
            asyncio.run(master(Line(unit)).read(1, "file", 0, 1))
        self.assertEqual(unit.asked, [])

    def test_modbus_master_of_a_bus_is_one(self):
        """All sensors on a bus take turns at the same master."""
        first, second = Line(None), Line(None)

        self.assertIs(modbus.master(first, "rtu"), modbus.master(first, "rtu"))
        self.assertFalse(modbus.master(first, "rtu") is modbus.master(second, "tcp"))
        with self.assertRaises(ValueError):
            modbus.master(Line(None), "ascii")

    def test_modbus_master_wanted_otherwise_by_a_second_sensor_is_refused(self):
        """One line has one framing, time-out and number of retries; it is said, not passed over."""
        bus = Line(None)
        first = modbus.master(bus, "rtu", 300, 1)
        for wanted in (("tcp", 300, 1), ("rtu", 900, 1), ("rtu", 300, 0), ("ascii", 300, 1)):
            with self.assertRaises(ValueError):
                modbus.master(bus, *wanted)
        self.assertIs(modbus.master(bus, "rtu", 300, 1), first)

    def test_modbus_knows_no_code_that_writes(self):
        """Four function codes, all of them read; there is no other way to make a question."""
        self.assertEqual(sorted(modbus.TABLES.values()), [1, 2, 3, 4])
        for kind in (modbus.Master, modbus.Rtu, modbus.Tcp):
            for name in dir(kind):
                self.assertFalse("write" in name or "force" in name or "preset" in name)


def with_crc(frame):
    crc = modbus.crc16(frame)
    return frame + bytes((crc & 255, crc >> 8))


# What a unit may send on RTU although its own answer is still to come.
OWED = (
    lambda frame: SILENT,
    lambda frame: frame[:1],
    lambda frame: with_crc(b"\x02" + frame[1:-2]),
    lambda frame: with_crc(frame[:1] + b"\x04" + frame[2:-2]),
    lambda frame: with_crc(frame[:2] + b"\x02" + frame[3:5]),
    lambda frame: with_crc(frame[:2] + b"\xff" + frame[3:-2]),
    lambda frame: b"\x00" + frame,
    lambda frame: b"\xff" * 64,
    lambda frame: bytes(64),
)
SPOILED = {
    "rtu": (
        lambda frame: frame[:4],
        lambda frame: frame[:-1],
        lambda frame: frame[:-1] + b"\x00\x00",
        lambda frame: b"\x01\x83\x02\x00\x00",
    ),
    "tcp": (
        lambda frame: SILENT,
        lambda frame: frame[:3],
        lambda frame: frame[:7],
        lambda frame: frame[:-1],
        lambda frame: frame[:2] + b"\x00\x01" + frame[4:],
        lambda frame: frame[:4] + b"\xff\xff" + frame[6:],
        lambda frame: frame[:4] + b"\x00\x00" + frame[6:],
        lambda frame: frame[:4] + b"\x00\x02" + frame[6:],
        lambda frame: frame[:6] + b"\x02" + frame[7:],
        lambda frame: frame[:7] + b"\x04" + frame[8:],
        lambda frame: frame[:8] + b"\x02" + frame[9:],
        lambda frame: (b"\x00\x63" + frame[2:]) * 9,
        lambda frame: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ),
}
