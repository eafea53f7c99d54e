"""What is wrong with a device's configuration. Loaded only when a new one is to be judged."""

from . import contract
from .config import defaults, filled

# The type of a value is that of its default; what is an empty dict or list there is checked by hand.
_RANGES = {
    "v": (1, 1),
    "boot_from": (0, 4000000000),  # what is above is for the starts to come
    "mqtt.port": (1, 65535),
    "mqtt.keepalive_s": (1, 3600),
    "sampling.period_ms": (10, 3600000),
    "sampling.rows": (1, contract.MAX_ROWS),
    "sampling.publish_ms": (0, 3600000),
    "sampling.heartbeat_ms": (0, 86400000),
    "store.limit_kib": (32, 1048576),
    "store.ring_kib": (1, 65536),
    "store.commit_s": (1, 3600),
    "store.spill_s": (0, 3600),
    "store.replay_per_s": (1, 1000),
    "diag_s": (1, 86400),
}
_LENGTHS = {
    "wifi.ssid": 32,
    "wifi.password": 64,
    "wifi.country": 2,
    "portal_password": 63,
    "mqtt.host": 253,
    "ota.key": 1024,
}
_MOST_LETTERS = 128
_MOST_TEXT = 512
_MOST_DEPTH = 6
_MOST_LISTED = 64
_MOST_HOSTS = 8
_LEAST_PASSPHRASE = 8  # IEEE 802.11 (WPA2-PSK): 8 to 63 letters, or 64 of hex
_MOST_FAULTS = 12
_BUS_KINDS = ("onewire", "spi", "i2c", "pin", "pulse", "uart", "tcp")
_LIMIT_KEYS = ("metric", "type", "setpoint", "deadband")
_LIMIT_TYPES = ("LO", "LOLO", "HI", "HIHI")
_INFINITY = float("inf")


def validate(values: dict) -> "list[str]":
    """What is wrong with a configuration, as "path: what is wrong"; empty if nothing is.

    Values that are not given have their defaults; only `site`, `device` and `mqtt.host` must
    be given.
    """
    if not isinstance(values, dict):
        return ["the configuration is no JSON object"]
    faults, sound = [], {}
    known = defaults()
    for key in sorted(values):
        before = len(faults)
        _entry("", key, values[key], known, faults)
        if len(faults) == before:
            sound[key] = values[key]
    if len(faults) >= _MOST_FAULTS:
        return faults
    whole = filled(sound)
    later = []
    _names(whole, later)
    _network(whole, later)
    _buses(whole["buses"], later)
    _listed("sensors", whole["sensors"], _sensor, whole["buses"], later)
    _listed("limits", whole["limits"], _limit, None, later)
    # What has a fault already is told once.
    faults += [fault for fault in later if _key(fault) in sound or _key(fault) not in values]
    return faults[:_MOST_FAULTS]


def _key(fault: str) -> str:
    """The key at the top that a fault is about."""
    return fault.partition(":")[0].partition(".")[0].partition("[")[0]


def _entry(prefix: str, key: str, value: object, known: dict, faults: list) -> None:
    if len(faults) >= _MOST_FAULTS:
        return  # the watchdog waits: hundreds of unknown keys would take a board seconds
    path = prefix + key
    if key not in known:
        faults.append("{}: unknown{}".format(path[:_MOST_LETTERS], _nearest(prefix, key)))
        return
    default = known[key]
    if isinstance(default, dict):
        if not isinstance(value, dict):
            faults.append("{}: {!r} is no JSON object".format(path, value))
        elif default:
            for leaf in sorted(value):
                _entry(path + ".", leaf, value[leaf], default, faults)
    elif isinstance(default, list):
        if not isinstance(value, list) or len(value) > _MOST_LISTED:
            faults.append("{}: a list of at most {}".format(path, _MOST_LISTED))
    else:
        _value(path, value, default, faults)


def _value(path: str, value: object, default: object, faults: list) -> None:
    if default is True or default is False:
        if value is not True and value is not False:
            faults.append("{}: {!r} is neither true nor false".format(path, value))
    elif isinstance(default, int):
        low, high = _RANGES[path]
        if not _is_whole(value) or not low <= value <= high:
            faults.append("{}: {!r}; a whole number, {} to {}".format(path, value, low, high))
    else:
        most = _LENGTHS.get(path, _MOST_LETTERS)
        if not isinstance(value, str) or len(value) > most or not _is_line(value):
            faults.append("{}: text of at most {} characters on one line".format(path, most))


def _names(whole: dict, faults: list) -> None:
    text = "{}: {!r} is no name: a-z, 0-9, _ and -, at most 32, a letter or digit first"
    faults += [
        text.format(key, whole[key])
        for key in ("site", "device")
        if not contract.is_name(whole[key])
    ]


