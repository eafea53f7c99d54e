"""`steam device command` and `update`: what a device is asked for, and its answer."""

import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from bridge.clock import to_us, utc_now
from bridge.device_commands import ANSWER_WITHIN_S, OPS, DeviceFault, visible
from steam.console import ConfigOption, command, out, settings_at
from steam.device_line import commander_of

BACK_WITHIN_S = 900.0
"""A device fetches for ten minutes at most; then it unpacks, starts and connects."""

Name = Annotated[str, typer.Argument(help="The device's name.")]


@command
def send(
    device: Name,
    op: Annotated[str, typer.Argument(help=", ".join(OPS) + ".")],
    args: Annotated[str, typer.Option(help="A JSON object; - reads it from standard input.")] = "",
    wait: Annotated[
        float, typer.Option(min=0.1, max=600, help="Seconds to wait for the answer.")
    ] = ANSWER_WITHIN_S,
    config: ConfigOption = Path("steam.yaml"),
) -> None:
    """Send a command to a device that is connected, and print its answer as JSON.

    None touches a burner. patch_config is on trial for five minutes: a device that does not come
    online with it goes back.
    """
    settings = settings_at(config)
    answer = commander_of(settings, device, wait).do(op, _arguments(op, args))
    text = msgspec.json.format(msgspec.json.encode(answer), indent=2).decode()
    for line in text.splitlines():
        typer.echo(visible(line))


@command
def update(
    device: Name,
    file: Annotated[Path, typer.Option(help="The update, as `firmware make` wrote it here.")],
    url: Annotated[str, typer.Option(help="Where the device fetches the same file.")],
    key: Annotated[
        Path | None, typer.Option(help="The private key (PEM) whose modulus the device has.")
    ] = None,
    sig: Annotated[
        str, typer.Option(help="Instead of --key: what `firmware sign` printed where the key is.")
    ] = "",
    wait: Annotated[
        float, typer.Option(min=10, max=3600, help="Seconds until it must be back.")
    ] = BACK_WITHIN_S,
    force: Annotated[
        bool, typer.Option("--force", help="Also where it runs a firmware of that version.")
    ] = False,
    config: ConfigOption = Path("steam.yaml"),
) -> None:
    """Have a device fetch signed firmware, start it on trial, and answer with it.

    The file here is what is signed; what the address serves must be the same, byte for byte.
    """
    from steam.updating import offer_of
    from steam.updating import update as update_device

    if (key is None) == (not sig):
        raise DeviceFault(
            "--key, or --sig with the signature that `firmware sign` made of the file"
        )
    commander = commander_of(settings_at(config), device)
    offer = offer_of(file, url, key=key, signature=sig)
    out.print(f"{offer.version} for {offer.board}, {offer.size} bytes, signed", markup=False)
    version = update_device(
        commander, offer, lambda text: out.print(text, markup=False), within_s=wait, force=force
    )
    out.print(f"{device} runs {visible(version)}", markup=False)


def _arguments(op: str, text: str) -> dict[str, Any]:
    if not text:
        return {"utc": to_us(utc_now()) // 1000} if op == "time" else {}
    try:
        return msgspec.json.decode(sys.stdin.read() if text == "-" else text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise DeviceFault(f"--args is no JSON object: {error}") from None
