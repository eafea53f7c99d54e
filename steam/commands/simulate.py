"""`steam simulate`: simulated boilers for the devices of plant.yaml."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bridge.plant import load_plant
from steam.console import (
    AWAY,
    WRONG_SETTINGS,
    ConfigOption,
    JsonOption,
    command,
    configure_logs,
    end,
    out,
    settings_at,
)
from steam.links import away, link_config

app = typer.Typer()


class Simulated(msgspec.Struct, frozen=True):
    """What was sent, for programs."""

    devices: int
    published: int
    acknowledged: int
    pending: int


@app.command()
@command
def simulate(
    config: ConfigOption = Path("steam.yaml"),
    device: Annotated[
        list[str] | None, typer.Option(help="Only these devices of plant.yaml; else all.")
    ] = None,
    for_s: Annotated[float | None, typer.Option("--for", min=1, help="Simulated seconds.")] = None,
    speed: Annotated[float, typer.Option(min=0, help="1 real time, 0 as fast as possible.")] = 1.0,
    faults: Annotated[str, typer.Option(help="Such as 'low_water@30+60, esp32-1/reboot@90'.")] = "",
    seed: Annotated[int, typer.Option(help="The same seed, the same boilers.")] = 1,
    rows_per_message: Annotated[int, typer.Option(min=1, max=500)] = 1,
    as_json: JsonOption = False,
) -> None:
    """Play every device of plant.yaml with a simulated boiler, over MQTT; until Ctrl-C."""
    from device.sim.device import DeviceConfig
    from device.sim.faults import parse_faults
    from device.sim.fleet import Fleet, FleetConfig
    from steam.loops import Loops

    settings = settings_at(config)
    configure_logs()
    known = load_plant(settings.plant_path).devices
    names = device or list(known)
    if unknown := [name for name in names if name not in known]:
        end(f"no device {', '.join(unknown)} in {settings.plant_path}", WRONG_SETTINGS)
    try:
        fleet = Fleet(
            FleetConfig(
                devices=tuple(
                    DeviceConfig(
                        site=known[name].site, device=name, rows_per_message=rows_per_message
                    )
                    for name in names
                ),
                link=link_config(settings),
                seed=seed,
                speed=speed,
                faults=parse_faults(faults),
            )
        )
        loops = Loops()
        loops.stop_on_signals()
        fleet.start(for_s)
    except ValueError as error:
        end(str(error), WRONG_SETTINGS)
    while not loops.stopping.is_set() and not fleet.join(0.2):
        pass
    counts = fleet.stop()
    if not counts.connections:
        end(f"{away(settings)}; nothing was sent", AWAY)
    done = Simulated(len(names), counts.total_published, counts.total_acknowledged, counts.pending)
    if as_json:
        typer.echo(msgspec.json.encode(done))
    else:
        out.print(f"{done.devices} devices: {done.acknowledged} of {done.published} acknowledged")
    if done.pending:
        end(f"{done.pending} messages were not acknowledged in time", AWAY)
