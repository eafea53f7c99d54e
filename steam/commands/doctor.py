"""`steam doctor`: test every connection and say what to do about each that fails."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.table import Table

from bridge.broker import BrokerError
from bridge.plant import Plant, load_plant
from bridge.topology import topology
from steam.console import FAILED, ConfigOption, JsonOption, command, out, settings_at
from steam.settings import MissingSecret, Settings
from steam.stores import store_of
from store.errors import Misconfigured, StoreError
from store.port import Retention

app = typer.Typer()


class Finding(msgspec.Struct, frozen=True):
    """What was tested, whether it is well, and what was found."""

    what: str
    ok: bool
    text: str


@app.command()
@command
def doctor(
    config: ConfigOption = Path("steam.yaml"),
    notify: Annotated[
        bool, typer.Option("--notify", help="Also send a test notification to every target.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Test settings, broker, store and notification targets; exit 1 where something is wrong."""
    settings = settings_at(config)
    plant = load_plant(settings.plant_path)
    findings = [Finding("settings", True, f"{config} and {settings.plant_path} are good")]
    findings += [
        _tested(what, test)
        for what, test in _tests(settings, plant, notify=notify)
        if test is not None
    ]
    if as_json:
        typer.echo(msgspec.json.encode(findings))
    else:
        table = Table("", "what", "found")
        for finding in findings:
            table.add_row("ok" if finding.ok else "FAULT", finding.what, finding.text)
        out.print(table)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(FAILED)


def _tests(
    settings: Settings, plant: Plant, *, notify: bool
) -> list[tuple[str, Callable[[], str] | None]]:
    server = settings.deployment == "server"
    # In `server` the MQTT address is that of simulated devices, tested where they have an account.
    mqtt = bool(settings.mqtt.username) if server else settings.mqtt.broker == "outside"
    routes = settings.notifications.routes
    return [
        ("store", lambda: _store(settings)),
        ("RabbitMQ", (lambda: _rabbitmq(settings, plant)) if server else None),
        ("RabbitMQ, AMQP", (lambda: _amqp(settings)) if server else None),
        ("MQTT broker", (lambda: _mqtt(settings)) if mqtt else None),
        ("notifications", (lambda: _notifications(settings, notify)) if routes else None),
    ]


def _tested(what: str, test: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, test())
    except (StoreError, BrokerError, MissingSecret, OSError) as error:
        return Finding(what, False, str(error))


def _store(settings: Settings) -> str:
    store = store_of(settings)
    store.open()
    try:
        told = store.check()
        kept = store.retention()
    finally:
        store.close()
    if kept != settings.retention:
        raise Misconfigured(
            f"the store keeps {_days(kept)}, steam.yaml says {_days(settings.retention)}; "
            "`steam store init` brings the store to it"
        )
    return f"{told}; keeps {_days(kept)}"


def _days(retention: Retention) -> str:
    """How long each bucket's data is kept, in words."""
    said = {
        "raw": retention.raw_days,
        "rollup": retention.rollup_days,
        "events": retention.events_days,
    }
    return ", ".join(
        f"{name} {'for ever' if days is None else f'{days} days'}" for name, days in said.items()
    )


def _rabbitmq(settings: Settings, plant: Plant) -> str:
    from steam.broker import topology_of

    findings = topology_of(settings).audit(topology(plant), repair=False)
    if findings:
        raise BrokerError("; ".join(str(finding) for finding in findings[:5]))
    return "reached; queues, bindings and policies are as the plant needs them"


def _amqp(settings: Settings) -> str:
    from processor.adapters.amqp_connection import probe
    from steam.broker import amqp_url

    return probe(amqp_url(settings))


def _notifications(settings: Settings, send: bool) -> str:
    from processor.notifier.apprise_target import TargetsRefused, open_targets
    from processor.notifier.target import SendFailed
    from processor.notifier.text import trial

    try:
        targets = open_targets(settings.notifications, os.environ)
    except TargetsRefused as error:
        raise BrokerError(str(error)) from None
    names = ", ".join(target.name for target in targets)
    if not send:
        return f"{names}: addresses are good; --notify sends each a test notification"
    refused = []
    for each in targets:
        try:
            each.target.send(trial(each.language))
        except SendFailed as error:
            refused.append(f"{each.name}: {error}")
    if refused:
        raise BrokerError("; ".join(refused))
    return f"{names}: took a test notification"


def _mqtt(settings: Settings) -> str:
    from steam.links import mqtt_address
    from steam.mqtt_probe import probe

    return probe(mqtt_address(settings))
