"""`steam notifier`: delivers alarms in the server deployment."""

import random
from pathlib import Path

import typer

from processor.adapters.amqp_source import AmqpSource
from processor.adapters.amqp_transitions import ALARMS_QUEUE, AmqpTransitions
from processor.adapters.prometheus import exposition
from processor.backoff import Backoff
from processor.counters import Counters, NotifierCounters
from processor.health import Health, HealthServer
from processor.notifier.service import Notifier
from processor.notifier.sqlite_ledger import SqliteLedger
from steam.console import ConfigOption, command, configure_logs, settings_at
from steam.loops import Loops
from steam.notifying import notifier_of
from steam.plant_watch import PlantWatch
from steam.settings import Settings

app = typer.Typer()
LEDGER_FILE = "told.sqlite"
_PREFETCH = 1000


@app.command()
@command
def notifier(config: ConfigOption = Path("steam.yaml")) -> None:
    """Tell people of alarms, each target on its own; until SIGTERM."""
    settings = settings_at(config)
    configure_logs()
    health, counters = Health(), NotifierCounters()
    service = _service(settings, counters, health)
    loops = Loops()
    loops.stop_on_signals()
    where = settings.health
    server = None
    if where.port is not None:
        server = HealthServer(
            where.host, where.port, health, lambda: exposition(Counters(notify=counters))
        )
        server.open()
    try:
        loops.start("notify", service.run)
        loops.wait()
    finally:
        if server is not None:
            server.close()


def _service(settings: Settings, counters: NotifierCounters, health: Health) -> Notifier:
    source = AmqpSource(
        settings.amqp.url.read("amqp.url"),
        [ALARMS_QUEUE],
        prefetch_count=_PREFETCH,
        backoff=Backoff(0.2, 15, random.Random()),
        name="steam notifier",
    )
    health.needs("RabbitMQ", lambda: source.fault)
    transitions = AmqpTransitions(
        source,
        lambda at_us: service.heartbeat(at_us),  # noqa: PLW0108 - the service is made below
    )
    ledger = SqliteLedger(settings.data_path / LEDGER_FILE)
    service = notifier_of(
        settings,
        PlantWatch(settings.plant_path),
        transitions,
        ledger,
        counters,
        health.loop("notify"),
    )
    return service
