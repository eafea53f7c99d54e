"""Faults on a schedule: a compact text, its parts as data, and what is wrong at an instant.

The text is a list of faults, separated by commas or blanks:
`[device/]kind@start[+duration][:name=value[&name=value...]]`, for example
`low_water@30+60, b02/sensor_drift@5m+1h:metric=oxygen&per_min=0.2, reboot@120`.
Times are seconds of the simulation, or have a unit: s, m, h, d.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

FaultValue = float | str

KINDS: dict[str, dict[str, FaultValue]] = {
    "low_water": {"per_s": 0.6},
    "high_pressure": {"limit": 1.0},
    "flame_failure": {},
    "sensor_stuck": {"metric": "water_level"},
    "sensor_open": {"metric": "steam_temperature"},
    "sensor_drift": {"metric": "oxygen", "per_min": 0.5},
    "fouling": {"kelvin": 40.0, "ramp_s": 0.0},
    "tube_leak": {"share": 0.12},
    "message_loss": {"share": 1.0, "silent": 0.0},
    "duplicate": {"share": 1.0},
    "late": {"share": 0.3, "by_s": 20.0},
    "clock_skew": {"by_s": 600.0},
    "reboot": {"down_s": 5.0},
}
"""Every kind of fault with its arguments and what they are when not given.

low_water: the pump fails and a blowdown valve stays open, the level falls `per_s` % a second;
high_pressure: the burner sticks at full fire and the steam valve shuts (`limit` 0 takes the
high-pressure limit away as well, so that the safety valve lifts); flame_failure: the scanner
sees no flame; sensor_*: of `metric`, drifting `per_min` units a minute; fouling: the flue gas
leaves `kelvin` hotter at full fire, reached after `ramp_s` (0: by the end); tube_leak: `share`
of the boiler's capacity leaks into the fire tubes; message_loss: `share` of the messages never
leaves the device, which says so afterwards unless `silent`; duplicate: `share` of them leaves
twice; late: `share` of them leaves `by_s` after its time; clock_skew: the device's clock is
`by_s` ahead; reboot: the device is away for `down_s`.
"""

_DEVICE = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_TIME = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")
_UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_NEVER = float("inf")


class FaultScriptError(ValueError):
    """A fault script cannot be understood; the text says which part and what is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: from `at_s` for `duration_s` (inf: until the end) of the simulation.

    `device` None means every device. `args` holds every argument of the kind.
    """

    kind: str
    at_s: float
    duration_s: float = _NEVER
    device: str | None = None
    args: Mapping[str, FaultValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise FaultScriptError(f"fault {self.kind!r} is unknown{_nearest(self.kind, KINDS)}")
        if not (self.at_s >= 0 and self.duration_s > 0):
            raise FaultScriptError(
                f"fault {self.kind}: starts at 0 or later and lasts longer than 0"
            )
        known = KINDS[self.kind]
        for name, value in self.args.items():
            if name not in known:
                raise FaultScriptError(
                    f"fault {self.kind} has no argument {name!r}{_nearest(name, known)}"
                )
            if isinstance(value, str) is not isinstance(known[name], str):
                raise FaultScriptError(f"fault {self.kind}: {name}={value!r} is of the wrong type")
        object.__setattr__(self, "args", {**known, **self.args})

    def number(self, name: str) -> float:
        """A numeric argument."""
        return float(self.args[name])

    @property
    def metric(self) -> str:
        """The metric that a sensor's fault is about."""
        return str(self.args["metric"])


def parse_faults(text: str) -> tuple[Fault, ...]:
    """Parse a fault script; raises FaultScriptError."""
    return tuple(_parse_one(part) for part in re.split(r"[,\s]+", text.strip()) if part)


def _parse_one(text: str) -> Fault:
    head, _, tail = text.partition(":")
    device, slash, rest = head.rpartition("/")
    kind, at, times = rest.partition("@")
    start, plus, duration = times.partition("+")
    if not at or (slash and _DEVICE.fullmatch(device) is None):
        raise FaultScriptError(
            f"{text!r} is no fault: write [device/]kind@start[+duration][:name=value&...], "
            "as in low_water@30+60"
        )
    return Fault(
        kind=kind,
        at_s=_seconds(start, text),
        duration_s=_seconds(duration, text) if plus else _NEVER,
        device=device or None,
        args=dict(_argument(kind, part) for part in tail.split("&") if part),
    )


