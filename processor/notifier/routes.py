"""The section `notifications` of steam.yaml: who is told of what, in which language."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bridge.plant import Priority
from bridge.records import AlarmEvent, AlarmState
from bridge.settings_file import Fault, Place, SettingsFile, nearest

Language = Literal["pt-BR", "en"]
RouteName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$")]

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SCHEMA = re.compile(r"^([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_PASSWORD = re.compile(r"://[^/?#@]*:[^/?#@]+@")


class AddressMissing(ValueError):
    """The address of a target or of the dead man's switch is not where it should be."""


class Address(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the URL of a target is found: in the environment, in a file, or here.

    `url` may hold `${NAME}`, replaced from the environment. A secret never stands in it.
    """

    url: str = ""
    url_env: str = ""
    url_file: str = ""
    name: str = ""

    def read(self, environment: Mapping[str, str]) -> str:
        """The URL; raises AddressMissing, which says where it was looked for."""
        if self.url_file:
            return _file(self.url_file)
        if self.url_env:
            return _variable(self.url_env, environment)
        return _VARIABLE.sub(lambda match: _variable(match[1], environment), self.url)

    def secrets(self, environment: Mapping[str, str]) -> list[str] | None:
        """What came from outside the YAML: None for the whole URL, else the inserted parts."""
        if self.url_file or self.url_env:
            return None
        return [_variable(name, environment) for name in _VARIABLE.findall(self.url)]


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which transitions go to which targets.

    `min_priority` 2 means priorities 1 and 2; no `boilers` means all of them; `system`
    adds alarms about Steam itself and the processor's silence. Without more `states`, only
    alarms that become active are told.
    """

    name: RouteName
    targets: list[str | Address]
    min_priority: Priority = 4
    boilers: list[str] = []
    states: list[AlarmState] = msgspec.field(default_factory=lambda: [AlarmState.UNACK])
    system: bool = True
    language: Language | None = None

    def wants(self, event: AlarmEvent, *, system: bool) -> bool:
        """Whether this route asks for a transition; retroactive ones nobody is told."""
        if event.retroactive or event.state not in self.states:
            return False
        if event.priority > self.min_priority:
            return False
        if system:
            return self.system
        return not self.boilers or event.boiler in self.boilers

    @property
    def addresses(self) -> list[Address]:
        """The targets, a bare text taken as a URL."""
        return [Address(url=item) if isinstance(item, str) else item for item in self.targets]


class DeadMan(Address, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An external monitor's URL, fetched every `every_s` while all is well."""

    every_s: Annotated[float, Meta(ge=5, le=86_400)] = 60.0


class NotificationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told of what. `give_up_after_h` bounds the tries for a target that fails.

    `group_above` transitions waiting for a target become one message. No sign of life of
    the processor for `heartbeat_timeout_s` is itself told.
    """

    routes: list[Route] = []
    language: Language = "pt-BR"
    give_up_after_h: Annotated[float, Meta(gt=0, le=24 * 30)] = 24.0
    group_above: Annotated[int, Meta(ge=1, le=1000)] = 10
    heartbeat_timeout_s: Annotated[float, Meta(ge=20, le=86_400)] = 60.0
    dead_man: DeadMan | None = None


def route_faults(
    source: SettingsFile,
    place: Place,
    settings: NotificationSettings,
    boilers: Iterable[str],
) -> Iterator[Fault]:
    """What is wrong in the routes beyond their types; `place` is the section's, in `source`."""
    names: list[str] = []
    known = list(boilers)
    for index, route in enumerate(settings.routes):
        at = (*place, "routes", index)
        if route.name in names:
            yield source.fault((*at, "name"), f"{route.name!r} is named twice")
        names.append(route.name)
        if not route.targets:
            yield source.fault((*at, "targets"), "a route needs at least one target")
        for number, boiler in enumerate(route.boilers):
            if boiler not in known:
                text = f"no boiler {boiler!r} in plant.yaml{nearest(boiler, known)}"
                yield source.fault((*at, "boilers", number), text)
        for number, address in enumerate(route.addresses):
            if text := address_fault(address):
                yield source.fault((*at, "targets", number), text)
    if settings.dead_man is not None and (text := address_fault(settings.dead_man)):
        yield source.fault((*place, "dead_man"), text)


def dead_man_url(settings: NotificationSettings, environment: Mapping[str, str]) -> str:
    """The URL of the dead man's switch, or "" where none is wanted; raises AddressMissing."""
    if settings.dead_man is None:
        return ""
    url = settings.dead_man.read(environment)
    if not url.startswith(("http://", "https://")):
        raise AddressMissing("the dead man's switch needs a URL with http:// or https://")
    return url


def address_fault(address: Address) -> str:
    """What is wrong with how an address is given, or ""; the environment is not looked at."""
    given = [name for name in ("url", "url_env", "url_file") if getattr(address, name)]
    if len(given) != 1:
        return "give one of url, url_env and url_file"
    if address.url and _SCHEMA.match(address.url) is None and "${" not in address.url:
        return "this is no URL; write it as in json://host:port/path or mailto://host"
    if _PASSWORD.search(_VARIABLE.sub("", address.url)):
        return (
            "a password stands in the file; use url_env, url_file, or ${NAME} for that part of it"
        )
    return ""


def _variable(name: str, environment: Mapping[str, str]) -> str:
    value = environment.get(name)
    if value:
        return value
    if path := environment.get(f"{name}_FILE"):
        return _file(path)
    raise AddressMissing(f"set {name} (or {name}_FILE) in the environment")


def _file(path: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise AddressMissing(f"cannot read {path}: {error}") from None
    if not text:
        raise AddressMissing(f"{path} is empty; it must hold one URL")
    return text
