"""`steam device firmware make|key|sign`: updates, and the key that devices trust."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from bridge.device_commands import DeviceFault
from steam.console import command, out

app = typer.Typer(help="Firmware as an update, and the key that signs it.", no_args_is_help=True)
KeyFile = Annotated[Path, typer.Argument(help="The private key, PEM.")]


@app.command()
@command
def make(
    board: Annotated[str, typer.Argument(help="esp32, pico_w, pi or unix.")],
    out_file: Annotated[
        Path | None, typer.Option("--out", help="Where it goes, not BOARD-VERSION.tar.")
    ] = None,
    version: Annotated[str, typer.Option(help="Another name than the firmware's own.")] = "",
    made: Annotated[
        int | None,
        typer.Option(
            min=0, envvar="SOURCE_DATE_EPOCH", help="When it was made, UTC seconds; now by default."
        ),
    ] = None,
    source: Annotated[
        bool, typer.Option("--source", help="Sources, where the default is bytecode.")
    ] = False,
) -> None:
    """Pack a board's firmware into an update.

    The same sources and the same --made give the same bytes. A device takes no update that was
    made before the firmware that it runs.
    """
    from device.steamlink.session import VERSION
    from steam.firmware import make_update

    version = version or VERSION
    path = out_file or Path(f"{board}-{version}.tar")
    with _told():
        update = make_update(
            board, path, version=version, compiled=False if source else None, made=made
        )
    out.print(f"wrote {update.path}: {update.size} bytes, SHA-256 {update.sha256}", markup=False)


@app.command()
@command
def key(path: KeyFile) -> None:
    """Make the key pair that signs updates; its public half, the modulus, lies beside as FILE.pub.

    Devices and servers need the public half only. Whoever has the other can put firmware on
    every device: keep it off the servers.
    """
    from steam.firmware import new_key

    public = path.with_name(f"{path.name}.pub")
    if public.exists():
        raise DeviceFault(f"{public} exists; devices may trust that key: keep it")
    with _told():
        modulus = new_key(path)
    public.write_text(f"{modulus}\n", encoding="ascii")
    out.print(f"wrote {path}, for your eyes alone: keep it off the servers", markup=False)
    out.print(f"wrote {public}, its public modulus: copy that beside steam.yaml and name it there:")
    out.print(f"  devices: {{ota_key_file: {public.name}}}", markup=False, highlight=False)
    typer.echo(modulus)


@app.command()
@command
def sign(
    archive: Annotated[Path, typer.Argument(help="The update.")],
    key_file: Annotated[Path, typer.Option("--key", help="The private key, PEM.")],
) -> None:
    """Sign an update; prints the signature in hex. `steam device update` does it by itself."""
    from steam.firmware import sign as sign_file

    with _told():
        signature = sign_file(archive, key_file)
    typer.echo(signature)


@contextmanager
def _told() -> Iterator[None]:
    from steam.firmware import FirmwareFault

    try:
        yield
    except FirmwareFault as fault:
        raise DeviceFault(str(fault)) from None
