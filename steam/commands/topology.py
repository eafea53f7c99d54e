"""`steam topology declare|audit`: RabbitMQ's queues, bindings and policies."""

from importlib import resources
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bridge.accounts import EMBEDDED, Service, embedded_access, new_password, service_account
from bridge.plant import load_plant
from bridge.rabbitmq.definitions import definition_files
from bridge.topology import topology
from steam.console import FAILED, ConfigOption, JsonOption, command, end, out, settings_at
from steam.registry import mqtt_accounts_of
from steam.settings import Secret, Settings

app = typer.Typer(help="RabbitMQ's exchanges, queues, bindings and policies.", no_args_is_help=True)


@app.command()
@command
def declare(config: ConfigOption = Path("steam.yaml")) -> None:
    """Declare whatever the plant needs; what is there already stays as it is."""
    from steam.broker import topology_of

    settings = settings_at(config)
    wanted = topology(load_plant(settings.plant_path))
    topology_of(settings).declare(wanted)
    out.print(
        f"declared {len(wanted.queues)} queues, {len(wanted.bindings)} bindings, "
        f"{len(wanted.policies)} policies"
    )


@app.command()
@command
def audit(
    config: ConfigOption = Path("steam.yaml"),
    prune: Annotated[
        bool, typer.Option("--prune", help="Also remove bindings that the plant does not ask for.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare the broker with the plant and repair what is missing; exit 1 where it was not."""
    from steam.broker import topology_of

    settings = settings_at(config)
    wanted = topology(load_plant(settings.plant_path))
    findings = topology_of(settings).audit(wanted, prune=prune)
    if as_json:
        typer.echo(msgspec.json.encode(findings))
    for finding in () if as_json else findings:
        out.print(str(finding), markup=False)
    left = [finding for finding in findings if not finding.repaired]
    if left:
        end(f"{len(left)} differences are left", FAILED)
    if not as_json:
        out.print("the broker is as the plant needs it")


@app.command()
@command
def definitions(
    folder: Annotated[Path, typer.Argument(help="Where the files go; made if missing.")],
    gateway: Annotated[bool, typer.Option("--gateway", help="With the gateway's account.")] = False,
    passwords: Annotated[
        Path | None,
        typer.Option(help="A folder with a file for each account that holds its password."),
    ] = None,
    config: ConfigOption = Path("steam.yaml"),
) -> None:
    """Write the files from which a new broker starts ready for Steam.

    Shows new passwords once, or takes those of a folder, such as a mounted secret. RabbitMQ loads them at every start. The gateway's account may speak for any device, so it is
    made only with --gateway. In the embedded deployment: mosquitto's configuration, and Steam's
    own account in its files.
    """
    settings = settings_at(config)
    if settings.deployment == "embedded":
        _mosquitto(settings, folder)
        return
    wanted_accounts = [each for each in Service if gateway or each is not Service.GATEWAY]
    accounts = [(service_account(each), _password(each, passwords)) for each in wanted_accounts]
    wanted = topology(load_plant(settings.plant_path))
    files = definition_files(wanted, accounts, settings.management.virtual_host)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_bytes(content)
    out.print(f"wrote {', '.join(files)} to {folder}", markup=False)
    if passwords is not None:
        return
    out.print("passwords, shown only now:")
    for account, password in accounts:
        out.print(f"  {account.name}  {password}", markup=False, highlight=False)


def _password(service: Service, folder: Path | None) -> str:
    return new_password() if folder is None else Secret(file=str(folder / service)).read(service)


def _mosquitto(settings: Settings, folder: Path) -> None:
    if settings.mqtt.broker == "inside":
        end("the broker inside needs no files; set mqtt.broker: outside for mosquitto", FAILED)
    accounts = mqtt_accounts_of(settings)
    password = accounts.put(embedded_access())
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "steam.conf"
    path.write_text(
        resources.files("bridge.mosquitto").joinpath("mosquitto.conf").read_text(encoding="utf-8"),
        encoding="utf-8",
    )
    out.print(f"wrote {path}; Steam's account, its password shown only now:", markup=False)
    out.print(f"  {EMBEDDED}  {password}", markup=False, highlight=False)
    out.print(accounts.next_step, markup=False)
