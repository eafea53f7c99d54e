"""The drivers: one file is one kind of sensor, found by its file name.

A driver's file has KIND, BUS (the kinds of bus it needs, empty for none), DEFAULTS (its own
keys) and the class Driver(Sensor). A sensor's configuration has the common keys
(COMMON in _making.py), those of the chain and those of its driver:

    {"kind": "ds18b20", "bus": "w1", "metric": "feedwater_temperature", "median": 3}

A driver of several metrics takes what is special of one from "chain": {metric: {key: value}}.
"""

import asyncio

from .. import contract, forget  # noqa: TID252 - a board's package has another name

if hasattr(asyncio, "sleep_ms"):
    sleep_ms = asyncio.sleep_ms
else:

    def sleep_ms(ms):
        """Let the others run for `ms`."""
        return asyncio.sleep(ms / 1000)


def span_ms(cfg, period_ms):
    """How long a sensor has from reading to reading: whole periods, at least one."""
    return max(-(-cfg.get("every_ms", 0) // period_ms), 1) * period_ms


class SensorError(Exception):
    """A sensor has no reading: `code` is the OPC quality code, `text` says why."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code
        self.text = text


class Sensor:
    """What drivers have in common; `cfg` is complete, with the defaults.

    `begin` ends when there is something to read (it awaits a conversion, a poll), however late it
    was begun; `read` puts what came of it: out.put(metric, value or None, OPC code); out.up_ms is
    the time. Either may raise SensorError or OSError, and waits only by await.
    """

    def __init__(self, bus, cfg):
        self.bus = bus
        self.cfg = cfg

    def metrics(self):
        """What it measures: (name, unit, decimals, low, high) of each metric."""
        cfg = self.cfg
        return [(cfg["metric"], cfg["unit"], cfg["decimals"], cfg["low"], cfg["high"])]

    def join(self):
        """Take part in what sensors of one bus share, once nothing is wrong with it.

        ValueError where those before it have it otherwise; nothing to do for most.
        """

    async def begin(self):
        """Prepare a reading; nothing to do for most."""

    def put(self, out, value):
        """Put a good value of the only metric."""
        out.put(self.cfg["metric"], value, contract.GOOD)


def make(cfg, buses):
    """Make the driver that a sensor's configuration names; only its file is imported.

    `buses` are bus objects by name. The driver has `chains`, one for each of its metrics.
    ValueError says which key is wrong.
    """
    from . import _making

    try:
        return _making.make(cfg, buses)
    finally:
        forget("sensors._making")


def make_all(values, board):
    """Make every bus and sensor of a configuration: (drivers, faults as text).

    One that cannot be made costs nothing but itself: its metric, if it names one, is there
    with CONFIGURATION_ERROR.
    """
    from . import _making

    try:
        return _making.make_all(values, board)
    finally:
        forget("sensors._making")
