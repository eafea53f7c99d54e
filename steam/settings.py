"""steam.yaml: how Steam runs. What exists stands in plant.yaml; secrets stand in neither."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from bridge.accounts import Service
from bridge.clock import is_time_zone
from bridge.plant import Plant
from bridge.settings_file import Fault, SettingsError, SettingsFile
from processor.gathering import FlushRule
from processor.notifier.routes import NotificationSettings, route_faults
from store.port import Retention

T = TypeVar("T", bound=msgspec.Struct)
Port = Annotated[int, Meta(ge=0, le=65_535)]


class MissingSecret(Exception):
    """A secret that the settings point to is not there; the text says where it is looked for."""


class Secret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a secret is found: an environment variable, or a file that holds only it."""

    env: str = ""
    file: str = ""

    @property
    def given(self) -> bool:
        """Whether there is a secret to read."""
        return bool(self.file) or f"{self.env}_FILE" in os.environ or self.env in os.environ

    def read(self, what: str) -> str:
        """The secret; raises MissingSecret, naming `what` it is for."""
        if self.file:
            try:
                return Path(self.file).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise MissingSecret(f"{what}: cannot read {self.file}: {error.strerror}") from None
        value = os.environ.get(self.env) if self.env else None
        if value is None:
            if self.env and (path := os.environ.get(f"{self.env}_FILE")):
                return Secret(file=path).read(what)
            named = self.env or "`env` or `file`"
            raise MissingSecret(f"{what}: set {named} (or {named}_FILE) in the environment")
        return value


class Mqtt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The MQTT broker of the embedded deployment; `inside` runs one in the process.

    The files are mosquitto's, for `outside` on this machine: as its shipped configuration names
    them. `steam device` writes the accounts and tells the process in `pid_file` to read them.
    """

    broker: Literal["inside", "outside"] = "inside"
    host: str = "127.0.0.1"
    port: Port = 1883
    username: str = ""
    password: Secret | None = None
    password_file: str = "/etc/mosquitto/steam.passwords"  # noqa: S105 - a file's name
    acl_file: str = "/etc/mosquitto/steam.acl"
    pid_file: str = "/run/mosquitto/mosquitto.pid"


class Amqp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """RabbitMQ over AMQP: its address as `amqp://user:password@host:5672/`, kept as a secret.

    `url` is that of the program that runs: processor, notifier, panel. `topology_url` is for
    `steam topology` and `steam device`, `desk_url` for `steam quarantine`; where the
    environment has none, `url` serves. While the store is away, a recorder hands its deliveries
    back after `hand_back_after_s`; RabbitMQ closes the channel after 30 minutes.
    """

    url: Secret = Secret(env="STEAM_AMQP_URL")
    topology_url: Secret = Secret(env="STEAM_TOPOLOGY_AMQP_URL")
    desk_url: Secret = Secret(env="STEAM_DESK_AMQP_URL")
    prefetch_count: Annotated[int, Meta(ge=1, le=65_535)] = 5_000
    hand_back_after_s: Annotated[float, Meta(ge=5, le=1500)] = 600


class Management(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """RabbitMQ's management API, for the topology's policies and its audit.

    The `accounts_` pair is an administrator's, for `steam device`: only that may make users.
    Where the environment has no password for it, the first pair serves. Each processor audits
    every `audit_every_s`.
    """

    url: str = "http://127.0.0.1:15672"
    username: str = Service.TOPOLOGY.value
    password: Secret = Secret(env="STEAM_MANAGEMENT_PASSWORD")
    accounts_username: str = Service.ACCOUNTS.value
    accounts_password: Secret = Secret(env="STEAM_ACCOUNTS_PASSWORD")
    virtual_host: str = "/"
    audit_every_s: Annotated[float, Meta(ge=1, le=3600)] = 60


class InfluxDB(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """InfluxDB 1.8 (token `user:password`, or none) or 2.7 (token and org)."""

    url: str = "http://127.0.0.1:8086"
    org: str = "steam"
    database: str = "steam"
    token: Secret | None = Secret(env="STEAM_INFLUXDB_TOKEN")


class HealthAddress(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where /healthz, /readyz and /metrics are served; no port, no server."""

    host: str = "127.0.0.1"
    port: Port | None = None


