"""The firmware on a PC with one sensor that writes each row into a ledger before it is handed over.

`ledgered.py FOLDER`: the ledger is FOLDER/ledger, a line `boot n utc_ms` for each row; n counts on
over restarts and is the value of the metric `fuel_flow`.
"""

import sys
import time

from device.steamlink import app as firmware
from device.steamlink import sensors
from device.steamlink.hal import unix

FOLDER = sys.argv[1]
LEDGER = FOLDER + "/ledger"


def last_number() -> int:
    """The last row of the ledger, 0 where there is none."""
    try:
        with open(LEDGER) as ledger:
            lines = ledger.read().split("\n")
    except OSError:
        return 0
    whole = [line for line in lines[:-1] if line]
    return int(whole[-1].split()[1]) if whole else 0


class Driver(sensors.Sensor):
    """Counts rows, each written down first."""

    def __init__(self, bus, cfg) -> None:
        super().__init__(bus, cfg)
        self._ledger = open(LEDGER, "a")
        self._number = last_number()

    def metrics(self):
        return [("fuel_flow", "Nm³/h", 0, 0, 100000)]

    async def read(self, out) -> None:
        self._number += 1
        self._ledger.write(
            "{} {} {}\n".format(device.session.boot, self._number, time.time_ns() // 1000000)
        )
        self._ledger.flush()
        out.put("fuel_flow", self._number, 192)


class Module:
    """What sensors.make finds under the name `ledgered`."""

    KIND = "ledgered"
    BUS = ""
    DEFAULTS = ()
    Driver = Driver


sys.modules[sensors.__name__ + ".ledgered"] = Module
sensors.ledgered = Module
device = firmware.App(unix.Board(FOLDER))
firmware.run(device)
