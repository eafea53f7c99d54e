"""plant.yaml: the only registry of sites, boilers, devices and alarm definitions."""

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bridge.clock import is_time_zone, to_us
from bridge.metrics import CATALOGUE, Metric, is_metric_name
from bridge.settings_file import Fault, Place, SettingsError, SettingsFile, nearest
from bridge.topics import NAME_PATTERN

Name = Annotated[str, Meta(pattern=f"^{NAME_PATTERN}$")]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Priority = Annotated[int, Meta(ge=1, le=4)]


class AlarmType(StrEnum):
    """What a definition watches for: a limit passed, or no fresh value."""

    HIHI = "HIHI"
    HI = "HI"
    LO = "LO"
    LOLO = "LOLO"
    STALE = "STALE"


class AlarmDefinition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An alarm of a boiler (ISA-18.2): limit, deadband, delays, priority 1 (highest) to 4.

    The alarm returns to normal once the value is back by `deadband` from the setpoint.
    For STALE, `setpoint` is the age in seconds at which a metric counts as stale.
    """

    name: Name
    metric: str
    type: AlarmType
    setpoint: float
    deadband: Annotated[float, Meta(ge=0)] = 0.0
    on_delay_s: Seconds = 0.0
    off_delay_s: Seconds = 0.0
    priority: Priority = 3
    title_pt: str = ""
    title_en: str = ""
    response_pt: str = ""
    response_en: str = ""

    def title(self, language: str) -> str:
        """The title in a language, or the definition's name where none is given."""
        title = self.title_pt if language.startswith("pt") else self.title_en
        return title or self.title_pt or self.title_en or self.name


class Instrument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An instrument of a boiler: its ISA-5.1 tag and the metric's normal and shown range."""

    metric: str
    tag: str = ""
    normal: tuple[float, float] | None = None
    scale: tuple[float, float] | None = None


