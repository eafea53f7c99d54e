"""The Modbus master against pymodbus, a server that somebody else wrote, in both framings."""

import asyncio

import pytest

from device.steamlink import contract, modbus
from device.steamlink.sensors import SensorError
from tests.firmware.modbus_slave import Stream
from tests.servers.ports import free_port

server_module = pytest.importorskip("pymodbus.server", reason="pymodbus is not installed")
simulator = pytest.importorskip("pymodbus.simulator")
framers = pytest.importorskip("pymodbus.framer")

REGISTERS = [number * 513 & 0xFFFF for number in range(130)]
BITS = [number % 5 < 2 for number in range(64)]
FRAMINGS = {"tcp": "SOCKET", "rtu": "RTU"}


def ask(framing, question):
    """Run question(master) against a unit 7 on a server of its own."""

    async def work():
        kind = simulator.DataType
        bits = [simulator.SimData(0, values=BITS, datatype=kind.BITS)]
        registers = [simulator.SimData(0, values=REGISTERS, datatype=kind.REGISTERS)]
        unit = simulator.SimDevice(7, simdata=(bits, bits, registers, registers))
        port = free_port()
        server = server_module.ModbusTcpServer(
            unit, framer=framers.FramerType[FRAMINGS[framing]], address=("127.0.0.1", port)
        )
        await server.serve_forever(background=True)
        bus = Stream(port)
        try:
            return await question(modbus.master(bus, framing, timeout_ms=500))
        finally:
            await bus.close()
            await server.shutdown()

    return asyncio.run(work())


@pytest.mark.parametrize("framing", FRAMINGS)
def test_master_reads_registers_of_pymodbus(framing):
    """Holding and input registers, up to the most that a frame holds."""

    async def question(master):
        return [
            await master.read(7, "holding", 0, 125),
            await master.read(7, "input", 100, 30),
        ]

    assert ask(framing, question) == [REGISTERS[:125], REGISTERS[100:]]


@pytest.mark.parametrize("framing", FRAMINGS)
def test_master_reads_bits_of_pymodbus(framing):
    """Coils and discrete inputs, at counts that do not fill a byte."""

    async def question(master):
        return [await master.read(7, "coil", 3, 13), await master.read(7, "discrete", 0, 64)]

    coils, inputs = ask(framing, question)
    assert coils == [int(bit) for bit in BITS[3:16]]
    assert inputs == [int(bit) for bit in BITS]


@pytest.mark.parametrize("framing", FRAMINGS)
def test_master_of_missing_address_is_told_by_pymodbus(framing):
    """An address that the unit lacks is a fault of the map."""

    async def question(master):
        with pytest.raises(SensorError) as raised:
            await master.read(7, "holding", 5000, 2)
        return raised.value

    fault = ask(framing, question)
    assert fault.code == contract.CONFIGURATION_ERROR
    assert "exception 2" in fault.text
