"""The quarantine of the deployment, as `steam quarantine` works on it."""

from collections.abc import Iterator
from contextlib import contextmanager

from processor.quarantine import Desk
from steam.held_folder import is_held
from steam.settings import Settings

QUARANTINE_FILE = "quarantine.sqlite"


@contextmanager
def desk_of(settings: Settings) -> Iterator[Desk]:
    """The desk of the deployment; raises MissingSecret."""
    if settings.deployment == "server":
        from processor.adapters.amqp_desk import AmqpDesk
        from steam.broker import desk_url

        yield AmqpDesk(desk_url(settings))
        return
    from processor.adapters.sqlite_quarantine import SqliteQuarantine
    from steam.embedded_desk import EmbeddedDesk
    from steam.links import mqtt_address

    quarantine = SqliteQuarantine(settings.data_path / QUARANTINE_FILE)
    quarantine.open()
    try:
        yield EmbeddedDesk(quarantine, mqtt_address(settings), lambda: is_held(settings.data_path))
    finally:
        quarantine.close()
