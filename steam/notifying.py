"""The notifier as the settings ask for it."""

import os

from bridge.settings_file import Fault, SettingsError
from processor.counters import NotifierCounters
from processor.health import Loop
from processor.notifier.apprise_target import TargetsRefused, open_targets
from processor.notifier.routes import AddressMissing, dead_man_url
from processor.notifier.service import Notifier
from processor.notifier.source import Ledger, TransitionSource
from steam.plant_watch import PlantWatch
from steam.settings import MissingSecret, Settings


def notifier_of(
    settings: Settings,
    plant: PlantWatch,
    source: TransitionSource,
    ledger: Ledger,
    counters: NotifierCounters,
    loop: Loop,
) -> Notifier:
    """The notifier with its targets; raises SettingsError or MissingSecret."""
    notifications = settings.notifications
    try:
        pinged = dead_man_url(notifications, os.environ)
    except AddressMissing as error:
        raise MissingSecret(f"notifications.dead_man: {error}") from None
    try:
        targets = open_targets(notifications, os.environ)
    except TargetsRefused as error:
        raise SettingsError(
            [Fault("steam.yaml", None, line) for line in str(error).splitlines()]
        ) from None
    return Notifier(
        notifications,
        plant,
        source,
        ledger,
        targets,
        counters,
        loop=loop,
        dead_man_url=pinged,
    )
