"""`steam notifier`: delivers alarms in the server deployment."""

from pathlib import Path

import typer

from bridge.plant import load_plant
from steam.console import ConfigOption, command, configure_logs, settings_at
from steam.loops import Loops
from steam.settings import check_routes

app = typer.Typer()


@app.command()
@command
def notifier(config: ConfigOption = Path("steam.yaml")) -> None:
    """Tell people of alarms, each target on its own; until SIGTERM."""
    settings = settings_at(config)
    check_routes(config, settings, load_plant(settings.plant_path))
    configure_logs()
    from steam.notifier_service import run

    loops = Loops()
    loops.stop_on_signals()
    run(settings, loops)