class Boiler(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One boiler: NR-13 category, PMTA (bar gauge), instruments and alarm definitions."""

    name: Name
    site: Name
    title: str = ""
    category: Literal["A", "B"] = "B"
    pmta_bar: Annotated[float, Meta(gt=0)] | None = None
    capacity_t_h: Annotated[float, Meta(gt=0)] | None = None
    fuel: str = ""
    instruments: list[Instrument] = []
    alarms: list[AlarmDefinition] = []


class Device(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A registered device and the boiler it watches, from `since` on.

    `before` names the boilers that it watched earlier, oldest last.
    """

    name: Name
    site: Name
    boiler: Name
    board: str = ""
    since: datetime | None = None
    before: list["Assignment"] = []


class Assignment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That a device watched a boiler from `since` (None: from the first day)."""

    boiler: Name
    since: datetime | None = None


class Site(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place with boilers, and its time zone for what people read."""

    name: Name
    title: str = ""
    time_zone: str = "America/Sao_Paulo"


class OwnMetric(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A metric that this plant adds to the catalogue."""

    name: str
    unit: str
    low: float
    high: float
    decimals: Annotated[int, Meta(ge=0, le=6)] = 1
    label_pt: str = ""
    label_en: str = ""


class Contact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person or group to be notified, and the routes of steam.yaml that reach it."""

    name: str
    routes: list[str] = []


class PlantFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """plant.yaml as written."""

    sites: list[Site]
    boilers: list[Boiler] = []
    devices: list[Device] = []
    metrics: list[OwnMetric] = []
    contacts: list[Contact] = []


class Plant:
    """The plant as the services ask for it; immutable, made anew when the file changes."""

    def __init__(self, file: PlantFile) -> None:
        self.file = file
        self.sites = {site.name: site for site in file.sites}
        self.boilers = {boiler.name: boiler for boiler in file.boilers}
        self.devices = {device.name: device for device in file.devices}
        own = {m.name: Metric(**msgspec.structs.asdict(m)) for m in file.metrics}
        self.metrics: dict[str, Metric] = CATALOGUE | own
        self._history = {device.name: _history(device) for device in file.devices}

    def device(self, site: str, name: str) -> Device | None:
        """The registered device of that site and name, or None."""
        device = self.devices.get(name)
        return device if device is not None and device.site == site else None

    def boiler_of(self, device: str, at_us: int) -> str:
        """The boiler that a registered device watched at a moment (epoch µs)."""
        history = self._history[device]
        for since_us, boiler in history:
            if at_us >= since_us:
                return boiler
        return history[-1][1]

    def watched_since_us(self, device: str) -> int:
        """Since when (epoch µs) a device watches its present boiler."""
        return self._history[device][0][0]

    def boilers_of(self, site: str) -> list[Boiler]:
        """The boilers of a site, in the file's order."""
        return [boiler for boiler in self.file.boilers if boiler.site == site]


def _history(device: Device) -> list[tuple[int, str]]:
    """(since µs, boiler), newest first."""
    spans = [(device.since, device.boiler), *((a.since, a.boiler) for a in device.before)]
    return [(_since_us(since), boiler) for since, boiler in spans]


def _since_us(since: datetime | None) -> int:
    if since is None:
        return -(2**62)
    return to_us(since if since.tzinfo else since.replace(tzinfo=UTC))


def load_plant(path: Path) -> Plant:
    """Read and check plant.yaml; raises SettingsError with every fault and its line."""
    return _check(SettingsFile(path).read())


def parse_plant(text: str, path: Path) -> Plant:
    """Check `text` as the content of plant.yaml; raises SettingsError."""
    return _check(SettingsFile(path).parse(text))


def _check(source: SettingsFile) -> Plant:
    file = source.decode(PlantFile)
    faults = [
        *_site_faults(source, file),
        *_reference_faults(source, file),
        *_own_metric_faults(source, file),
        *_metric_faults(source, file),
        *_range_faults(source, file),
    ]
    if faults:
        raise SettingsError(faults)
    return Plant(file)


def _site_faults(source: SettingsFile, file: PlantFile) -> Iterator[Fault]:
    """Unknown time zones, and devices whose topic names another site than their boiler's."""
    for at, site in enumerate(file.sites):
        if not is_time_zone(site.time_zone):
            text = f"no time zone {site.time_zone!r}; write it as in America/Sao_Paulo or UTC"
            yield source.fault(("sites", at, "time_zone"), text)
    site_of = {boiler.name: boiler.site for boiler in file.boilers}
    for at, device in enumerate(file.devices):
        there = site_of.get(device.boiler, device.site)
        if there != device.site:
            text = f"boiler {device.boiler!r} is of site {there!r}, not {device.site!r}"
            yield source.fault(("devices", at, "site"), text)


def _reference_faults(source: SettingsFile, file: PlantFile) -> Iterator[Fault]:
    sites = [site.name for site in file.sites]
    boilers = [boiler.name for boiler in file.boilers]
    devices = [device.name for device in file.devices]
    for section, names in (("sites", sites), ("boilers", boilers), ("devices", devices)):
        for index, name in enumerate(names):
            if name in names[:index]:
                yield source.fault((section, index, "name"), f"{name!r} is named twice")
    asked = [(("boilers", at, "site"), b.site, sites) for at, b in enumerate(file.boilers)]
    asked += [(("devices", at, "site"), d.site, sites) for at, d in enumerate(file.devices)]
    asked += [(("devices", at, "boiler"), d.boiler, boilers) for at, d in enumerate(file.devices)]
    for place, name, known in asked:
        if name not in known:
            yield source.fault(place, f"no {place[-1]} {name!r}{nearest(name, known)}")
    for at, device in enumerate(file.devices):
        for earlier, assignment in enumerate(device.before):
            if assignment.boiler not in boilers:
                text = f"no boiler {assignment.boiler!r}{nearest(assignment.boiler, boilers)}"
                yield source.fault(("devices", at, "before", earlier, "boiler"), text)


def _own_metric_faults(source: SettingsFile, file: PlantFile) -> Iterator[Fault]:
    for index, own in enumerate(file.metrics):
        if not is_metric_name(own.name):
            text = f"{own.name!r} is no metric name (a-z, 0-9, _, not ending in _q)"
            yield source.fault(("metrics", index, "name"), text)
        if own.name in [earlier.name for earlier in file.metrics[:index]]:
            yield source.fault(("metrics", index, "name"), f"{own.name!r} is named twice")
        if own.name in CATALOGUE and own.unit != CATALOGUE[own.name].unit:
            unit = CATALOGUE[own.name].unit
            text = f"Steam has {own.name!r} in {unit!r}; give another unit another name"
            yield source.fault(("metrics", index, "unit"), text)


def _metric_faults(source: SettingsFile, file: PlantFile) -> Iterator[Fault]:
    known = set(CATALOGUE) | {own.name for own in file.metrics}
    for index, boiler in enumerate(file.boilers):
        measured = [("instruments", [entry.metric for entry in boiler.instruments])]
        measured.append(("alarms", [entry.metric for entry in boiler.alarms]))
        for section, asked in measured:
            for at, metric in enumerate(asked):
                if metric not in known:
                    text = f"no metric {metric!r}{nearest(metric, known)}"
                    yield source.fault(("boilers", index, section, at, "metric"), text)
        names = [alarm.name for alarm in boiler.alarms]
        for at, name in enumerate(names):
            if name in names[:at]:
                place = ("boilers", index, "alarms", at, "name")
                yield source.fault(place, f"{name!r} is named twice")


def _range_faults(source: SettingsFile, file: PlantFile) -> Iterator[Fault]:
    """Ranges whose lower end is not below their upper one."""
    asked: list[tuple[Place, tuple[float, float] | None]] = [
        (("metrics", at, "low"), (own.low, own.high)) for at, own in enumerate(file.metrics)
    ]
    for index, boiler in enumerate(file.boilers):
        for at, instrument in enumerate(boiler.instruments):
            here = ("boilers", index, "instruments", at)
            asked += [((*here, "normal"), instrument.normal), ((*here, "scale"), instrument.scale)]
    for place, ends in asked:
        if ends is not None and not ends[0] < ends[1]:
            yield source.fault(place, f"{ends[0]:g} is not below {ends[1]:g}")
