"""`steam quarantine list|show|retry|drop`: messages that could not be taken in."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from bridge.clock import from_us
from bridge.messages import Reason
from processor.quarantine import BadMessage
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

app = typer.Typer(help="Messages that could not be taken in, whole, with the reason.",
                  no_args_is_help=True)  # fmt: skip
Identity = Annotated[str, typer.Argument(help="The message's id, as `list` shows it.")]
Config = ConfigOption
_ALL = 1_000_000


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
    with desk_of(settings_at(config)) as desk:
        messages = desk.messages(limit)
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
    with desk_of(settings_at(config)) as desk:
        found = [message for message in desk.messages(_ALL) if message.id == identity]
    if not found:
        end(_unknown(identity), FAILED)
    shown = _shown(found[0])
    out.print(f"{shown.id}  {shown.at}  {shown.routing_key}", markup=False)
    out.print(f"{shown.reason}: {shown.detail}", markup=False)
    out.print(found[0].body.decode("utf-8", "backslashreplace"), markup=False)


@app.command()
@command
def retry(
    identity: Annotated[str, typer.Argument(help="A message's id, as `list` shows it.")] = "",
    device: Annotated[str, typer.Option(help="All messages of this device.")] = "",
    reason: Annotated[Reason | None, typer.Option(help="All that are here for it.")] = None,
    config: Config = Path("steam.yaml"),
) -> None:
    """Send messages again, as their devices sent them, and take them out of quarantine.

    Those with a wrong topic stay: they would only come back.
    """
    if not (identity or device or reason):
        end("name a message's id, --device or --reason", WRONG_SETTINGS)

    def wanted(message: BadMessage) -> bool:
        return (
            message.reason is not Reason.BAD_TOPIC
            and identity in ("", message.id)
            and device in ("", message.device)
            and reason in (None, message.reason)
        )

    with desk_of(settings_at(config)) as desk:
        sent = desk.retry(wanted)
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
    """Remove one message for good."""
    if not yes:
        typer.confirm(f"remove message {identity} for good?", abort=True)
    with desk_of(settings_at(config)) as desk:
        dropped = desk.drop(identity)
    if dropped is None:
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
