"""From a configuration to drivers: loaded while they are made, and forgotten again."""

from .. import contract  # noqa: TID252 - a board's package has another name
from ..chain import KEYS, Chain  # noqa: TID252 - a board's package has another name
from ..constant import const  # noqa: TID252 - a board's package has another name
from . import Sensor, SensorError, span_ms

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

_LETTERS = const("abcdefghijklmnopqrstuvwxyz0123456789_")
_MOST_DECIMALS = const(6)
_LEAST_TIMEOUT_MS = const(50)
_LEVELS = const((0, 1, None))
_INFINITY = float("inf")
_PACKAGE = __name__.rsplit(".", 1)[0]


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


def make(cfg, buses, taken=(), period_ms=None):
    """See sensors.make; `taken` are the metrics of the sensors before it, `period_ms` that of rows.

    With a period, `every_ms` becomes what the sensor has from reading to reading.
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
    if period_ms:
        complete["every_ms"] = every_ms = span_ms(complete, period_ms)
        complete["lead_ms"] = min(complete["lead_ms"], every_ms)
    driver = module.Driver(bus, complete)
    driver.chains = []
    metrics = driver.metrics()
    for metric in metrics:
        _check_metric(*metric)
        driver.chains.append(_chain(complete, metric))
    _check_names([metric[0] for metric in metrics], taken)
    check_lead("lead_ms", complete, complete["lead_ms"])
    driver.join()
    return driver


def make_all(values, board):
    """See sensors.make_all."""
    buses, faults, drivers, taken = {}, [], [], set()
    described = values.get("buses") or {}
    period_ms = (values.get("sampling") or {}).get("period_ms")
    for name in sorted(described):
        try:
            buses[name] = board.bus(described[name])
        except Exception as fault:  # noqa: BLE001 - whatever is wrong with it, the others live
            faults.append("buses.{}: {}".format(name, fault))
    for number, cfg in enumerate(values.get("sensors") or ()):
        where = "sensors[{}]".format(number)
        try:
            driver = make(_wired(_framed(cfg, described), described), buses, taken, period_ms)
            names = [metric[0] for metric in driver.metrics()]
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
        return __import__(_PACKAGE + "." + kind, None, None, ("Driver",))
    except ImportError:
        raise ValueError("kind {!r}: there is no driver sensors/{}.py".format(kind, kind)) from None


def numeric(what, value, least=None, most=None, *, whole=False):
    """`value`, if it is a finite number from `least` to `most`; else ValueError, which says of `what`."""
    good = isinstance(value, int) or (
        not whole and isinstance(value, float) and -_INFINITY < value < _INFINITY
    )
    # A bool is an int in CPython but not in MicroPython.
    if (
        not good
        or value is True
        or value is False
        or (least is not None and value < least)
        or (most is not None and value > most)
    ):
        raise ValueError(
            "{} {!r}: a {}number{}{}".format(
                what,
                value,
                "whole " if whole else "",
                "" if least is None else " from {}".format(least),
                "" if most is None else " to {}".format(most),
            )
        )
    return value


def _check(cfg):
    for key in ("every_ms", "lead_ms"):
        numeric(key, cfg[key], 0, whole=True)
    numeric("timeout_ms", cfg["timeout_ms"], _LEAST_TIMEOUT_MS, whole=True)
    for key in ("low", "high"):
        if cfg[key] is not None:
            numeric(key, cfg[key])
    if not isinstance(cfg["chain"], dict):
        raise ValueError("chain {!r}: an object by metric".format(cfg["chain"]))  # noqa: TRY004 - one error type
    _check_chain("", cfg)


def check_lead(what, cfg, lead_ms):
    """ValueError, which blames `what`, where the next reading would have to begin before this one."""
    if 0 < cfg["every_ms"] < lead_ms:
        raise ValueError(
            "{}: begun {} ms ahead, a reading takes more than its period of {} ms; give it every_ms "
            "{} or more".format(what, lead_ms, cfg["every_ms"], lead_ms)
        )


def _check_chain(where, cfg):
    for key in ("rate", "gap_ms", "deadband"):
        if cfg.get(key) is not None:
            numeric(where + key, cfg[key], 0)


def _check_metric(name, unit, decimals, low, high):
    if not isinstance(unit, str):
        raise ValueError("{}: unit {!r}: text".format(name, unit))  # noqa: TRY004 - one error type
    numeric("{}: decimals".format(name), decimals, 0, _MOST_DECIMALS, whole=True)
    for key, end in (("low", low), ("high", high)):
        if end is not None:
            numeric("{}: {}".format(name, key), end)


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
    if special is not None:
        where = "chain.{}".format(metric[0])
        if not isinstance(special, dict):
            raise ValueError("{} {!r}: an object".format(where, special))
        for key in sorted(special):
            if key not in KEYS and key != "deadband":
                raise ValueError("{}: key {!r} is unknown".format(where, key))
        _check_chain(where + ".", special)
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


def _wired(cfg, described):
    """What a contact's pin reads with its wire cut is what the pull of its bus makes of it."""
    bus = described.get(cfg.get("bus")) if isinstance(cfg, dict) else None
    if not isinstance(bus, dict) or cfg.get("kind") != "digital":
        return cfg
    level = {"up": 1, "down": 0}.get(bus.get("pull"))
    if level is None:
        return cfg
    if bus.get("inverted"):
        level = 1 - level
    given = cfg.get("open_reads")
    if given is not None and given != level:
        raise ValueError(
            "open_reads {!r}: with the pull and inverted of bus {!r} a cut wire reads {}; leave it "
            "out".format(given, cfg["bus"], level)
        )
    cfg = dict(cfg)
    cfg["open_reads"] = level
    return cfg


def check_contact(cfg):
    """ValueError where a contact is not wired so that a cut wire says what fail_safe says."""
    open_reads, fail_safe = cfg["open_reads"], cfg["fail_safe"]
    if (
        cfg["inverted"] not in (True, False)
        or open_reads not in _LEVELS
        or fail_safe not in _LEVELS
    ):
        raise ValueError("inverted is true or false; open_reads and fail_safe are 0, 1 or null")
    for key in ("debounce_ms", "persist_ms"):
        numeric(key, cfg[key], 0, whole=True)
    if fail_safe is None:
        return
    if open_reads is None:
        raise ValueError(
            "fail_safe: give the bus a pull, or open_reads if the pull is outside the board"
        )
    cut = 1 - open_reads if cfg["inverted"] else open_reads
    if cut != fail_safe:
        # A contact that closes when something is wrong says nothing once its wire is cut.
        raise ValueError(
            "fail_safe {}: with the wire cut this input says {}; use the contact that opens on "
            "danger and set inverted and the pull to match".format(fail_safe, cut)
        )
