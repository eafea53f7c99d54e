"""`steam notifier`: delivers alarms in the server deployment."""

from pathlib import Path

import typer

from steam.console import ConfigOption, command, configure_logs, settings_at
from steam.loops import Loops

app = typer.Typer()


@app.command()
@command
def notifier(config: ConfigOption = Path("steam.yaml")) -> None:
    """Tell people of alarms, each target on its own; until SIGTERM."""
    settings = settings_at(config)
    configure_logs()
    from steam.notifier_service import run

    loops = Loops()
    loops.stop_on_signals()
    run(settings, loops)
