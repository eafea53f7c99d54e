"""`steam device add|list|adopt|rotate|revoke`: the devices of the plant and their accounts."""

import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from bridge.broker import BrokerError
from bridge.devices import DeviceChange
from bridge.messages import Reason
from bridge.plant import Device
from processor.quarantine import BadMessage
from steam.console import ConfigOption, JsonOption, command, err, out, settings_at
from steam.desk import desk_of
from steam.plant_watch import LOOK_EVERY_S
from steam.registry import devices_of
from steam.settings import MissingSecret, Settings

_ALL = 1_000_000

app = typer.Typer(help="The devices of plant.yaml and their accounts.", no_args_is_help=True)
Site = Annotated[str, typer.Argument(help="The site's name in plant.yaml.")]
Name = Annotated[str, typer.Argument(help="The device's name: account, client id and topic.")]
BoilerOption = Annotated[str, typer.Option(help="The boiler that it watches.")]


@app.command()
@command
def add(
    site: Site,
    device: Name,
    boiler: BoilerOption,
    board: Annotated[str, typer.Option(help="Such as esp32, pico_w, pi.")] = "",
    config: ConfigOption = Path("steam.yaml"),
) -> None:
    """Register a new device, make its account, and show its password once."""
    devices = devices_of(settings_at(config))
    _tell(devices.add(Device(name=device, site=site, boiler=boiler, board=board)))


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
def rotate(device: Name, config: ConfigOption = Path("steam.yaml")) -> None:
    """Give a device a new password, and show it once."""
    _tell(devices_of(settings_at(config)).rotate(device))


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
