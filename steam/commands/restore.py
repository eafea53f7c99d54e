"""`steam restore`: bring a backup back, or look whether it is whole."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.progress import Progress

from bridge.clock import utc_now
from steam.backup.archive_file import ArchiveReader, BackupFault
from steam.backup.restoring import Restored, Restoring
from steam.console import FAILED, ConfigOption, JsonOption, command, end, err, out, settings_at
from steam.held_folder import held
from steam.settings import Settings
from steam.stores import archived_store_of

app = typer.Typer()


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
    that are there stay, those of the backup are put beside them.
    """
    settings = None if check else settings_at(config)
    stack = ExitStack()
    try:
        reader = ArchiveReader(file)
        restoring = Restoring(reader)
        steps = len(reader.manifest.members) + len(reader.days)
        _watch("checking", steps, restoring.check(), quiet=as_json)
        if settings is None:
            out.print(f"{file}: whole; made at {reader.manifest.made_at}", markup=False)
            return
        store, archive = archived_store_of(settings)
        stack.enter_context(_alone(settings))
        store.open()
        try:
            store.init(settings.retention)
            filled = archive.span() is not None
            if filled and not into_filled:
                end(
                    "the store holds something already; --into-filled adds the backup to it "
                    "(what both have is written over), or name another store",
                    FAILED,
                )
            writing = restoring.write(store, archive, settings.retention, utc_now())
            _watch("restoring", len(reader.days), writing, quiet=as_json)
            span = archive.span()
            differing = restoring.compare(archive, *span) if span is not None and not filled else []
        finally:
            store.close()
        result = restoring.result(restoring.restore_files(settings, config), differing)
    except BackupFault as fault:
        end(str(fault), FAILED)
    finally:
        stack.close()
    _tell(result, filled=filled, as_json=as_json)


def _alone(settings: Settings) -> AbstractContextManager[None]:
    """In the embedded deployment nobody else may use the data folder meanwhile."""
    if settings.deployment != "embedded":
        return nullcontext()
    settings.data_path.mkdir(parents=True, exist_ok=True)
    return held(settings.data_path)


def _watch(what: str, total: int, steps: Iterator[str], *, quiet: bool) -> None:
    with Progress(console=err, transient=True, disable=quiet) as progress:
        task = progress.add_task(what, total=total)
        for _ in steps:
            progress.advance(task)


def _tell(result: Restored, *, filled: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode(result))
    else:
        told = ", ".join(f"{count} of {name}" for name, count in result.records.items())
        out.print(f"restored: {told or 'nothing'}", markup=False)
        if result.left_out:
            out.print(f"{result.left_out} records are older than the store keeps them")
        for path in result.files:
            out.print(f"wrote {path}", markup=False)
        out.print("not compared: the store held something before" if filled else "compared")
    if result.differences:
        end("not the same as the backup: " + "; ".join(result.differences), FAILED)
