"""`steam backup`: everything that Steam holds, in one file."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import msgspec
import typer
from rich.progress import Progress

from bridge.clock import utc_now
from bridge.device_commands import visible
from steam.backup.fault import BackupFault
from steam.backup.making import Making
from steam.backup.new_file import remove_unfinished
from steam.console import (
    FAILED,
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
    chain_faults: list[str]


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

    It holds what was stored when it began. Not in it: secrets, devices' accounts, and what
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
    if to is not None:
        remove_unfinished(to, _PATTERN)
    store, archive = archived_store_of(settings)
    store.open()
    try:
        making = Making(settings, config, archive, store.alarm_heads())
        with _ending_in_order(), Progress(console=err, transient=True, disable=as_json) as progress:
            task = progress.add_task("days", total=len(making.days(now)))
            days = sum(1 for _ in progress.track(making.write(path, now), task_id=task))
    except BackupFault as fault:
        end(str(fault), FAILED)
    finally:
        store.close()
    removed = _remove_older(to, keep) if to is not None and keep is not None else []
    size, faults = path.stat().st_size, making.chain_faults
    if as_json:
        typer.echo(msgspec.json.encode(Made(str(path), size, days, removed, faults)))
        return
    out.print(f"{path}: {days} days, {size / 1e6:.1f} MB", markup=False)
    for told in faults:
        out.print(visible(f"in the store already, chain of alarm events: {told}"), markup=False)


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """On SIGTERM, as when a job is cancelled, leave through what removes unfinished files."""

    def leave(number: int, _: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _remove_older(folder: Path, keep: int) -> list[str]:
    """Only files that are named as this command names them."""
    old = sorted(folder.glob(_PATTERN))[:-keep]
    for path in old:
        path.unlink()
    return [path.name for path in old]
