"""The device's side of the message contract, version 1: names, topics, limits, quality codes.

No import: this file also runs on a microcontroller.
"""

VERSION = 1
PREFIX = "steam/v1"
# Lists: of a tuple, MicroPython keeps every text once more.
KINDS = ["birth", "state", "data", "hist", "event", "diag", "cmd", "ack"]
EVENTS = ["alarm_edge", "sensor_fault", "reset", "loss", "config"]
STATES = ["online", "stopped", "offline"]
OPS = [
    "rebirth",
    "time",
    "get_config",
    "patch_config",
    "restart",
    "identify",
    "replay",
    "log",
    "ota",
]

MAX_PAYLOAD_BYTES = 65536
MAX_ROWS = 500
MAX_METRICS = 64
MAX_NAME = 32
MAX_METRIC_NAME = 48
MAX_U32 = 4294967295
MAX_COMMAND_ID = 64
MAX_DT_MS = 604800000
MAX_UTC_MS = 100000000000000

CLOCK_UNKNOWN = 0
CLOCK_SET = 1
CLOCK_SYNCHRONISED = 2

# OPC quality codes, one byte QQSSSSLL (OPC 10000-8 A.4.3.3).
BAD = 0
CONFIGURATION_ERROR = 4
NOT_CONNECTED = 8
DEVICE_FAILURE = 12
SENSOR_FAILURE = 16
COMMUNICATION_FAILURE = 24
WAITING_FOR_INITIAL_DATA = 32
UNCERTAIN = 64
LAST_USABLE = 68
EU_EXCEEDED = 84
GOOD = 192


def is_name(text: str) -> bool:
    """Tell whether `text` may name a site or a device: `^[a-z0-9][a-z0-9_-]{0,31}$`."""
    return _consists_of("0123456789_-", text, MAX_NAME) and text[0] not in "_-"


def is_metric_name(text: str) -> bool:
    """Tell whether `text` may name a metric: `^[a-z][a-z0-9_]{0,47}$`, not ending in `_q`."""
    if not _consists_of("0123456789_", text, MAX_METRIC_NAME):
        return False
    return text[0] >= "a" and not text.endswith("_q")


def _consists_of(others: str, text: str, most: int) -> bool:
    """Whether it is text of 1 to `most` letters a-z and `others`."""
    if not isinstance(text, str) or not 1 <= len(text) <= most:
        return False
    return all("a" <= letter <= "z" or letter in others for letter in text)


def topic(site: str, device: str, kind: str) -> str:
    """Build `steam/v1/<site>/<device>/<kind>`; ValueError says which part is wrong."""
    for what, name in (("site", site), ("device", device)):
        if not is_name(name):
            text = "{} {!r} is no name: a-z, 0-9, _ and -, at most 32, a letter or digit first"
            raise ValueError(text.format(what, name))
    if kind not in KINDS:
        raise ValueError("kind {!r}; known: {}".format(kind, ", ".join(KINDS)))
    return PREFIX + "/" + site + "/" + device + "/" + kind
