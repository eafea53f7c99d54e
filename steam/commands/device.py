"""`steam device`: the devices of the plant, their accounts, their configuration and firmware."""

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table

from bridge.broker import BrokerError
from bridge.clock import utc_now
from bridge.device_commands import DeviceFault
from bridge.devices import DeviceChange
from bridge.messages import Reason
from bridge.plant import Device, load_plant
from processor.quarantine import BadMessage
from steam.commands import device_board, device_command, device_firmware
from steam.console import ConfigOption, JsonOption, command, err, out, settings_at
from steam.desk import desk_of
from steam.device_line import commander_of, registered
from steam.plant_watch import LOOK_EVERY_S
from steam.provisioning import (
    BOARDS,
    CA_NAME,
    Wifi,
    ca_beside,
    check_absent,
    check_board,
    check_sensors,
    config_of,
    default_file,
    renewed,
    write_config,
)
from steam.registry import devices_of
from steam.rotating import Rotation
from steam.settings import MissingSecret, Secret, Settings

_ALL = 1_000_000
_NOT_YET = "made in a moment"

app = typer.Typer(help="The devices of plant.yaml and their accounts.", no_args_is_help=True)
app.command("command")(device_command.send)
app.command("flash")(device_board.flash)
app.command("update")(device_command.update)
app.add_typer(device_firmware.app, name="firmware")

Site = Annotated[str, typer.Argument(help="The site's name in plant.yaml.")]
Name = Annotated[str, typer.Argument(help="The device's name: account, client id and topic.")]
BoilerOption = Annotated[str, typer.Option(help="The boiler that it watches.")]
BoardOption = Annotated[str, typer.Option(help=f"{', '.join(BOARDS)}, or what else it is.")]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Where the configuration goes; DEVICE.config.json by default."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Write over a file that is there.")]
HostOption = Annotated[str, typer.Option(help="The broker as the device sees it.")]
SsidOption = Annotated[str, typer.Option(help="The Wi-Fi that the board joins.")]
WifiFileOption = Annotated[
    Path | None, typer.Option(help="A file that holds only the Wi-Fi's password.")
]
SimulatedOption = Annotated[bool, typer.Option("--simulated", help="Simulated sensors only.")]


@app.command()
@command
def add(  # noqa: PLR0913, PLR0917 - one argument an option
    site: Site,
    device: Name,
    boiler: BoilerOption,
    board: BoardOption = "",
    out_file: OutOption = None,
    force: ForceOption = False,
    mqtt_host: HostOption = "",
    wifi_ssid: SsidOption = "",
    wifi_password_file: WifiFileOption = None,
    simulated: SimulatedOption = False,
    config: ConfigOption = Path("steam.yaml"),
) -> None:
    """Register a new device, make its account, and show its password once.

    For a board that Steam has firmware for, its configuration is written too: it holds the
    password, and `steam device flash` puts it on the board.
    """
    settings = settings_at(config)
    entry = Device(name=device, site=site, boiler=boiler, board=board)
    if board not in BOARDS:
        _tell(devices_of(settings).add(entry))
        boards = ", ".join(BOARDS)
        out.print(f"no configuration written: --board is none of {boards}", markup=False)
        return
    path = out_file or default_file(device)
    check_absent(path, force=force)
    wifi = _wifi(wifi_ssid, wifi_password_file)
    values = config_of(
        settings,
        entry,
        board=board,
        password=_NOT_YET,
        now=utc_now(),
        mqtt_host=mqtt_host,
        wifi=wifi,
        simulated=simulated,
    )
    unknown = check_sensors(values, load_plant(settings.plant_path))
    ca = ca_beside(settings, values)
    change = devices_of(settings).add(entry)
    _tell(change)
    _write(path, values, change.password or "", ca)
    device_board.tell_unknown(unknown)


@app.command("config")
@command
def config_(  # noqa: PLR0913, PLR0917 - one argument an option
    device: Name,
    board: BoardOption = "",
    rotate: Annotated[
        bool, typer.Option("--rotate", help="With a new password; the old one ends at once.")
    ] = False,
    out_file: OutOption = None,
    force: ForceOption = False,
    mqtt_host: HostOption = "",
    wifi_ssid: SsidOption = "",
    wifi_password_file: WifiFileOption = None,
    simulated: SimulatedOption = False,
    config: ConfigOption = Path("steam.yaml"),
) -> None:
    """Write a registered device's configuration again, with a new password where you ask for one.

    What the file that is there says of Wi-Fi, buses, sensors and limits stays, and its password.
    """
    settings = settings_at(config)
    entry = registered(settings, device)
    check_board(board or entry.board)
    path = out_file or default_file(device)
    check_absent(path, force=force)
    made = config_of(
        settings,
        entry,
        board=board or entry.board,
        password=_NOT_YET if rotate else "",
        now=utc_now(),
        mqtt_host=mqtt_host,
        wifi=_wifi(wifi_ssid, wifi_password_file),
        simulated=simulated,
    )
    values = renewed(path, made, with_wifi=bool(wifi_ssid))
    if simulated:
        values |= {key: made[key] for key in ("buses", "sensors", "limits")}
    ca = ca_beside(settings, values)
    if not rotate:
        password = values["mqtt"]["password"]
        _write(path, values, password, ca)
        kept = "with the password that it had" if password else "without its password"
        out.print(f"{kept}, which nobody can read anywhere else: --rotate makes a new one")
        return
    change = devices_of(settings).rotate(device)
    if change.next_step:
        out.print(change.next_step, markup=False)
    _write(path, values, change.password or "", ca)