def _network(whole: dict, faults: list) -> None:
    mqtt, password = whole["mqtt"], whole["wifi"]["password"]
    if not _is_host(mqtt["host"]):
        faults.append("mqtt.host: {!r}; the broker's name or address alone".format(mqtt["host"]))
    if "/" in mqtt["ca"]:
        faults.append("mqtt.ca: {!r}; the name of a file beside this one".format(mqtt["ca"]))
    if 0 < len(password) < _LEAST_PASSPHRASE:
        faults.append("wifi.password: WPA2 wants 8 to 63 characters, or none")
    if 0 < len(whole["portal_password"]) < _LEAST_PASSPHRASE:
        faults.append("portal_password: WPA2 wants 8 to 63 characters")
    if not all(letter in "0123456789abcdefABCDEF" for letter in whole["ota"]["key"]):
        faults.append("ota.key: the modulus of an RSA key in hex")
    if len(whole["ntp"]) > _MOST_HOSTS or not all(_is_host(host) for host in whole["ntp"]):
        faults.append("ntp: a list of at most {} names or addresses".format(_MOST_HOSTS))


def _buses(buses: dict, faults: list) -> None:
    for name in sorted(buses):
        path = "buses." + name[:_MOST_LETTERS]
        bus = buses[name]
        if not isinstance(bus, dict) or bus.get("kind") not in _BUS_KINDS:
            faults.append("{}.kind: one of {}".format(path, ", ".join(_BUS_KINDS)))
        _plain(path, bus, _MOST_DEPTH, faults)


def _listed(path: str, items: list, check: object, buses: object, faults: list) -> None:
    for number, item in enumerate(items):
        where = "{}[{}]".format(path, number)
        if isinstance(item, dict):
            check(where, item, buses, faults)
            _plain(where, item, _MOST_DEPTH, faults)
        else:
            faults.append(where + ": no JSON object")


def _sensor(path: str, sensor: dict, buses: dict, faults: list) -> None:
    # The keys of a driver are its own: it checks them when it is made.
    kind = sensor.get("kind")
    if not isinstance(kind, str) or not contract.is_metric_name(kind):
        faults.append("{}.kind: {!r} is no kind of sensor".format(path, kind))
    bus = sensor.get("bus")
    if bus is not None and (not isinstance(bus, str) or bus not in buses):
        faults.append("{}.bus: {!r} is not in buses".format(path, bus))


def _limit(path: str, limit: dict, _: object, faults: list) -> None:
    faults += [
        "{}.{}: unknown; {} are known".format(path, key[:_MOST_LETTERS], ", ".join(_LIMIT_KEYS))
        for key in sorted(limit)
        if key not in _LIMIT_KEYS
    ]
    if not contract.is_metric_name(limit.get("metric")):
        faults.append("{}.metric: {!r} is no metric".format(path, limit.get("metric")))
    if limit.get("type") not in _LIMIT_TYPES:
        faults.append("{}.type: one of {}".format(path, ", ".join(_LIMIT_TYPES)))
    if not _is_number(limit.get("setpoint")):
        faults.append("{}.setpoint: a number".format(path))
    deadband = limit.get("deadband", 0)
    if not _is_number(deadband) or deadband < 0:
        faults.append("{}.deadband: a number from 0".format(path))


def _plain(path: str, value: object, depth: int, faults: list) -> None:
    """Whatever a driver's keys hold is plain, finite and not deep."""
    if isinstance(value, str):
        good = len(value) <= _MOST_TEXT
    elif isinstance(value, (dict, list)):
        good = depth > 0 and len(value) <= _MOST_LISTED
        if good and isinstance(value, dict):
            for key in sorted(value):
                _plain(path + "." + key[:_MOST_LETTERS], value[key], depth - 1, faults)
        elif good:
            for item in value:
                _plain(path, item, depth - 1, faults)
    else:
        good = value is None or value is True or value is False or _is_number(value)
    if not good and len(faults) < _MOST_FAULTS:
        faults.append("{}: too long, too deep or no number".format(path))


def _is_whole(value: object) -> bool:
    # A bool is an int in CPython but not in MicroPython.
    return isinstance(value, int) and value is not True and value is not False


def _is_number(value: object) -> bool:
    return _is_whole(value) or (isinstance(value, float) and -_INFINITY < value < _INFINITY)


def _is_line(text: str) -> bool:
    return all(letter >= " " and letter != "\x7f" for letter in text)


def _is_host(text: object) -> bool:
    if not isinstance(text, str) or not 1 <= len(text) <= _LENGTHS["mqtt.host"]:
        return False
    return _is_line(text) and not any(letter in text for letter in " /@?#")


def _nearest(prefix: str, key: str) -> str:
    """The known path that is most like an unknown one: "; mqtt.port is known", or nothing."""
    best, found = len(key) // 2 + 1, ""
    for path in sorted(_paths()):
        section, leaf = path.rsplit(".", 1) if "." in path else ("", path)
        if abs(len(key) - len(leaf)) >= best:
            continue
        # One letter is worth less than the right section.
        distance = _distance(key[:32], leaf) + (0 if section == prefix[:-1] else 0.5)
        if distance < best:
            best, found = distance, path
    return "; {} is known".format(found) if found else ""


def _paths() -> "list[str]":
    paths = []
    for key, default in defaults().items():
        paths.append(key)
        if isinstance(default, dict):
            paths += [key + "." + leaf for leaf in default]
    return paths


def _distance(one: str, other: str) -> int:
    """How many letters must be put in, left out or changed (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one):
        diagonal, row[0] = row[0], i + 1
        for j, wanted in enumerate(other):
            changed = diagonal + (letter != wanted)
            diagonal = row[j + 1]
            row[j + 1] = min(changed, diagonal + 1, row[j] + 1)
    return row[-1]
