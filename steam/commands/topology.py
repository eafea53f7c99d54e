"""`steam topology declare|audit`: RabbitMQ's queues, bindings and policies."""

from pathlib import Path

import msgspec
import typer

from bridge.plant import load_plant
from bridge.topology import topology
from steam.broker import topology_of
from steam.console import FAILED, ConfigOption, JsonOption, command, end, out, settings_at

app = typer.Typer(help="RabbitMQ's exchanges, queues, bindings and policies.", no_args_is_help=True)


@app.command()
@command
def declare(config: ConfigOption = Path("steam.yaml")) -> None:
    """Declare whatever the plant needs; what is there already stays as it is."""
    settings = settings_at(config)
    wanted = topology(load_plant(settings.plant_path))
    topology_of(settings).declare(wanted)
    out.print(
        f"declared {len(wanted.queues)} queues, {len(wanted.bindings)} bindings, "
        f"{len(wanted.policies)} policies"
    )


@app.command()
@command
def audit(config: ConfigOption = Path("steam.yaml"), as_json: JsonOption = False) -> None:
    """Compare the broker with the plant and repair what is missing; exit 1 where it was not."""
    settings = settings_at(config)
    findings = topology_of(settings).audit(topology(load_plant(settings.plant_path)))
    if as_json:
        typer.echo(msgspec.json.encode(findings))
    for finding in () if as_json else findings:
        out.print(str(finding), markup=False)
    if findings:
        end(f"{len(findings)} differences found", FAILED)
    if not as_json:
        out.print("the broker is as the plant needs it")
