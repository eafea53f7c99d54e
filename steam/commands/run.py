"""`steam run`: the embedded deployment on real devices."""

import threading
from pathlib import Path

import typer

from bridge.plant import load_plant
from steam.console import (
    WRONG_SETTINGS,
    ConfigOption,
    command,
    configure_logs,
    end,
    out,
    settings_at,
)
from steam.loops import set_on_signals
from steam.settings import check_routes

app = typer.Typer()


@app.command()
@command
def run(config: ConfigOption = Path("steam.yaml")) -> None:
    """Run everything on this machine, as steam.yaml says, until Ctrl-C."""
    settings = settings_at(config)
    if settings.deployment != "embedded":
        text = f"{config}: `run` is the embedded deployment; on servers start `processor`, `notifier`, `panel`"
        end(text, WRONG_SETTINGS)
    check_routes(config, settings, load_plant(settings.plant_path))
    configure_logs()
    from steam.embedded import Embedded

    ending = threading.Event()
    set_on_signals(ending)
    with Embedded(settings) as steam:
        out.print(f"dashboard: {steam.url}", markup=False)
        steam.loops.wait_for(ending)
