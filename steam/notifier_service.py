"""The notifier of the server deployment: RabbitMQ in, people out."""

import random

from processor.adapters.amqp_source import AmqpSource
from processor.adapters.amqp_transitions import ALARMS_QUEUE, AmqpTransitions
from processor.adapters.prometheus import exposition
from processor.backoff import Backoff
from processor.counters import Counters, NotifierCounters
from processor.health import Health, HealthServer
from processor.notifier.service import Notifier
from processor.notifier.sqlite_ledger import SqliteLedger
from steam.broker import amqp_url
from steam.loops import Loops
from steam.notifying import notifier_of
from steam.plant_watch import PlantWatch
from steam.settings import Settings

LEDGER_FILE = "told.sqlite"
_PREFETCH = 20_000


def amqp_notifier(settings: Settings, counters: NotifierCounters, health: Health) -> Notifier:
    """The notifier on queue steam.alarms; raises SettingsError or MissingSecret."""
    source = AmqpSource(
        amqp_url(settings),
        [ALARMS_QUEUE],
        prefetch_count=_PREFETCH,
        backoff=Backoff(0.2, 15, random.Random()),
        name="steam notifier",
        single_active=True,
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


def run(settings: Settings, loops: Loops) -> None:
    """Notify until told to stop, with health endpoints where asked for."""
    health, counters = Health(), NotifierCounters()
    service = amqp_notifier(settings, counters, health)
    where = settings.health
    server = None
    if where.port is not None:
        metrics = Counters(notify=counters)
        server = HealthServer(where.host, where.port, health, lambda: exposition(metrics))
        server.open()
    try:
        loops.start("notify", service.run)
        loops.wait()
    finally:
        if server is not None:
            server.close()
