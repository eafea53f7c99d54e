"""The devices of the plant at the broker of the deployment."""

from bridge.clock import utc_now
from bridge.devices import Devices, NoRoutes
from bridge.inner_accounts import inner_accounts
from bridge.mosquitto.accounts import mosquitto_accounts
from steam.inner_broker import ACCESS_FILE, PASSWORDS_FILE
from steam.settings import Settings


def devices_of(settings: Settings) -> Devices:
    """What adds, adopts and revokes devices; raises MissingSecret."""
    if settings.deployment == "server":
        from bridge.rabbitmq.accounts import RabbitAccounts
        from steam.broker import management_of, topology_of

        accounts = RabbitAccounts(management_of(settings))
        return Devices(settings.plant_path, accounts, topology_of(settings), utc_now)
    settings.data_path.mkdir(parents=True, exist_ok=True)
    files = (settings.data_path / PASSWORDS_FILE, settings.data_path / ACCESS_FILE)
    make = inner_accounts if settings.mqtt.broker == "inside" else mosquitto_accounts
    return Devices(settings.plant_path, make(*files), NoRoutes(), utc_now)
