"""`steam restore`: bring a backup back, or look whether it is whole."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.progress import Progress

from bridge.clock import utc_now
from bridge.device_commands import visible
from steam.backup.archive_file import ArchiveReader, Manifest
from steam.backup.fault import BackupFault
from steam.backup.files import restore_files, restore_settings
from steam.backup.oldest import Oldest
from steam.backup.restoring import Restored, Restoring
from steam.console import (
    FAILED,
    ConfigOption,
    JsonOption,
    command,
    end,
    err,
    out,
    settings_at,
)
from steam.held_folder import held
from steam.settings import Settings
from steam.stores import archived_store_of

app = typer.Typer()
_SHOWN = ("format", "steam", "made_at", "deployment", "sums", "heads", "chain_faults")
_T = TypeVar("_T")


@app.command()
@command
def restore(
    file: Annotated[Path, typer.Argument(help="What `steam backup` wrote.")],
    check: Annotated[
        bool, typer.Option("--check", help="Only look whether it is whole; writes nothing.")
    ] = False,
    into_filled: Annotated[
        bool, typer.Option("--into-filled", help="Also into a store that holds something already.")
    ] = False,
    config: ConfigOption = Path("steam.yaml"),
    as_json: JsonOption = False,
) -> None:
    """Bring back readings, roll-ups, alarm events and files from a backup, and compare.

    The file is checked whole before anything is written. Stop Steam first; settings and plant
    that are there stay, those of the backup are put beside them. Without a steam.yaml that of
    the backup is taken.
    """
    settings = settings_at(config) if config.exists() and not check else None
    with ExitStack() as stack:
        try:
            reader = ArchiveReader(file)
            restoring = Restoring(reader)
            steps = len(reader.manifest.members) + len(reader.days)
            _watch("checking", steps, restoring.check(), quiet=as_json)
            if check:
                _tell_whole(file, reader.manifest, as_json=as_json)
                return
            if settings is None:
                restore_settings(reader, config)
                settings = settings_at(config)
            filled, differing = _restore(restoring, settings, stack, into_filled, quiet=as_json)
            files = restore_files(reader, settings, config)
        except BackupFault as fault:
            end(visible(str(fault)), FAILED)
    _tell(restoring.result(files, differing), filled=filled, as_json=as_json)


def _restore(
    restoring: Restoring, settings: Settings, stack: ExitStack, into_filled: bool, *, quiet: bool
) -> tuple[bool, list[str]]:
    """Write and compare; whether the store held something before, and what differs."""
    store, archive = archived_store_of(settings)
    stack.enter_context(_alone(settings))
    store.open()
    stack.callback(store.close)
    store.init(settings.retention)
    filled = archive.span() is not None
    if filled and not into_filled:
        end(
            "the store holds something already; --into-filled adds the backup to it "
            "(what both have is written over), or name another store",
            FAILED,
        )
    oldest, days = Oldest(settings.retention, utc_now()), restoring.days
    _watch("restoring", days, restoring.write(archive, oldest), quiet=quiet)
    if filled:
        found = _watch("comparing", days, restoring.missing(archive, oldest), quiet=quiet)
        return filled, [fault for faults in found for fault in faults]
    span = archive.span()
    return filled, restoring.compare(archive, *(span or (0, 0)))


def _alone(settings: Settings) -> AbstractContextManager[None]:
    """In the embedded deployment nobody else may use the data folder meanwhile."""
    if settings.deployment != "embedded":
        return nullcontext()
    settings.data_path.mkdir(parents=True, exist_ok=True)
    return held(settings.data_path)


def _watch(what: str, total: int, steps: Iterator[_T], *, quiet: bool) -> list[_T]:
    with Progress(console=err, transient=True, disable=quiet) as progress:
        return list(progress.track(steps, task_id=progress.add_task(what, total=total)))


def _tell_whole(file: Path, manifest: Manifest, *, as_json: bool) -> None:
    if as_json:
        told = msgspec.structs.asdict(manifest)
        typer.echo(msgspec.json.encode({name: told[name] for name in _SHOWN}))
        return
    out.print(visible(f"{file}: whole; made at {manifest.made_at}"), markup=False)
    _tell_chains(manifest.chain_faults)


def _tell(result: Restored, *, filled: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(result))
    else:
        told = ", ".join(f"{count} of {name}" for name, count in result.records.items())
        out.print(f"restored: {told or 'nothing'}", markup=False)
        if result.left_out:
            out.print(f"{result.left_out} records are older than the store keeps them")
        for sentence in result.files:
            out.print(sentence, markup=False)
        _tell_chains(result.chain_faults)
        if filled:
            out.print("the store held something before: run `steam rollup` for the restored days")
    faults = [f"refused: {words}" for words in result.refused] + result.differences
    if faults:
        end(visible("not the same as the backup: " + "; ".join(faults)), FAILED)
    if not as_json:
        out.print("compared: all of it is there")


def _tell_chains(faults: list[str]) -> None:
    for fault in faults:
        text = f"so in the store that was backed up, chain of alarm events: {fault}"
        out.print(visible(text), markup=False)
