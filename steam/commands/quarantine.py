"""`steam quarantine list|show|retry|drop`: messages that could not be taken in."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from bridge.clock import from_us
from processor.quarantine import BadMessage
from steam.console import FAILED, ConfigOption, JsonOption, command, end, out, settings_at
from steam.desk import desk_of

app = typer.Typer(help="Messages that could not be taken in, whole, with the reason.",
                  no_args_is_help=True)  # fmt: skip
Identity = Annotated[str, typer.Argument(help="The message's id, as `list` shows it.")]
Config = ConfigOption


class Shown(msgspec.Struct, frozen=True):
    """A message in quarantine, for programs."""

    id: str
    at: str
    reason: str
    detail: str
    routing_key: str
    bytes: int


@app.command("list")
@command
def list_(
    config: Config = Path("steam.yaml"),
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
) -> None:
    """List what is in quarantine, oldest first; looking changes nothing."""
    messages = desk_of(settings_at(config)).messages(limit)
    if as_json:
        typer.echo(msgspec.json.encode([_shown(message) for message in messages]))
        return
    if not messages:
        out.print("nothing is in quarantine")
        return
    table = Table("id", "since (UTC)", "reason", "detail", "routing key", "bytes")
    for shown in map(_shown, messages):
        table.add_row(*(str(cell) for cell in msgspec.structs.astuple(shown)[:3]),
                      shown.detail, shown.routing_key, str(shown.bytes))  # fmt: skip
    out.print(table, markup=False)


@app.command()
@command
def show(identity: Identity, config: Config = Path("steam.yaml")) -> None:
    """Show one message, whole."""
    for message in desk_of(settings_at(config)).messages(100_000):
        if message.id == identity:
            shown = _shown(message)
            out.print(f"{shown.id}  {shown.at}  {shown.routing_key}", markup=False)
            out.print(f"{shown.reason}: {shown.detail}", markup=False)
            out.print(message.body.decode("utf-8", "backslashreplace"), markup=False)
            return
    end(_unknown(identity), FAILED)


@app.command()
@command
def retry(identity: Identity, config: Config = Path("steam.yaml")) -> None:
    """Send one message again, as its device sent it, and take it out of quarantine."""
    if desk_of(settings_at(config)).retry(identity) is None:
        end(_unknown(identity), FAILED)
    out.print(f"{identity} was sent again")


@app.command()
@command
def drop(
    identity: Identity,
    config: Config = Path("steam.yaml"),
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove one message for good."""
    if not yes:
        typer.confirm(f"remove message {identity} for good?", abort=True)
    if desk_of(settings_at(config)).drop(identity) is None:
        end(_unknown(identity), FAILED)
    out.print(f"{identity} is gone")


def _shown(message: BadMessage) -> Shown:
    return Shown(
        message.id,
        f"{from_us(message.at_us):%Y-%m-%d %H:%M:%S}",
        message.reason.value,
        message.detail,
        message.routing_key,
        len(message.body),
    )


def _unknown(identity: str) -> str:
    return f"no message {identity} in quarantine; `steam quarantine list` shows what is there"
