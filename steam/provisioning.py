"""Makes the configuration of a board: config.json, as device.steamlink.config reads it."""

import ipaddress
import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bridge.device_commands import DeviceFault
from bridge.edited_file import replace_text
from bridge.plant import Device, Plant
from bridge.settings_file import SettingsError, SettingsFile
from steam.settings import Settings

BOARDS = ("esp32", "pico_w", "pi", "unix")
"""The boards for which there is firmware."""

CA_NAME = "ca.der"
"""How the plant's CA is called in a board's folder."""

_KITS = Path(__file__).resolve().parents[1] / "device"
_SIMULATED: dict[str, Any] = {"buses": {}, "sensors": [{"kind": "simulated"}], "limits": []}
_WITH_RADIO = ("esp32", "pico_w")
_PORTAL_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_PORTAL_LENGTH = 12
_RENEWED = ("v", "site", "device", "board", "boot_from", "ota")
_BOOTS_SINCE = datetime(2020, 1, 1, tzinfo=UTC)
_MODULUS_DIGITS = 512
_TLS_PORT = 8883


class Wifi(msgspec.Struct, frozen=True, kw_only=True):
    """The network that a board joins; no name: it is entered at the board's own portal."""

    ssid: str = ""
    password: str = ""


def config_of(
    settings: Settings,
    device: Device,
    *,
    board: str,
    password: str,
    now: datetime,
    mqtt_host: str = "",
    wifi: Wifi | None = None,
    simulated: bool = False,
) -> dict[str, Any]:
    """The configuration of a device's board; raises DeviceFault with everything that is wrong.

    `boot_from` is the minutes since 2020: a board that is set up anew counts its boots on from
    above those that it counted before, so that no message takes the identity of an earlier one.
    """
    check_board(board)
    side, wifi = settings.devices, wifi or Wifi()
    if wifi.ssid and board not in _WITH_RADIO:
        raise DeviceFault(f"a {board} has its network from its system: no --wifi-ssid for it")
    kit = _kit(board) | (_SIMULATED if simulated else {})
    values = {
        **kit,
        "v": 1,
        "site": device.site,
        "device": device.name,
        "board": board,
        "boot_from": int((now - _BOOTS_SINCE).total_seconds() // 60),
        "mqtt": {
            "host": mqtt_host or _host(settings, board),
            "port": side.mqtt_port or (_TLS_PORT if side.tls else settings.mqtt.port),
            "user": _user(settings, device.name),
            "password": password,
            "tls": side.tls,
            "ca": CA_NAME,
            "server_name": side.server_name,
        },
        "ntp": side.ntp,
        "ota": {"key": _modulus(settings)},
    }
    if board in _WITH_RADIO:
        values["portal_password"] = new_portal_password()
        named = {"ssid": wifi.ssid, "password": wifi.password}
        values["wifi"] = named | {"country": side.wifi_country}
    _validate(values)
    return values


def renewed(path: Path, values: Mapping[str, Any], *, with_wifi: bool) -> dict[str, Any]:
    """`values` in the configuration that `path` holds; raises DeviceFault.

    What somebody has entered there stays: Wi-Fi (but `with_wifi`), buses, sensors, limits; and the
    password of the same account where `values` have none. Where there is no file, or it is for
    another kind of board, these are `values` themselves.
    """
    if not path.exists():
        return dict(values)
    old = read_config(path)
    if old.get("board", values["board"]) != values["board"]:
        return dict(values)
    new = old | {key: values[key] for key in _RENEWED}
    if "portal_password" in values:
        new["portal_password"] = old.get("portal_password") or values["portal_password"]
    if with_wifi:
        new["wifi"] = values["wifi"]
    new["mqtt"] = old["mqtt"] | values["mqtt"] | {"password_next": ""}
    if not new["mqtt"]["password"] and old["mqtt"].get("user") == new["mqtt"]["user"]:
        new["mqtt"]["password"] = old["mqtt"].get("password", "")
    _validate(new)
    return new


def new_portal_password() -> str:
    """The password of a board's own network: 59 random bits, in letters that nobody confuses."""
    return "".join(secrets.choice(_PORTAL_LETTERS) for _ in range(_PORTAL_LENGTH))


def has_portal(board: str) -> bool:
    """Whether a board opens a network of its own where it lacks one."""
    return board in _WITH_RADIO


def check_board(board: str) -> None:
    """Refuse a board that there is no firmware for; raises DeviceFault."""
    if board not in BOARDS:
        raise DeviceFault(f"board {board or '(none)'!r}: there is firmware for {', '.join(BOARDS)}")


def check_sensors(values: Mapping[str, Any], plant: Plant) -> list[str]:
    """The metrics of a configuration that the plant does not know, sorted.

    The firmware's own drivers are asked, on a board of no hardware; DeviceFault tells what they
    refuse.
    """
    from device.steamlink import config, sensors
    from device.steamlink.hal import fake

    make_all: Any = sensors.make_all  # the firmware has no annotations there
    with tempfile.TemporaryDirectory() as folder:
        drivers, faults = make_all(config.filled(dict(values)), fake.Board(folder))
    if faults:
        raise DeviceFault("the sensors are wrong:\n  " + "\n  ".join(map(str, faults)))
    return sorted(
        {metric[0] for driver in drivers for metric in driver.metrics()} - set(plant.metrics)
    )


def check_absent(path: Path, *, force: bool) -> None:
    """Refuse to write over a configuration, and into a folder that is not there."""
    if path.exists() and not force:
        raise DeviceFault(f"{path} exists; give another --out, or --force to write over it")
    if not path.parent.is_dir():
        raise DeviceFault(f"{path.parent} is no folder; make it, or give another --out")


def write_config(path: Path, values: Mapping[str, Any]) -> None:
    """Write a configuration for its owner's eyes alone; raises OSError."""
    if path.exists():
        path.chmod(0o600)  # replace_text keeps the mode of what it replaces
    replace_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def ca_beside(settings: Settings, values: Mapping[str, Any]) -> bytes | None:
    """The CA that is to lie beside a configuration which nobody flashes; raises DeviceFault."""
    if not values["mqtt"].get("tls") or values["board"] in _WITH_RADIO:
        return None
    return ca_certificate(settings)


def read_config(path: Path) -> dict[str, Any]:
    """Read and check a configuration; raises DeviceFault."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeviceFault(
            f"no {path}: `steam device add` or `steam device config` writes it; --board-config "
            "names another"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise DeviceFault(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(values, dict):
        raise DeviceFault(f"{path} is no configuration: a JSON object is needed")
    _validate(values)
    return values


def ca_certificate(settings: Settings) -> bytes:
    """The plant's CA in DER, as boards take it; raises DeviceFault."""
    import binascii
    import ssl

    path = Path(settings.folder) / settings.devices.ca_file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DeviceFault(f"devices.ca_file: {path} cannot be read: {error.strerror}") from None
    try:
        if content.lstrip().startswith(b"-----"):
            content = ssl.PEM_cert_to_DER_cert(content.decode("ascii").strip())
        ssl.create_default_context(cadata=content)
    except (ssl.SSLError, ValueError, binascii.Error):
        raise DeviceFault(
            f"devices.ca_file: {path} is no single certificate in PEM or DER"
        ) from None
    return content


def check_files(path: Path, settings: Settings) -> None:
    """Read what steam.yaml, at `path`, names for devices; raises SettingsError with every fault."""
    source, faults = SettingsFile(path).read(), []
    named = (("ca_file", ca_certificate), ("ota_key_file", _modulus))
    for key, read in named:
        if not getattr(settings.devices, key):
            continue
        try:
            read(settings)
        except DeviceFault as fault:
            faults.append(source.fault(("devices", key), str(fault)))
    if faults:
        raise SettingsError(faults)


def _validate(values: Mapping[str, Any]) -> None:
    from device.steamlink import config

    faults = config.validate(dict(values))
    if faults:
        raise DeviceFault("the configuration is wrong:\n  " + "\n  ".join(map(str, faults)))


def _kit(board: str) -> dict[str, Any]:
    """The sensors and settings of a board's reference kit; a simulated sensor where it has none."""
    path = _KITS / board / "kit.json"
    if not path.exists():
        return _SIMULATED
    kit: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return kit


def _host(settings: Settings, board: str) -> str:
    if settings.devices.mqtt_host:
        return settings.devices.mqtt_host
    host = settings.mqtt.host
    address = _address(host)
    if address is None or not (address.is_loopback or address.is_unspecified):
        return host
    if board == "unix":
        return "127.0.0.1" if address.is_unspecified else str(address)
    raise DeviceFault(
        f"a device cannot reach the broker at {host!r}: write its address as the devices see it "
        "into steam.yaml, devices: {mqtt_host: ...}, or give --mqtt-host"
    )


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is written as, None where it is a name."""
    try:
        return ipaddress.ip_address({"localhost": "127.0.0.1", "": "127.0.0.1"}.get(host, host))
    except ValueError:
        return None


def _user(settings: Settings, device: str) -> str:
    """The account's name; with its virtual host where that is not RabbitMQ's first."""
    virtual_host = settings.management.virtual_host
    if settings.deployment != "server" or virtual_host == "/":
        return device
    return f"{virtual_host}:{device}"


def _modulus(settings: Settings) -> str:
    name = settings.devices.ota_key_file
    if not name:
        return ""
    path = Path(settings.folder) / name
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise DeviceFault(
            f"devices.ota_key_file: {path} cannot be read: {error.strerror}"
        ) from None
    except ValueError:
        raise DeviceFault(f"devices.ota_key_file: {path} is no text") from None
    if not text.startswith("-----"):
        if len(text) != _MODULUS_DIGITS or not set(text) <= set("0123456789abcdef"):
            raise DeviceFault(f"devices.ota_key_file: {path} is no PEM and no modulus of 2048 bits")
        return text
    from steam.firmware import FirmwareFault, modulus

    try:
        return modulus(path)
    except FirmwareFault as error:
        raise DeviceFault(f"devices.ota_key_file: {error}") from None


def default_file(device: str) -> Path:
    """Where a device's configuration is written and looked for: the current folder."""
    return Path(os.curdir) / f"{device}.config.json"
