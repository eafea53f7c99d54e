"""`steam device add|list|adopt|rotate|revoke`: the devices of the plant and their accounts."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from bridge.devices import DeviceChange
from bridge.plant import Device
from steam.console import ConfigOption, JsonOption, command, out, settings_at
from steam.registry import devices_of

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
    """Register a device that has an account and sends already."""
    devices = devices_of(settings_at(config))
    _tell(devices.adopt(Device(name=device, site=site, boiler=boiler)))


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


def _tell(change: DeviceChange) -> None:
    if change.diff:
        out.print(change.diff.rstrip(), markup=False, highlight=False)
    if change.password is not None:
        out.print(f"password, shown only now: {change.password}", markup=False, highlight=False)
    if change.next_step:
        out.print(change.next_step, markup=False)
    if not (change.diff or change.password or change.next_step):
        out.print("nothing to change")
