"""`steam device flash`: firmware and configuration onto a board, over USB."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from bridge.device_commands import DeviceFault, visible
from bridge.plant import Device, load_plant
from steam.console import ConfigOption, command, out, settings_at
from steam.device_line import registered
from steam.provisioning import (
    CA_NAME,
    ca_certificate,
    check_sensors,
    default_file,
    has_portal,
    new_portal_password,
    read_config,
    write_config,
)
from steam.settings import Settings

if TYPE_CHECKING:
    from steam.flashing import Probe

_CONFIG_NAMES = {"config.json", "config.a", "config.b"}


@command
def flash(
    device: Annotated[str, typer.Argument(help="The device's name in plant.yaml.")],
    port: Annotated[str, typer.Option(help="The board's port, such as /dev/ttyUSB0.")] = "",
    board_config: Annotated[
        Path | None, typer.Option(help="The board's configuration, not ./DEVICE.config.json.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look at the board and change nothing on it.")
    ] = False,
    config: ConfigOption = Path("steam.yaml"),
) -> None:
    """Put the firmware and its configuration on a board, and wait until it runs.

    The board needs MicroPython 1.22 or later. Readings that it has stored stay on it.
    """
    from steam import flashing
    from steam.mpremote import Mpremote

    settings = settings_at(config)
    entry = registered(settings, device)
    _check_board(entry)
    if not port and not dry_run:
        raise DeviceFault("which port? --port /dev/ttyUSB0, or /dev/ttyACM0 for a Pico W")
    path = board_config or default_file(device)
    found = mpremote = None
    if port:
        mpremote = Mpremote(port, entry.board)
        mpremote.check()
        found = flashing.probe(mpremote)
        out.print(f"{port}: {visible(str(found))}", markup=False)
        flashing.check_fit(found, entry.board)
    compiled = flashing.is_compiled(found) if found is not None else True
    with (
        flashing.firmware_files(entry.board, compiled=compiled) as firmware,
        _settings_files(settings, entry, path, found, dry_run=dry_run) as own,
    ):
        if mpremote is None or found is None or dry_run:
            _list(firmware, own)
            return
        with Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=out
        ) as progress:
            task = progress.add_task("looking", total=len(firmware) + len(own))
            flashing.flash(
                mpremote,
                found,
                firmware,
                own,
                lambda name, done, _all: progress.update(task, description=name, completed=done),
            )
    out.print(visible(flashing.first_line(port)), markup=False)
    _tell_portal(found, path)


def tell_unknown(metrics: list[str]) -> None:
    """Say which metrics of a configuration the plant does not know."""
    if metrics:
        names = ", ".join(metrics)
        out.print(f"plant.yaml lacks {names}: add to its `metrics`, or it is quarantined")


def _tell_portal(found: "Probe", path: Path) -> None:
    """The board's own network, which it opens while it lacks a configuration or a Wi-Fi."""
    from device.steamlink import portal

    if not found.number:
        return
    own = str(read_config(path).get("portal_password", "")) if path.exists() else None
    name, password = portal.access(found, own or "")
    told = "that its configuration gave it" if own is None else password
    text = f"its own network, while it has none: {name}, password {told}"
    out.print(visible(text), markup=False, highlight=False)


def _check_board(entry: Device) -> None:
    from steam.flashing import PLATFORMS

    if entry.board == "pi":
        raise DeviceFault("a Raspberry Pi is not flashed: device/pi/install.sh puts Steam on it")
    if entry.board not in PLATFORMS:
        raise DeviceFault(
            f"plant.yaml: board {entry.board or '(none)'!r} of {entry.name}; "
            f"{', '.join(PLATFORMS)} can be flashed"
        )


@contextmanager
def _settings_files(
    settings: Settings, entry: Device, path: Path, found: "Probe | None", *, dry_run: bool
) -> Iterator[dict[str, Path]]:
    """config.json and the CA; nothing where the board has its configuration and there is no file.

    A file of before without a password for the board's own network is given one.
    """
    if not path.exists() and found is not None and _CONFIG_NAMES & set(found.here):
        out.print(f"no {path}: the board keeps the configuration that it has", markup=False)
        yield {}
        return
    values = read_config(path)
    named = (values.get("site"), values.get("device"), values.get("board", entry.board))
    if named != (entry.site, entry.name, entry.board):
        raise DeviceFault(
            f"{path} is for {'/'.join(map(str, named))}, not {entry.site}/{entry.name}/{entry.board}"
        )
    if not values["mqtt"].get("password"):
        raise DeviceFault(
            f"{path} holds no password, and the board would lose the one it may have: "
            f"steam device config {entry.name} --rotate --force"
        )
    tell_unknown(check_sensors(values, load_plant(settings.plant_path)))
    if has_portal(entry.board) and not values.get("portal_password"):
        values["portal_password"] = new_portal_password()
        if found is not None and not dry_run:
            write_config(path, values)
    with tempfile.TemporaryDirectory() as name:
        own = {"config.json": Path(name) / "config.json"}
        own["config.json"].write_text(json.dumps(values), encoding="utf-8")
        if values["mqtt"].get("tls"):
            ca = str(values["mqtt"].get("ca", CA_NAME))
            own[ca] = Path(name) / "ca"
            own[ca].write_bytes(ca_certificate(settings))
        yield own


def _list(firmware: Mapping[str, Path], own: Mapping[str, Path]) -> None:
    for name, path in {**firmware, **own}.items():
        out.print(f"{path.stat().st_size:>8}  {name}", markup=False, highlight=False)
    size = sum(path.stat().st_size for path in [*firmware.values(), *own.values()])
    out.print(f"{len(firmware) + len(own)} files, {size} bytes; nothing was changed")
