"""`steam check`: validate steam.yaml and plant.yaml without connecting anywhere."""

from pathlib import Path

import typer

from bridge.plant import load_plant
from steam.console import ConfigOption, command, out, settings_at
from steam.provisioning import check_files
from steam.settings import check_routes

app = typer.Typer()


@app.command()
@command
def check(config: ConfigOption = Path("steam.yaml")) -> None:
    """Validate steam.yaml and plant.yaml; each fault with its line. Connects nowhere."""
    settings = settings_at(config)
    plant = load_plant(settings.plant_path)
    check_routes(config, settings, plant)
    check_files(config, settings)
    out.print(
        f"{config}: good, {settings.deployment} deployment\n"
        f"{settings.plant_path}: good, {len(plant.sites)} sites, {len(plant.boilers)} boilers, "
        f"{len(plant.devices)} devices, "
        f"{sum(len(boiler.alarms) for boiler in plant.file.boilers)} alarm definitions",
        markup=False,
    )