def _seconds(text: str, whole: str) -> float:
    match = _TIME.fullmatch(text)
    if match is None:
        raise FaultScriptError(f"{text!r} in {whole!r} is no time: seconds, or 30s, 5m, 2h, 1d")
    return float(match[1]) * _UNITS_S[match[2]]


def _argument(kind: str, text: str) -> tuple[str, FaultValue]:
    name, equals, value = text.partition("=")
    if not equals:
        raise FaultScriptError(f"{text!r} of fault {kind} is no argument: write name=value")
    if isinstance(KINDS.get(kind, {}).get(name), str):
        return name, value
    try:
        return name, float(value)
    except ValueError:
        raise FaultScriptError(f"fault {kind}: {name}={value!r} is not a number") from None


def _nearest(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(word, names, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{hint} Known: {', '.join(names) or 'none'}" if not near else hint


@dataclass(slots=True)
class Effects:
    """What is wrong at one instant; `quiet` says that nothing is."""

    quiet: bool = True
    level_fall_per_s: float = 0.0
    burner_stuck: bool = False
    limit_bridged: bool = False
    steam_shut: bool = False
    flame_lost: bool = False
    fouling_k: float = 0.0
    leak_share: float = 0.0
    stuck: frozenset[str] = frozenset()
    open: frozenset[str] = frozenset()
    drift: Mapping[str, float] = field(default_factory=dict)
    loss_share: float = 0.0
    loss_silent: bool = False
    duplicate_share: float = 0.0
    late_share: float = 0.0
    late_by_s: float = 0.0
    skew_s: float = 0.0
    down: bool = False


_NONE = Effects()


class FaultScript:
    """The faults of one device and what they do at an instant."""

    def __init__(self, faults: Iterable[Fault] = (), device: str | None = None) -> None:
        self.faults = tuple(
            fault for fault in faults if device is None or fault.device in (None, device)
        )

    def effects(self, at_s: float) -> Effects:
        """What is wrong `at_s` seconds into the simulation."""
        active = [f for f in self.faults if f.at_s <= at_s < _end_s(f)]
        if not active:
            return _NONE
        effects = Effects(quiet=False)
        for fault in active:
            _apply(effects, fault, at_s)
        return effects


def _end_s(fault: Fault) -> float:
    if fault.kind == "reboot":
        return fault.at_s + min(fault.duration_s, fault.number("down_s"))
    return fault.at_s + fault.duration_s


def _apply(effects: Effects, fault: Fault, at_s: float) -> None:  # noqa: C901, PLR0912 - one case a kind
    elapsed_s = at_s - fault.at_s
    match fault.kind:
        case "low_water":
            effects.level_fall_per_s = fault.number("per_s")
        case "high_pressure":
            effects.burner_stuck = effects.steam_shut = True
            effects.limit_bridged = fault.number("limit") == 0
        case "flame_failure":
            effects.flame_lost = True
        case "sensor_stuck":
            effects.stuck |= {fault.metric}
        case "sensor_open":
            effects.open |= {fault.metric}
        case "sensor_drift":
            amount = fault.number("per_min") * elapsed_s / 60
            effects.drift = {**effects.drift, fault.metric: amount}
        case "fouling":
            effects.fouling_k = fault.number("kelvin") * _ramp(fault, elapsed_s)
        case "tube_leak":
            effects.leak_share = fault.number("share")
        case "message_loss":
            effects.loss_share = fault.number("share")
            effects.loss_silent = fault.number("silent") != 0
        case "duplicate":
            effects.duplicate_share = fault.number("share")
        case "late":
            effects.late_share, effects.late_by_s = fault.number("share"), fault.number("by_s")
        case "clock_skew":
            effects.skew_s = fault.number("by_s")
        case "reboot":
            effects.down = True


def _ramp(fault: Fault, elapsed_s: float) -> float:
    ramp_s = fault.number("ramp_s") or fault.duration_s
    return min(1.0, elapsed_s / ramp_s) if ramp_s != _NEVER else 1.0
