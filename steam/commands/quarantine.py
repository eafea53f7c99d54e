"""`steam quarantine list|show|export|retry|drop`: messages that could not be taken in."""

from base64 import b64encode
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from bridge.clock import from_us
from bridge.device_commands import visible
from bridge.messages import Reason
from processor.quarantine import BadMessage, Place
from steam.console import (
    FAILED,
    WRONG_SETTINGS,
    ConfigOption,
    JsonOption,
    command,
    end,
    out,
    settings_at,
)
from steam.desk import desk_of

app = typer.Typer(
    help="Messages that could not be taken in, whole, with the reason: in quarantine, unrouted, dead.",
    no_args_is_help=True,
)
Identity = Annotated[str, typer.Argument(help="The message's id, as `list` shows it.")]
InPlace = Annotated[Place | None, typer.Option("--place", help="Only in this place.")]
OfDevice = Annotated[str, typer.Option("--device", help="Only of this device.")]
ForReason = Annotated[Reason | None, typer.Option("--reason", help="Only for this reason.")]
Config = ConfigOption
_ALL = 1_000_000


class Shown(msgspec.Struct, frozen=True):
    """A message as programs are shown it."""

    id: str
    place: str
    at: str
    reason: str
    detail: str
    routing_key: str
    bytes: int


class Exported(msgspec.Struct, frozen=True):
    """A message as evidence: as shown, with its body in base64."""

    shown: Shown
    body: str


@app.command("list")
@command
def list_(
    place: InPlace = None,
    device: OfDevice = "",
    reason: ForReason = None,
    config: Config = Path("steam.yaml"),
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many of a place.")] = 100,
) -> None:
    """List what is there, oldest first; looking changes nothing."""
    with desk_of(settings_at(config)) as desk:
        found = desk.messages(_ALL if device or reason else limit, place)
    wanted = [each for each in found if _wanted(each, place, device, reason)]
    messages = [each for where in Place for each in [m for m in wanted if m.place is where][:limit]]
    if as_json:
        typer.echo(msgspec.json.encode([_shown(message) for message in messages]))
        return
    if not messages:
        out.print("nothing is there")
        return
    table = Table("id", "place", "since (UTC)", "reason", "detail", "routing key", "bytes")
    for message in messages:
        cells = msgspec.structs.astuple(_shown(message))
        table.add_row(*(visible(str(cell)) for cell in cells))
    out.print(table, markup=False)


@app.command()
@command
def show(
    identity: Identity, config: Config = Path("steam.yaml"), as_json: JsonOption = False
) -> None:
    """Show one message, whole; what a terminal would obey is written as escapes."""
    with desk_of(settings_at(config)) as desk:
        found = [message for message in desk.messages(_ALL) if message.id == identity]
    if not found:
        end(_unknown(identity), FAILED)
    message, shown = found[0], _shown(found[0])
    if as_json:
        typer.echo(msgspec.json.encode(_exported(message)))
        return
    head = f"{shown.id}  {shown.place}  {shown.at}  {shown.routing_key}"
    for line in (head, f"{shown.reason}: {shown.detail}"):
        out.print(visible(line), markup=False, highlight=False)
    body = message.body.decode("utf-8", "backslashreplace")
    out.print("\n".join(map(visible, body.split("\n"))), markup=False, highlight=False)


@app.command()
@command
def export(
    file: Annotated[Path, typer.Argument(help="A JSON Lines file, made anew.")],
    place: InPlace = None,
    device: OfDevice = "",
    reason: ForReason = None,
    config: Config = Path("steam.yaml"),
) -> None:
    """Write messages to a file, a line each, the body in base64; nothing is removed."""
    with desk_of(settings_at(config)) as desk:
        found = [
            each for each in desk.messages(_ALL, place) if _wanted(each, place, device, reason)
        ]
    file.write_bytes(b"".join(msgspec.json.encode(_exported(each)) + b"\n" for each in found))
    out.print(f"{len(found)} written to {file}", markup=False)


@app.command()
@command
def retry(
    identity: Annotated[str, typer.Argument(help="A message's id, as `list` shows it.")] = "",
    place: InPlace = None,
    device: OfDevice = "",
    reason: ForReason = None,
    config: Config = Path("steam.yaml"),
) -> None:
    """Send messages again, as they were first sent, and take them out.

    Those with a wrong topic stay: they would only come back.
    """
    if not (identity or place or device or reason):
        end("name a message's id, --place, --device or --reason", WRONG_SETTINGS)

    def wanted(message: BadMessage) -> bool:
        return (
            message.reason is not Reason.BAD_TOPIC
            and identity in ("", message.id)
            and _wanted(message, place, device, reason)
        )

    with (
        desk_of(settings_at(config)) as desk,
        out.status("sending again") as status,
    ):
        sent = desk.retry(wanted, lambda sent: status.update(f"{sent} sent again"))
    if identity and not sent:
        end(f"{_unknown(identity)}, or its topic is wrong", FAILED)
    out.print(f"{sent} sent again")


@app.command()
@command
def drop(
    identity: Identity,
    config: Config = Path("steam.yaml"),
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove one message for good; `export` keeps a copy."""
    if not yes:
        typer.confirm(f"remove message {identity} for good?", abort=True)
    with desk_of(settings_at(config)) as desk:
        dropped = desk.drop(identity)
    if dropped is None:
        end(_unknown(identity), FAILED)
    out.print(f"{identity} is gone")


def _wanted(message: BadMessage, place: Place | None, device: str, reason: Reason | None) -> bool:
    return (
        place in (None, message.place)
        and device in ("", message.device)
        and reason in (None, message.reason)
    )


def _shown(message: BadMessage) -> Shown:
    return Shown(
        message.id,
        message.place.value,
        f"{from_us(message.at_us):%Y-%m-%d %H:%M:%S}" if message.at_us else "",
        message.reason.value,
        message.detail,
        message.routing_key,
        len(message.body),
    )


def _exported(message: BadMessage) -> Exported:
    return Exported(_shown(message), b64encode(message.body).decode())


def _unknown(identity: str) -> str:
    return f"no message {identity}; `steam quarantine list` shows what is there"
