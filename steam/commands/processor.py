"""`steam processor`: the recorder and the evaluator of the server deployment."""

from pathlib import Path
from typing import Annotated

import typer

from steam.console import (
    WRONG_SETTINGS,
    ConfigOption,
    command,
    configure_logs,
    end,
    settings_at,
)
from steam.loops import Loops

app = typer.Typer()
ROLES = ("record", "evaluate")


@app.command()
@command
def processor(
    config: ConfigOption = Path("steam.yaml"),
    role: Annotated[
        list[str] | None, typer.Option(help="record or evaluate; both when not given.")
    ] = None,
) -> None:
    """Consume RabbitMQ, write InfluxDB, judge alarms; until SIGTERM."""
    settings = settings_at(config)
    if settings.deployment != "server":
        end(f"{config}: `processor` needs deployment: server; use `steam run`", WRONG_SETTINGS)
    roles = frozenset(role or ROLES)
    if unknown := roles - set(ROLES):
        end(f"no role {', '.join(sorted(unknown))}; there are record and evaluate", WRONG_SETTINGS)
    configure_logs()
    from steam.server import Processor

    loops = Loops()
    loops.stop_on_signals()
    Processor(settings, roles=roles).run(loops)
