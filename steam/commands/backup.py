"""`steam backup`: everything that Steam holds, in one file."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import Progress

from bridge.clock import utc_now
from steam.backup.archive_file import Head
from steam.backup.making import Making
from steam.console import (
    WRONG_SETTINGS,
    ConfigOption,
    JsonOption,
    command,
    end,
    err,
    out,
    settings_at,
)
from steam.stores import archived_store_of

app = typer.Typer()
_NAME = "steam-backup-{:%Y-%m-%d_%H-%M-%S}.tar"
_PATTERN = "steam-backup-????-??-??_??-??-??.tar"


class Made(msgspec.Struct, frozen=True):
    """What was made, for programs."""

    file: str
    bytes: int
    days: int
    removed: list[str]


@app.command()
@command
def backup(
    file: Annotated[Path | None, typer.Argument(help="Where it goes.")] = None,
    to: Annotated[
        Path | None, typer.Option(help="A folder, instead: the name is made of the time.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="With --to: remove all but the newest so many.")
    ] = None,
    config: ConfigOption = Path("steam.yaml"),
    as_json: JsonOption = False,
) -> None:
    """Write settings, plant, readings, roll-ups and alarm events to one file; Steam may run meanwhile.

    It holds what is stored when its day is read. Not in it: secrets, devices' accounts, and what
    still waits in the broker.
    """
    if (file is None) == (to is None):
        end("give a file, or --to FOLDER", WRONG_SETTINGS)
    if keep is not None and to is None:
        end("--keep needs --to", WRONG_SETTINGS)
    settings = settings_at(config)
    now = utc_now()
    path = file if file is not None else (to or Path()) / _NAME.format(now)
    path.parent.mkdir(parents=True, exist_ok=True)
    store, archive = archived_store_of(settings)
    store.open()
    try:
        heads = {
            boiler: Head(n=event.n, hash=event.hash)
            for boiler, event in store.alarm_heads().items()
        }
        making = Making(settings, config, archive, heads)
        days = len(making.days(now))
        with Progress(console=err, transient=True, disable=as_json) as progress:
            task = progress.add_task("days", total=days)
            for _ in making.write(path, now):
                progress.advance(task)
    finally:
        store.close()
    removed = _remove_older(to, keep) if to is not None and keep is not None else []
    size = path.stat().st_size
    if as_json:
        typer.echo(msgspec.json.encode(Made(str(path), size, days, removed)))
    else:
        out.print(f"{path}: {days} days, {size / 1e6:.1f} MB", markup=False)


def _remove_older(folder: Path, keep: int) -> list[str]:
    """Only files that are named as this command names them."""
    old = sorted(folder.glob(_PATTERN))[:-keep]
    for path in old:
        path.unlink()
    return [path.name for path in old]
