"""What dashboards are shown as it happens, and what operators send back."""

from typing import Literal

import msgspec

from bridge.records import AlarmState


class LiveReading(msgspec.Struct, frozen=True):
    """The newest reading of one metric: value, its time (epoch µs) and OPC code."""

    value: float | None
    at_us: int
    quality: int = 192


class LiveAlarm(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm that is not NORMAL."""

    definition: str
    type: str
    metric: str
    state: AlarmState
    priority: int
    since_us: int
    value: float | None = None
    setpoint: float | None = None
    acknowledged_by: str = ""


class LiveDevice(msgspec.Struct, frozen=True, kw_only=True):
    """What the evaluator knows of one device: state, last message (epoch µs), gaps."""

    device: str
    state: Literal["unknown", "online", "stopped", "offline"]
    last_seen_us: int
    boot: int
    seq: int
    lost: int = 0
    firmware: str = ""


class LiveBoiler(msgspec.Struct, frozen=True, kw_only=True):
    """The latest of one boiler."""

    boiler: str
    readings: dict[str, LiveReading]
    alarms: list[LiveAlarm]
    devices: list[LiveDevice]


class LiveSite(msgspec.Struct, frozen=True, kw_only=True):
    """The latest of one site: what `steam.live` carries, every 250 ms when changed."""

    v: Literal[1] = 1
    site: str
    at_us: int
    boilers: list[LiveBoiler]


class AcknowledgeAlarm(msgspec.Struct, frozen=True, kw_only=True, tag="acknowledge"):
    """An operator acknowledges one alarm of one boiler; `at_us` is when (epoch µs)."""

    id: str
    boiler: str
    definition: str
    by: str
    at_us: int
    note: str = ""


OperatorCommand = AcknowledgeAlarm

_LIVE_DECODER = msgspec.json.Decoder(LiveSite)
_COMMAND_DECODER = msgspec.json.Decoder(AcknowledgeAlarm)

LIVE_TOPIC_PREFIX = "steam/live"
COMMANDS_TOPIC = "steam/commands"


def live_topic(site: str) -> str:
    """The MQTT topic of a site's live values in the embedded deployment."""
    return f"{LIVE_TOPIC_PREFIX}/{site}"


def encode_live(live: LiveSite) -> bytes:
    """Encode the live values of a site as JSON."""
    return msgspec.json.encode(live)


def decode_live(payload: bytes) -> LiveSite:
    """Decode the live values of a site; raises msgspec.MsgspecError."""
    return _LIVE_DECODER.decode(payload)


def encode_command(command: OperatorCommand) -> bytes:
    """Encode an operator command as JSON."""
    return msgspec.json.encode(command)


def decode_command(payload: bytes) -> OperatorCommand:
    """Decode an operator command; raises msgspec.MsgspecError."""
    return _COMMAND_DECODER.decode(payload)