class Panel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the dashboard is served; `origins` are the host:port that browsers may use."""

    host: str = "127.0.0.1"
    port: Port = 5006
    origins: list[str] = []
    language: Literal["pt-BR", "en"] = "pt-BR"


class DevicesSide(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How devices see the broker and the time: `steam device` writes it into their configuration.

    Without `mqtt_host` and `mqtt_port`, those of `mqtt` (8883 with TLS). `ca_file` is the plant's CA (PEM or
    DER), `server_name` what the broker's certificate names where that is not `mqtt_host`.
    `ota_key_file` is the key pair (PEM) that updates are signed with, or its public modulus in
    hex: devices get the modulus, and take no update without it.
    """

    mqtt_host: str = ""
    mqtt_port: Annotated[int, Meta(ge=1, le=65_535)] | None = None
    tls: bool = False
    ca_file: str = ""
    server_name: str = ""
    ntp: list[str] = msgspec.field(default_factory=lambda: ["pool.ntp.org"])
    wifi_country: Annotated[str, Meta(pattern="^[A-Z]{2}$")] = "BR"
    ota_key_file: str = ""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """steam.yaml, every default included; relative paths start at the file's folder."""

    deployment: Literal["embedded", "server"] = "embedded"
    plant: str = "plant.yaml"
    data_dir: str = "data"
    time_zone: str = "UTC"
    mqtt: Mqtt = Mqtt()
    amqp: Amqp = Amqp()
    management: Management = Management()
    influxdb: InfluxDB = InfluxDB()
    flush: FlushRule = FlushRule()
    retention: Retention = Retention()
    health: HealthAddress = HealthAddress()
    panel: Panel = Panel()
    notifications: NotificationSettings = NotificationSettings()
    devices: DevicesSide = DevicesSide()
    folder: str = "."

    @property
    def plant_path(self) -> Path:
        """Where plant.yaml is."""
        return Path(self.folder) / self.plant

    @property
    def data_path(self) -> Path:
        """The folder of the embedded deployment's files."""
        return Path(self.folder) / self.data_dir

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of batch ids."""
        return ZoneInfo(self.time_zone)


def load_settings(path: Path) -> Settings:
    """Read and check steam.yaml; raises SettingsError with every fault and its line."""
    source = SettingsFile(path).read()
    if "folder" in source.tree:
        raise SettingsError([source.fault(("folder",), "unknown key 'folder'")])
    settings = source.decode(Settings)
    faults = list(_faults(source, settings))
    if faults:
        raise SettingsError(faults)
    return msgspec.structs.replace(_anchored(settings, path.parent), folder=str(path.parent))


def check_routes(path: Path, settings: Settings, plant: Plant) -> None:
    """Check the notification routes against the plant; raises SettingsError."""
    source = SettingsFile(path).read()
    faults = list(route_faults(source, ("notifications",), settings.notifications, plant.boilers))
    if faults:
        raise SettingsError(faults)


def _faults(source: SettingsFile, settings: Settings) -> Iterator[Fault]:
    if not is_time_zone(settings.time_zone):
        text = f"no time zone {settings.time_zone!r}; write it as in America/Sao_Paulo or UTC"
        yield source.fault(("time_zone",), text)
    if settings.deployment == "server" and settings.mqtt.broker == "outside":
        text = "mqtt.broker is for the embedded deployment; in `server` devices talk to RabbitMQ"
        yield source.fault(("mqtt", "broker"), text)
    if settings.devices.tls and not settings.devices.ca_file:
        text = "TLS of devices needs the plant's CA: name its certificate in devices.ca_file"
        yield source.fault(("devices", "tls"), text)
    for section, url in (
        ("management", settings.management.url),
        ("influxdb", settings.influxdb.url),
    ):
        if not _is_http(url):
            text = f"{url!r} is no address; write it as in http://broker:15672"
            yield source.fault((section, "url"), text)


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, an address in brackets that is none
        return False


def _anchored(section: T, folder: Path) -> T:
    """The section with the file of each of its secrets found from steam.yaml's folder."""
    changes: dict[str, Any] = {}
    for name in section.__struct_fields__:
        value = getattr(section, name)
        if isinstance(value, Secret) and value.file:
            changes[name] = msgspec.structs.replace(value, file=str(folder / value.file))
        elif isinstance(value, msgspec.Struct):
            changes[name] = _anchored(value, folder)
    return msgspec.structs.replace(section, **changes)