@app.command()
@command
def adopt(
    site: Site, device: Name, boiler: BoilerOption, config: ConfigOption = Path("steam.yaml")
) -> None:
    """Register a device that has an account and sends already; what it sent so far is taken in."""
    settings = settings_at(config)
    _tell(devices_of(settings).adopt(Device(name=device, site=site, boiler=boiler)))
    _take_in(settings, device)


@app.command()
@command
def rotate(
    device: Name,
    show: Annotated[
        bool,
        typer.Option("--show", help="Do not send it: show it once, for the board's own portal."),
    ] = False,
    config: ConfigOption = Path("steam.yaml"),
) -> None:
    """Give a device a new password; the device is told first and never shut out.

    The device keeps both until the broker has taken the new one at its next connection. With
    --show it is not told, and cannot connect again until somebody has entered the password: at
    the portal that the board opens, or rather by `steam device config --rotate` and `flash`.
    """
    settings = settings_at(config)
    devices = devices_of(settings)
    if show:
        _tell(devices.rotate(device))
        text = (
            f"{device} does not know it: type it into the board's own portal when that opens; or "
            f"`steam device config {device} --rotate --force` makes another, and `steam device "
            "flash` brings it there"
        )
        out.print(text, markup=False, highlight=False)
        return
    commander = commander_of(settings, device)
    change = Rotation(devices, commander, lambda text: out.print(text, markup=False)).rotate()
    out.print(f"{device} has its new password, and uses it from its next connection on")
    if change.next_step:
        out.print(change.next_step, markup=False)


@app.command()
@command
def revoke(device: Name, config: ConfigOption = Path("steam.yaml")) -> None:
    """Shut a device out: its account, its bindings, its entry; what it sent stays."""
    _tell(devices_of(settings_at(config)).revoke(device))


@app.command("list")
@command
def list_(config: ConfigOption = Path("steam.yaml"), as_json: JsonOption = False) -> None:
    """List what plant.yaml and the broker know."""
    entries = devices_of(settings_at(config)).listed()
    if as_json:
        typer.echo(msgspec.json.encode(entries))
        return
    table = Table("site", "device", "boiler", "account")
    for entry in entries:
        boiler = entry.boiler or "not in plant.yaml"
        table.add_row(entry.site, entry.device, boiler, "yes" if entry.account else "no")
    out.print(table)


def _wifi(ssid: str, password_file: Path | None) -> Wifi:
    """The Wi-Fi that was asked for; its password from a file, or typed where somebody can type."""
    if not ssid:
        if password_file is not None:
            raise DeviceFault("--wifi-password-file is for a --wifi-ssid: name that too")
        return Wifi()
    if password_file is not None:
        return Wifi(ssid=ssid, password=Secret(file=str(password_file)).read("the Wi-Fi"))
    if not sys.stdin.isatty():
        raise DeviceFault(f"the password of the Wi-Fi {ssid!r}: give --wifi-password-file")
    typed: str = typer.prompt(f"password of the Wi-Fi {ssid}", hide_input=True)
    return Wifi(ssid=ssid, password=typed)


def _write(path: Path, values: dict[str, Any], password: str, ca: bytes | None) -> None:
    mqtt = values["mqtt"] | {"password": password}
    write_config(path, values | {"mqtt": mqtt})
    out.print(f"wrote {path}, for your eyes alone", markup=False, highlight=False)
    if portal := values.get("portal_password"):
        text = f"password of the network that the board opens where it lacks one: {portal}"
        out.print(text, markup=False, highlight=False)
    if ca is not None:
        beside = path.with_name(CA_NAME)
        beside.write_bytes(ca)
        text = f"wrote {beside}, the CA of the broker: it goes beside config.json"
        out.print(text, markup=False, highlight=False)
    if "wifi" in values and not values["wifi"]["ssid"]:
        out.print("it names no Wi-Fi: that is entered at the board's own portal (device.md)")


def _take_in(settings: Settings, device: str) -> None:
    """Send again what waits in quarantine because the device was unknown."""

    def wanted(message: BadMessage) -> bool:
        return message.reason is Reason.UNKNOWN_DEVICE and message.device == device

    try:
        with desk_of(settings) as desk:
            waiting = sum(map(wanted, desk.messages(_ALL)))
            if not waiting:
                return
            out.print(f"{waiting} messages of it wait in quarantine; sending them again")
            time.sleep(LOOK_EVERY_S + 1)  # Until running processors have read plant.yaml.
            out.print(f"{desk.retry(wanted)} sent again")
    except (BrokerError, MissingSecret) as error:
        text = f"not sent again: {error}; later: steam quarantine retry --device {device}"
        err.print(text, markup=False, highlight=False)


def _tell(change: DeviceChange) -> None:
    if change.diff:
        out.print(change.diff.rstrip(), markup=False, highlight=False)
    if change.password is not None:
        out.print(f"password, shown only now: {change.password}", markup=False, highlight=False)
    if change.next_step:
        out.print(change.next_step, markup=False)
    if not (change.diff or change.password or change.next_step):
        out.print("nothing to change")
