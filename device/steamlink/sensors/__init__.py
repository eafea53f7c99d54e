"""The drivers: one file is one kind of sensor, found by its file name.

A driver's file has KIND, BUS (the kinds of bus it needs, empty for none), DEFAULTS (its own
keys) and the class Driver(Sensor). A sensor's configuration has the keys of COMMON, of the
chain and of its driver:

    {"kind": "ds18b20", "bus": "w1", "metric": "feedwater_temperature", "median": 3}

A driver of several metrics takes what is special of one from "chain": {metric: {key: value}}.
"""

import asyncio

from .. import contract  # noqa: TID252 - a board's package has another name
from ..chain import KEYS, Chain  # noqa: TID252 - a board's package has another name

# every_ms 0: each period. lead_ms: how long before its time a reading is begun. timeout_ms:
# how long after its time it may end. deadband: how far the metric must move to be sent.
COMMON = {
    "kind": "",
    "bus": None,
    "metric": "",
    "unit": "",
    "decimals": 1,
    "low": None,
    "high": None,
    "every_ms": 0,
    "lead_ms": 0,
    "timeout_ms": 500,
    "deadband": 0,
    "chain": {},
}

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"
_MOST_DECIMALS = 6


if hasattr(asyncio, "sleep_ms"):
    sleep_ms = asyncio.sleep_ms
else:

    def sleep_ms(ms):
        """Let the others run for `ms`."""
        return asyncio.sleep(ms / 1000)


class SensorError(Exception):
    """A sensor has no reading: `code` is the OPC quality code, `text` says why."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code
        self.text = text


class Sensor:
    """What drivers have in common; `cfg` is complete, with the defaults.

    `begin` starts a reading (a conversion, a poll), `read` ends it and puts what came of it:
    out.put(metric, value or None, OPC code); out.up_ms is the time. Either may raise
    SensorError or OSError, and waits only by await.
    """

    def __init__(self, bus, cfg):
        self.bus = bus
        self.cfg = cfg

    def metrics(self):
        """What it measures: (name, unit, decimals, low, high) of each metric."""
        cfg = self.cfg
        return [(cfg["metric"], cfg["unit"], cfg["decimals"], cfg["low"], cfg["high"])]

    async def begin(self):
        """Start a reading; nothing to do for most."""

    def put(self, out, value):
        """Put a good value of the only metric."""
        out.put(self.cfg["metric"], value, contract.GOOD)


class Unusable(Sensor):
    """Stands for a sensor whose configuration is wrong, so that its metric shows it."""

    def __init__(self, cfg, text):
        complete = dict(COMMON)
        complete["metric"] = cfg["metric"]
        super().__init__(None, complete)
        self._text = text
        self.chains = [Chain({})]

    async def read(self, out):  # noqa: ARG002 - the driver's interface
        """Never a value: CONFIGURATION_ERROR."""
        raise SensorError(contract.CONFIGURATION_ERROR, self._text)


def make(cfg, buses):
    """Make the driver that a sensor's configuration names; only its file is imported.

    `buses` are bus objects by name. The driver has `chains`, one for each of its metrics.
    ValueError says which key is wrong.
    """
    if not isinstance(cfg, dict):
        raise ValueError("{!r} is no sensor: an object with a kind".format(cfg))  # noqa: TRY004 - one error type
    kind = cfg.get("kind")
    module = _module(kind)
    complete = dict(COMMON)
    complete.update(KEYS)
    complete.update(module.DEFAULTS)
    for key in sorted(cfg):
        if key not in complete:
            raise ValueError(
                "key {!r} is unknown; {} knows {}".format(key, kind, ", ".join(sorted(complete)))
            )
    complete.update(cfg)
    bus = buses.get(complete["bus"])
    if module.BUS and bus is None:
        raise ValueError(
            "bus {!r}: {} needs the name of a bus of kind {} that works".format(
                complete["bus"], kind, module.BUS
            )
        )
    _check(complete)
    driver = module.Driver(bus, complete)
    driver.chains = [_chain(complete, metric) for metric in driver.metrics()]
    return driver


def make_all(values, board):
    """Make every bus and sensor of a configuration: (drivers, faults as text).

    One that cannot be made costs nothing but itself: its metric, if it names one, is there
    with CONFIGURATION_ERROR.
    """
    buses, faults, drivers, taken = {}, [], [], set()
    described = values.get("buses") or {}
    for name in sorted(described):
        try:
            buses[name] = board.bus(described[name])
        except Exception as fault:  # noqa: BLE001 - whatever is wrong with it, the others live
            faults.append("buses.{}: {}".format(name, fault))
    for number, cfg in enumerate(values.get("sensors") or ()):
        where = "sensors[{}]".format(number)
        try:
            driver = make(_framed(cfg, described), buses)
            names = [metric[0] for metric in driver.metrics()]
            _check_names(names, taken)
        except Exception as fault:  # noqa: BLE001 - whatever is wrong with it, the others live
            faults.append("{}: {}".format(where, fault))
            name = cfg.get("metric") if isinstance(cfg, dict) else None
            if not contract.is_metric_name(name) or name in taken:
                continue
            if len(taken) >= contract.MAX_METRICS:
                continue
            driver, names = Unusable(cfg, str(fault)), [name]
        taken.update(names)
        drivers.append(driver)
    return drivers, faults


def _module(kind):
    if (
        not isinstance(kind, str)
        or kind[:1] in ("", "_")
        or not all(letter in _LETTERS for letter in kind)
    ):
        raise ValueError("kind {!r} is no name of a driver".format(kind))
    try:
        return __import__(__name__ + "." + kind, None, None, ("Driver",))
    except ImportError:
        raise ValueError("kind {!r}: there is no driver sensors/{}.py".format(kind, kind)) from None


def _check(cfg):
    for key in ("every_ms", "lead_ms", "timeout_ms", "decimals"):
        if not isinstance(cfg[key], int) or cfg[key] < 0:
            raise ValueError("{} {!r}: a whole number from 0".format(key, cfg[key]))
    if cfg["decimals"] > _MOST_DECIMALS:
        raise ValueError("decimals {!r}: at most {}".format(cfg["decimals"], _MOST_DECIMALS))


def _check_names(names, taken):
    if not names:
        raise ValueError("measures nothing: name a metric")
    for index, name in enumerate(names):
        if not contract.is_metric_name(name):
            raise ValueError("metric {!r} is no name: a-z, 0-9, _".format(name))
        if name in taken or name in names[:index]:
            raise ValueError("metric {!r} is measured by another sensor already".format(name))
    if len(taken) + len(names) > contract.MAX_METRICS:
        raise ValueError("a device has at most {} metrics".format(contract.MAX_METRICS))


def _chain(cfg, metric):
    own = {"low": metric[3], "high": metric[4]}
    for key in KEYS:
        own[key] = cfg[key]
    special = cfg["chain"].get(metric[0])
    if special:
        for key in special:
            if key not in KEYS and key != "deadband":
                raise ValueError("chain.{}: key {!r} is unknown".format(metric[0], key))
        own.update(special)
    return Chain(own)


def _framed(cfg, described):
    """On a TCP bus the frames of Modbus are those of TCP, unless the sensor says otherwise."""
    if not isinstance(cfg, dict) or cfg.get("kind") != "modbus":
        return cfg
    bus = described.get(cfg.get("bus"))
    if isinstance(bus, dict) and bus.get("kind") == "tcp" and "framing" not in cfg:
        cfg = dict(cfg)
        cfg["framing"] = "tcp"
    return cfg
